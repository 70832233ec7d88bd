//! What can be done to organizations, each inside the caller's transaction.

use serde_json::{Value, json};

use super::payload::OrganizationChange;
use super::store::{self, Organization};
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::v3::{ApiError, ApiResult, Kind, ResourceType};
use crate::cloud_controller::{domains, isolation_segments, roles, spaces};
use crate::db::{ReadTx, WriteTx};

/// Makes an organization. Who may: admins, or anybody when `user_org_creation` is on (the caller
/// then becomes its manager).
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    change: OrganizationChange,
) -> ApiResult<Organization> {
    let organization = Organization {
        guid: OrganizationGuid::generate(&recorder.guids),
        name: change.name.unwrap_or_default(),
        suspended: change.suspended.unwrap_or(false),
        quota_guid: store::default_quota(tx)?,
        default_isolation_segment_guid: None,
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    store::insert(tx, &organization)?;
    change
        .metadata
        .store(tx, ResourceType::Organization, organization.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(
        tx,
        recorder,
        "audit.organization.create",
        &organization,
        &data,
    )?;
    Ok(organization)
}

/// Changes name, state or metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut organization: Organization,
    change: OrganizationChange,
) -> ApiResult<Organization> {
    organization.name = change.name.unwrap_or(organization.name);
    organization.suspended = change.suspended.unwrap_or(organization.suspended);
    organization.updated_at = recorder.now;
    store::update(tx, &organization)?;
    change
        .metadata
        .store(tx, ResourceType::Organization, organization.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(
        tx,
        recorder,
        "audit.organization.update",
        &organization,
        &data,
    )?;
    Ok(organization)
}

/// Why an organization cannot be deleted: others use its private domains.
pub(super) fn deletion_fault(
    tx: &ReadTx<'_>,
    organization: &Organization,
) -> ApiResult<Option<ApiError>> {
    let shared = domains::store::owned_and_shared(tx, &organization.guid)?;
    if shared.is_empty() {
        return Ok(None);
    }
    let faults: Vec<String> = shared
        .iter()
        .map(|name| {
            format!("Domain '{name}' is shared with other organizations. Unshare before deleting.")
        })
        .collect();
    Ok(Some(ApiError::new(
        Kind::OrganizationDeletionFailed,
        format!(
            "Deletion of organization {} failed because one or more resources within could not be deleted.\n\n{}",
            organization.name,
            faults.join("\n\n")
        ),
    )))
}

/// Deletes an organization with all its spaces, apps, routes and private domains.
pub(super) fn delete(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    organization: &Organization,
) -> ApiResult<()> {
    for space in spaces::store::in_organization(tx, &organization.guid)? {
        spaces::actions::delete(tx, recorder, &space)?;
    }
    domains::actions::delete_private_of(tx, recorder, &organization.guid)?;
    roles::store::delete_of_organization(tx, &organization.guid)?;
    let data = json!({ "request": { "recursive": true } });
    record(
        tx,
        recorder,
        "audit.organization.delete-request",
        organization,
        &data,
    )?;
    store::delete(tx, &organization.guid)
}

/// Puts spaces without an isolation segment of their own in this one; the organization must be
/// entitled to it.
pub(super) fn set_default_segment(
    tx: &WriteTx<'_>,
    guid: &OrganizationGuid,
    segment: Option<&IsolationSegmentGuid>,
) -> ApiResult<()> {
    if let Some(segment) = segment
        && !isolation_segments::store::is_entitled(tx, segment, guid)?
    {
        return Err(ApiError::unprocessable(format!(
            "Unable to assign isolation segment with guid '{segment}'. Ensure it has been entitled to the organization."
        )));
    }
    store::set_default_segment(tx, guid, segment)
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    organization: &Organization,
    data: &Value,
) -> ApiResult<()> {
    let target = Target {
        guid: organization.guid.as_str(),
        kind: "organization",
        name: &organization.name,
    };
    recorder.record(
        tx,
        kind,
        &target,
        Place::organization(&organization.guid),
        data,
    )
}
