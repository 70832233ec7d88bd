//! What can be done to spaces, each inside the caller's transaction.

use serde_json::{Value, json};

use super::payload::{CreateSpace, UpdateSpace};
use super::store::{self, Space};
use crate::base::guid::SpaceGuid;
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::organizations::Organization;
use crate::cloud_controller::v3::{ApiResult, ResourceType};
use crate::cloud_controller::{apps, routes};
use crate::db::WriteTx;

/// Makes a space.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    organization: &Organization,
    wanted: CreateSpace,
) -> ApiResult<Space> {
    let space = Space {
        guid: SpaceGuid::generate(&recorder.guids),
        name: wanted.name,
        organization_guid: organization.guid.clone(),
        quota_guid: None,
        isolation_segment_guid: None,
        ssh_allowed: true,
        created_at: recorder.now,
        updated_at: recorder.now,
        organization_suspended: organization.suspended,
        organization_name: organization.name.clone(),
    };
    store::insert(tx, &space)?;
    wanted
        .metadata
        .store(tx, ResourceType::Space, space.guid.as_str())?;
    let data = json!({ "request": {
        "name": space.name,
        "relationships": { "organization": { "data": { "guid": organization.guid } } },
    } });
    record(tx, recorder, "audit.space.create", &space, &data)?;
    Ok(space)
}

/// Changes name or metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut space: Space,
    change: UpdateSpace,
) -> ApiResult<Space> {
    let mut request = serde_json::Map::new();
    if let Some(name) = change.name {
        request.insert("name".to_owned(), json!(name));
        space.name = name;
    }
    space.updated_at = recorder.now;
    store::update(tx, &space)?;
    change
        .metadata
        .store(tx, ResourceType::Space, space.guid.as_str())?;
    record(
        tx,
        recorder,
        "audit.space.update",
        &space,
        &json!({ "request": request }),
    )?;
    Ok(space)
}

/// Allows or forbids SSH to the space's apps.
pub(super) fn set_ssh(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut space: Space,
    allowed: bool,
) -> ApiResult<()> {
    space.ssh_allowed = allowed;
    space.updated_at = recorder.now;
    store::update(tx, &space)?;
    record(
        tx,
        recorder,
        "audit.space.update",
        &space,
        &json!({ "request": { "allow_ssh": allowed } }),
    )
}

/// Deletes a space with its apps and routes.
pub(crate) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, space: &Space) -> ApiResult<()> {
    apps::actions::delete_in_space(tx, recorder, &space.guid)?;
    routes::actions::delete_in_space(tx, recorder, &space.guid)?;
    record(
        tx,
        recorder,
        "audit.space.delete-request",
        space,
        &json!({ "request": { "recursive": true } }),
    )?;
    store::delete(tx, &space.guid)
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    space: &Space,
    data: &Value,
) -> ApiResult<()> {
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
