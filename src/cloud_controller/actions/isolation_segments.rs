//! What can be done to isolation segments, each inside the caller's transaction.

use crate::base::Timestamp;
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::isolation_segments::IsolationSegment;
use crate::cloud_controller::payload::isolation_segments::SegmentChange;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;

/// Creates a segment.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    wanted: SegmentChange,
) -> Result<IsolationSegment> {
    let segment = IsolationSegment {
        guid: IsolationSegmentGuid::generate(&may.guids),
        name: wanted.name.unwrap_or_default(),
        created_at: may.now,
        updated_at: may.now,
    };
    model::isolation_segments::insert(tx, &segment)?;
    let guid = segment.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::IsolationSegment, guid)?;
    Ok(segment)
}

/// Changes a segment that is nobody's default.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut segment: IsolationSegment,
    change: SegmentChange,
) -> Result<IsolationSegment> {
    if segment.is_shared() {
        return Err(Error::unprocessable(
            "Cannot update the shared Isolation Segment",
        ));
    }
    if model::isolation_segments::is_assigned(tx, &segment.guid)? {
        return Err(Error::unprocessable(
            "Cannot update Isolation Segments that are assigned as the default for an Organization or Space.",
        ));
    }
    segment.name = change.name.unwrap_or(segment.name);
    segment.updated_at = may.now;
    model::isolation_segments::update(tx, &segment)?;
    let guid = segment.guid.as_str();
    change
        .metadata
        .store(tx, ResourceType::IsolationSegment, guid)?;
    Ok(segment)
}

/// Deletes a segment that no organization may use any more.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    _may: &MayAdminister,
    segment: &IsolationSegment,
) -> Result<()> {
    if segment.is_shared() {
        return Err(Error::unprocessable(format!(
            "Cannot delete the {} Isolation Segment",
            segment.name
        )));
    }
    if model::isolation_segments::is_entitled_or_used(tx, &segment.guid)? {
        return Err(Error::unprocessable(
            "Revoke the Organization entitlements for your Isolation Segment.",
        ));
    }
    model::isolation_segments::delete(tx, &segment.guid)
}

/// Lets organizations use a segment; `shared` becomes the default of those that have none.
pub(crate) fn entitle(
    tx: &WriteTx<'_>,
    _may: &MayAdminister,
    segment: &IsolationSegment,
    guids: &[String],
) -> Result<()> {
    let found = model::organizations::by_guids(tx, guids)?;
    let missing: Vec<String> = guids
        .iter()
        .filter(|guid| found.iter().all(|o| o.guid.as_str() != guid.as_str()))
        .map(|guid| format!("'{guid}'"))
        .collect();
    if !missing.is_empty() {
        return Err(Error::unprocessable(format!(
            "Unable to entitle organizations [{}] for the isolation segment. Ensure the organizations exist.",
            missing.join(", ")
        )));
    }
    for organization in &found {
        model::isolation_segments::entitle(tx, &segment.guid, &organization.guid)?;
        if segment.is_shared() && organization.default_isolation_segment_guid.is_none() {
            model::organizations::set_default_segment(tx, &organization.guid, Some(&segment.guid))?;
        }
    }
    Ok(())
}

/// Ends an organization's use of a segment, unless it or one of its spaces is in it.
pub(crate) fn revoke(
    tx: &WriteTx<'_>,
    _may: &MayAdminister,
    segment: &IsolationSegment,
    organization: &OrganizationGuid,
) -> Result<()> {
    let found = model::organizations::by_guids(tx, &[organization.to_string()])?;
    let found = found.first().ok_or_else(|| Error::not_found("Org"))?;
    if found.default_isolation_segment_guid.as_ref() == Some(&segment.guid) {
        return Err(Error::unprocessable(
            "Cannot remove the entitlement while this Isolation Segment is assigned as the Default Isolation Segment \
             for the Organization.",
        ));
    }
    let spaces = model::isolation_segments::space_names(tx, &segment.guid, organization)?;
    if !spaces.is_empty() {
        return Err(Error::unprocessable(format!(
            "Cannot remove the entitlement while this Isolation Segment is assigned to any Spaces. Currently assigned \
             to: '{}'",
            spaces.join("', '")
        )));
    }
    model::isolation_segments::revoke(tx, &segment.guid, organization)
}

/// Stores the segment `shared` if it is not there.
pub(crate) fn ensure_shared(tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
    model::isolation_segments::ensure(tx, model::isolation_segments::SHARED, "shared", now)
}
