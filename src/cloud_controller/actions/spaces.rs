//! What can be done to spaces, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::{IsolationSegmentGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::spaces::{CreateSpace, SpaceChange};
use crate::cloud_controller::permits::{MayManage, MayManageSpace, SpaceSuspension};
use crate::db::WriteTx;

/// Makes a space.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayManage,
    organization: &Organization,
    wanted: CreateSpace,
) -> Result<Space> {
    may.covers(&organization.guid)?;
    let space = Space {
        guid: SpaceGuid::generate(&may.guids),
        name: wanted.name,
        organization_guid: organization.guid.clone(),
        quota_guid: None,
        isolation_segment_guid: None,
        ssh_allowed: true,
        created_at: may.now,
        updated_at: may.now,
        suspended: wanted.suspended,
        organization_name: organization.name.clone(),
    };
    model::spaces::insert(tx, &space)?;
    wanted
        .metadata
        .store(tx, ResourceType::Space, space.guid.as_str())?;
    let data = json!({ "request": wanted.request });
    record(tx, may, "audit.space.create", &space, &data)?;
    Ok(space)
}

/// Changes name and metadata, and whether the space is suspended.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayManageSpace,
    mut space: Space,
    change: SpaceChange,
    suspension: Option<&SpaceSuspension>,
) -> Result<Space> {
    may.covers(&space.guid)?;
    if let Some(suspension) = suspension {
        space.suspended = suspension.of(&space.guid)?;
    }
    space.name = change.name.unwrap_or(space.name);
    space.updated_at = may.now;
    model::spaces::update(tx, &space)?;
    change
        .metadata
        .store(tx, ResourceType::Space, space.guid.as_str())?;
    record(
        tx,
        may,
        "audit.space.update",
        &space,
        &json!({ "request": change.request }),
    )?;
    Ok(space)
}

/// Puts a space in an isolation segment its organization is entitled to, or in none of its own.
pub(crate) fn set_isolation_segment(
    tx: &WriteTx<'_>,
    may: &MayManage,
    mut space: Space,
    segment: Option<IsolationSegmentGuid>,
) -> Result<Space> {
    may.covers(&space.organization_guid)?;
    if let Some(segment) = &segment
        && !model::isolation_segments::is_entitled(tx, segment, &space.organization_guid)?
    {
        return Err(Error::unprocessable(format!(
            "Unable to assign isolation segment with guid '{segment}'. Ensure it has been entitled to the organization \
             that this space belongs to."
        )));
    }
    space.isolation_segment_guid = segment;
    space.updated_at = may.now;
    model::spaces::update(tx, &space)?;
    let data = space.isolation_segment_guid.as_ref();
    let data = data.map(|guid| json!({ "guid": guid }));
    let data = json!({ "request": { "data": data } });
    record(tx, may, "audit.space.update", &space, &data)?;
    Ok(space)
}

/// Allows or forbids SSH to the space's apps.
pub(crate) fn set_ssh(
    tx: &WriteTx<'_>,
    may: &MayManageSpace,
    mut space: Space,
    allowed: bool,
) -> Result<()> {
    may.covers(&space.guid)?;
    space.ssh_allowed = allowed;
    space.updated_at = may.now;
    model::spaces::update(tx, &space)?;
    record(
        tx,
        may,
        "audit.space.update",
        &space,
        &json!({ "request": { "allow_ssh": allowed } }),
    )
}

/// Writes an audit event of a space.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    space: &Space,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: space.guid.as_str(),
        kind: "space",
        name: &space.name,
    };
    let place = Place {
        space: Some(&space.guid),
        organization: Some(&space.organization_guid),
    };
    recorder.record(tx, kind, &target, place, data)
}
