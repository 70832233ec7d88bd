//! What can be done to isolation segments, each inside the caller's transaction.

use super::payload::SegmentChange;
use super::store::{self, IsolationSegment};
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::organizations;
use crate::cloud_controller::v3::{ApiError, ApiResult, ResourceType};
use crate::db::WriteTx;

/// Makes a segment.
pub(super) fn create(
    tx: &WriteTx<'_>,
    wanted: SegmentChange,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<IsolationSegment> {
    let segment = IsolationSegment {
        guid: IsolationSegmentGuid::generate(guids),
        name: wanted.name.unwrap_or_default(),
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &segment)?;
    let guid = segment.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::IsolationSegment, guid)?;
    Ok(segment)
}

/// Changes a segment that is nobody's default.
pub(super) fn update(
    tx: &WriteTx<'_>,
    mut segment: IsolationSegment,
    change: SegmentChange,
    now: Timestamp,
) -> ApiResult<IsolationSegment> {
    if segment.is_shared() {
        return Err(ApiError::unprocessable(
            "Cannot update the shared Isolation Segment",
        ));
    }
    if store::is_assigned(tx, &segment.guid)? {
        return Err(ApiError::unprocessable(
            "Cannot update Isolation Segments that are assigned as the default for an Organization or Space.",
        ));
    }
    segment.name = change.name.unwrap_or(segment.name);
    segment.updated_at = now;
    store::update(tx, &segment)?;
    let guid = segment.guid.as_str();
    change
        .metadata
        .store(tx, ResourceType::IsolationSegment, guid)?;
    Ok(segment)
}

/// Deletes a segment that no organization may use any more.
pub(super) fn delete(tx: &WriteTx<'_>, segment: &IsolationSegment) -> ApiResult<()> {
    if segment.is_shared() {
        return Err(ApiError::unprocessable(format!(
            "Cannot delete the {} Isolation Segment",
            segment.name
        )));
    }
    if store::is_entitled_or_used(tx, &segment.guid)? {
        return Err(ApiError::unprocessable(
            "Revoke the Organization entitlements for your Isolation Segment.",
        ));
    }
    store::delete(tx, &segment.guid)
}

/// Lets organizations use a segment; `shared` becomes the default of those that have none.
pub(super) fn entitle(
    tx: &WriteTx<'_>,
    segment: &IsolationSegment,
    guids: &[String],
) -> ApiResult<()> {
    let found = organizations::store::by_guids(tx, guids)?;
    let missing: Vec<String> = guids
        .iter()
        .filter(|guid| found.iter().all(|o| o.guid.as_str() != guid.as_str()))
        .map(|guid| format!("'{guid}'"))
        .collect();
    if !missing.is_empty() {
        return Err(ApiError::unprocessable(format!(
            "Unable to entitle organizations [{}] for the isolation segment. Ensure the organizations exist.",
            missing.join(", ")
        )));
    }
    for organization in &found {
        store::entitle(tx, &segment.guid, &organization.guid)?;
        if segment.is_shared() && organization.default_isolation_segment_guid.is_none() {
            organizations::store::set_default_segment(tx, &organization.guid, Some(&segment.guid))?;
        }
    }
    Ok(())
}

/// Ends an organization's use of a segment, unless it or one of its spaces is in it.
pub(super) fn revoke(
    tx: &WriteTx<'_>,
    segment: &IsolationSegment,
    organization: &OrganizationGuid,
) -> ApiResult<()> {
    let found = organizations::store::by_guids(tx, &[organization.to_string()])?;
    let found = found.first().ok_or_else(|| ApiError::not_found("Org"))?;
    if found.default_isolation_segment_guid.as_ref() == Some(&segment.guid) {
        return Err(ApiError::unprocessable(
            "Cannot remove the entitlement while this Isolation Segment is assigned as the Default Isolation Segment \
             for the Organization.",
        ));
    }
    let spaces = store::space_names(tx, &segment.guid, organization)?;
    if !spaces.is_empty() {
        return Err(ApiError::unprocessable(format!(
            "Cannot remove the entitlement while this Isolation Segment is assigned to any Spaces. Currently assigned \
             to: '{}'",
            spaces.join("', '")
        )));
    }
    store::revoke(tx, &segment.guid, organization)
}

/// Stores the segment `shared` if it is not there.
pub(crate) fn ensure_shared(tx: &WriteTx<'_>, now: Timestamp) -> ApiResult<()> {
    store::ensure(tx, store::SHARED, "shared", now)
}
