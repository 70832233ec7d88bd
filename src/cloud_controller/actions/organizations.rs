//! What can be done to organizations, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::payload::organizations::OrganizationChange;
use crate::cloud_controller::permits::{MayCreateOrganization, MayManage, OrganizationSuspension};
use crate::db::{ReadTx, WriteTx};

/// Makes an organization. Who may: admins, or anybody when `user_org_creation` is on (the caller
/// then becomes its manager).
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayCreateOrganization,
    change: OrganizationChange,
) -> Result<Organization> {
    let organization = Organization {
        guid: OrganizationGuid::generate(&may.guids),
        name: change.name.unwrap_or_default(),
        suspended: may.suspended(),
        quota_guid: model::organizations::default_quota(tx)?,
        default_isolation_segment_guid: None,
        created_at: may.now,
        updated_at: may.now,
    };
    model::organizations::insert(tx, &organization)?;
    change
        .metadata
        .store(tx, ResourceType::Organization, organization.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(tx, may, "audit.organization.create", &organization, &data)?;
    Ok(organization)
}

/// Changes name and metadata, and whether the organization is suspended.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayManage,
    mut organization: Organization,
    change: OrganizationChange,
    suspension: Option<&OrganizationSuspension>,
) -> Result<Organization> {
    may.covers(&organization.guid)?;
    if let Some(suspension) = suspension {
        organization.suspended = suspension.of(&organization.guid)?;
    }
    organization.name = change.name.unwrap_or(organization.name);
    organization.updated_at = may.now;
    model::organizations::update(tx, &organization)?;
    change
        .metadata
        .store(tx, ResourceType::Organization, organization.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(tx, may, "audit.organization.update", &organization, &data)?;
    Ok(organization)
}

/// Why an organization cannot be deleted: others use its private domains.
pub(crate) fn deletion_fault(
    tx: &ReadTx<'_>,
    organization: &Organization,
) -> Result<Option<Error>> {
    let shared = model::domains::owned_and_shared(tx, &organization.guid)?;
    if shared.is_empty() {
        return Ok(None);
    }
    let faults: Vec<String> = shared
        .iter()
        .map(|name| {
            format!("Domain '{name}' is shared with other organizations. Unshare before deleting.")
        })
        .collect();
    Ok(Some(Error::new(
        Kind::OrganizationDeletionFailed,
        format!(
            "Deletion of organization {} failed because one or more resources within could not be deleted.\n\n{}",
            organization.name,
            faults.join("\n\n")
        ),
    )))
}

/// Puts spaces without an isolation segment of their own in this one; the organization must be
/// entitled to it.
pub(crate) fn set_default_segment(
    tx: &WriteTx<'_>,
    may: &MayManage,
    guid: &OrganizationGuid,
    segment: Option<&IsolationSegmentGuid>,
) -> Result<()> {
    may.covers(guid)?;
    if let Some(segment) = segment
        && !model::isolation_segments::is_entitled(tx, segment, guid)?
    {
        return Err(Error::unprocessable(format!(
            "Unable to assign isolation segment with guid '{segment}'. Ensure it has been entitled to the organization."
        )));
    }
    model::organizations::set_default_segment(tx, guid, segment)
}

/// Writes an audit event of an organization.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    organization: &Organization,
    data: &Value,
) -> Result<()> {
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
