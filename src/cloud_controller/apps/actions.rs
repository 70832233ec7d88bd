//! What can be done to apps, each inside the caller's transaction, with its audit event.

use serde_json::{Value, json};

use super::app::{App, AppState, Feature, Variables, without_password};
use super::payload::{CreateApp, UpdateApp};
use super::{lifecycle, store};
use crate::base::guid::{AppGuid, SpaceGuid};
use crate::blobs;
use crate::cloud_controller::audit_events::{Cause, Place, Recorder, Target};
use crate::cloud_controller::routes::{self, destinations};
use crate::cloud_controller::v3::{ApiError, ApiResult, ResourceType};
use crate::cloud_controller::{
    builds, desired, droplets, environment_variable_groups, packages, processes, tasks,
};
use crate::db::{Vault, WriteTx};
use crate::staging::OWNER_CACHE;

pub(crate) use super::running::{assign_droplet, restart, restart_process, start, stop};

const HIDDEN: &str = "[PRIVATE DATA HIDDEN]";

/// Writes an event about an app.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    data: &Value,
) -> ApiResult<()> {
    let target = Target {
        guid: app.guid.as_str(),
        kind: "app",
        name: &app.name,
    };
    recorder.record(tx, kind, &target, Place::space(&app.space_guid), data)
}

/// Makes an app with its web process.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    wanted: CreateApp,
    default_stack: &str,
) -> ApiResult<App> {
    let lifecycle = lifecycle::of_new_app(tx, &wanted.lifecycle, default_stack)?;
    let app = App {
        guid: AppGuid::generate(&recorder.guids),
        name: wanted.name,
        space_guid: wanted.space,
        state: AppState::Stopped,
        lifecycle,
        current_droplet_guid: None,
        features: super::app::Features::default(),
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    store::insert(tx, &app)?;
    if let Some(variables) = &wanted.environment {
        store::set_environment(tx, vault, &app.guid, variables)?;
    }
    wanted
        .metadata
        .store(tx, ResourceType::App, app.guid.as_str())?;
    processes::actions::create(tx, recorder, &app, "web", Cause::Request)?;
    record(
        tx,
        recorder,
        "audit.app.create",
        &app,
        &request(wanted.request),
    )?;
    Ok(app)
}

/// Changes name, lifecycle data or metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut app: App,
    change: UpdateApp,
    default_stack: &str,
    cause: Cause,
) -> ApiResult<App> {
    app.lifecycle = lifecycle::changed(
        tx,
        &app.guid,
        &app.lifecycle,
        &change.lifecycle,
        default_stack,
    )?;
    if let Some(name) = change.name {
        app.name = name;
    }
    app.updated_at = recorder.now;
    store::update(tx, &app)?;
    change
        .metadata
        .store(tx, ResourceType::App, app.guid.as_str())?;
    record(
        tx,
        recorder,
        "audit.app.update",
        &app,
        &cause.mark(request(change.request)),
    )?;
    Ok(app)
}

/// Merges variables into the app's environment; null removes. Running instances keep theirs until
/// they are started again.
pub(crate) fn update_environment(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    mut app: App,
    change: Variables,
    cause: Cause,
) -> ApiResult<Variables> {
    let mut merged = store::environment(tx, vault, &app.guid)?;
    environment_variable_groups::merge(&mut merged, change);
    store::set_environment(tx, vault, &app.guid, &merged)?;
    app.updated_at = recorder.now;
    store::update(tx, &app)?;
    let data = cause.mark(request(json!({ "environment_variables": HIDDEN })));
    record(tx, recorder, "audit.app.update", &app, &data)?;
    Ok(merged)
}

/// Switches a feature.
pub(crate) fn set_feature(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut app: App,
    feature: Feature,
    enabled: bool,
) -> ApiResult<App> {
    app.features = app
        .features
        .with(feature, enabled)
        .map_err(ApiError::unprocessable)?;
    app.updated_at = recorder.now;
    store::update(tx, &app)?;
    Ok(app)
}

/// Forgets what staging kept for next time.
pub(crate) fn clear_buildpack_cache(tx: &WriteTx<'_>, app: &App) -> ApiResult<()> {
    blobs::store::release(tx, OWNER_CACHE, app.guid.as_str())?;
    store::clear_buildpack_cache(tx, &app.guid)
}

/// The same of every app.
pub(super) fn clear_buildpack_caches(tx: &WriteTx<'_>) -> ApiResult<()> {
    blobs::store::release_kind(tx, OWNER_CACHE)?;
    store::clear_buildpack_caches(tx)
}

/// Deletes an app with all that belongs to it; its instances are stopped by the scheduler.
pub(crate) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, app: &App) -> ApiResult<()> {
    builds::store::release_of_app(tx, &app.guid)?;
    for package in packages::store::of_app(tx, &app.guid)? {
        packages::store::delete(tx, &package)?;
        let data = json!({ "package_guid": package });
        record(tx, recorder, "audit.app.package.delete", app, &data)?;
    }
    for droplet in droplets::store::of_app(tx, &app.guid)? {
        droplets::store::delete(tx, &droplet)?;
        let data = json!({ "droplet_guid": droplet });
        record(tx, recorder, "audit.app.droplet.delete", app, &data)?;
    }
    for route in routes::store::of_app(tx, &app.guid)? {
        for destination in destinations::store::of_route(tx, &route.guid)? {
            if destination.key.app_guid == app.guid {
                let cause = Cause::Request;
                destinations::actions::unmap(tx, recorder, &route, &destination, cause)?;
            }
        }
    }
    for process in processes::store::of_app(tx, &app.guid)? {
        processes::actions::record_delete(tx, recorder, app, &process)?;
    }
    tasks::actions::delete_of_app(tx, recorder, &app.guid)?;
    clear_buildpack_cache(tx, app)?;
    record(tx, recorder, "audit.app.delete-request", app, &json!({}))?;
    desired::store::forget_app(tx, &app.guid)?;
    store::delete(tx, &app.guid)
}

/// Deletes all apps of a space.
pub(crate) fn delete_in_space(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    space: &SpaceGuid,
) -> ApiResult<()> {
    store::in_space(tx, space)?
        .iter()
        .try_for_each(|app| delete(tx, recorder, app))
}

/// A request as audit events show it: without secrets.
fn request(mut request: Value) -> Value {
    if let Some(variables) = request.get_mut("environment_variables") {
        *variables = json!(HIDDEN);
    }
    if let Some(Value::Array(buildpacks)) = request.pointer_mut("/lifecycle/data/buildpacks") {
        for buildpack in buildpacks {
            if let Value::String(text) = buildpack {
                *text = without_password(text);
            }
        }
    }
    json!({ "request": request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_carry_no_secrets() {
        let shown = request(json!({
            "name": "a",
            "environment_variables": { "TOKEN": "geheim" },
            "lifecycle": { "data": { "buildpacks": ["https://me:geheim@host/b"] } },
        }));
        assert_eq!(
            shown,
            json!({ "request": {
                "name": "a",
                "environment_variables": "[PRIVATE DATA HIDDEN]",
                "lifecycle": { "data": { "buildpacks": ["https://***:***@host/b"] } },
            } })
        );
    }
}
