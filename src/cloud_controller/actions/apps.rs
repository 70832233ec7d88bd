//! What can be done to apps, each inside the caller's transaction, with its audit event.

use serde_json::{Value, json};

use crate::base::guid::AppGuid;
use crate::blobs;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::apps::{
    App, AppState, Feature, LifecycleChange, LifecycleType, Variables, without_password,
};
use crate::cloud_controller::model::audit_events::{Cause, Place, Recorder, Target};
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::apps::{CreateApp, UpdateApp};
use crate::cloud_controller::permits::{MayAdminister, MayReadEnvironment, MaySupport, MayWrite};
use crate::cloud_controller::{actions, model, payload};
use crate::db::{Vault, WriteTx};
use crate::staging::OWNER_CACHE;

const HIDDEN: &str = "[PRIVATE DATA HIDDEN]";

/// Writes an event about an app.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: app.guid.as_str(),
        kind: "app",
        name: &app.name,
    };
    recorder.record(tx, kind, &target, Place::space(&app.space_guid), data)
}

/// Writes that an app's environment was read.
pub(crate) fn record_read(
    tx: &WriteTx<'_>,
    may: &MayReadEnvironment,
    kind: &str,
    app: &App,
) -> Result<()> {
    may.covers(&app.space_guid)?;
    record(tx, may, kind, app, &json!({}))
}

/// Why nobody gets into the app's instances by SSH; `is_on` = the platform lets people in.
pub(crate) fn ssh_refusal(is_on: bool, space: &Space, app: &App) -> Option<String> {
    if !is_on {
        return Some("ssh is disabled globally".to_owned());
    }
    if !space.ssh_allowed {
        return Some(format!("ssh is disabled for space '{}'", space.name));
    }
    let is_off = !app.features.on(Feature::Ssh);
    is_off.then(|| "ssh is disabled for app".to_owned())
}

/// Makes an app with its web process.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    wanted: CreateApp,
    default_stack: &str,
) -> Result<App> {
    may.covers(&wanted.space)?;
    let lifecycle = actions::apps_lifecycle::of_new_app(tx, &wanted.lifecycle, default_stack)?;
    let app = App {
        guid: AppGuid::generate(&may.guids),
        name: wanted.name,
        space_guid: wanted.space,
        state: AppState::Stopped,
        lifecycle,
        current_droplet_guid: None,
        features: model::apps::Features::default(),
        created_at: may.now,
        updated_at: may.now,
    };
    model::apps::insert(tx, &app)?;
    if let Some(variables) = &wanted.environment {
        model::apps::set_environment(tx, vault, &app.guid, variables)?;
    }
    let app = set_credentials(tx, may, vault, app, &wanted.lifecycle)?;
    wanted
        .metadata
        .store(tx, ResourceType::App, app.guid.as_str())?;
    actions::processes::create(tx, may, &app, "web", Cause::Request)?;
    record(tx, may, "audit.app.create", &app, &request(wanted.request))?;
    Ok(app)
}

/// Changes name, lifecycle data or metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    mut app: App,
    change: UpdateApp,
    default_stack: &str,
    cause: Cause,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    app.lifecycle = actions::apps_lifecycle::changed(
        tx,
        &app.guid,
        &app.lifecycle,
        &change.lifecycle,
        default_stack,
    )?;
    if let Some(name) = change.name {
        app.name = name;
    }
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    change
        .metadata
        .store(tx, ResourceType::App, app.guid.as_str())?;
    record(
        tx,
        may,
        "audit.app.update",
        &app,
        &cause.mark(request(change.request)),
    )?;
    Ok(app)
}

/// Stores the credentials of a change of the lifecycle, encrypted, for the app's next build. Other
/// lifecycles than that of Cloud Native Buildpacks ignore them, as on CC.
pub(crate) fn set_credentials(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    mut app: App,
    change: &LifecycleChange,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    if app.lifecycle.kind != LifecycleType::Cnb {
        return Ok(app);
    }
    if let Some(credentials) = &change.credentials {
        let sealed = credentials.as_ref().map(serde_json::to_vec).transpose()?;
        let sealed = sealed.map(|plain| vault.encrypt(&plain)).transpose()?;
        model::apps::set_credentials(tx, &app.guid, sealed.as_deref(), may.now)?;
        app.lifecycle.has_credentials = sealed.is_some();
    }
    Ok(app)
}

/// Merges variables into the app's environment; null removes. Running instances keep theirs until
/// they are started again.
pub(crate) fn update_environment(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    vault: &Vault,
    mut app: App,
    change: Variables,
    cause: Cause,
) -> Result<Variables> {
    may.covers(&app.space_guid)?;
    let mut merged = model::apps::environment(tx, vault, &app.guid)?;
    payload::environment_variable_groups::merge(&mut merged, change);
    model::apps::set_environment(tx, vault, &app.guid, &merged)?;
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    let data = cause.mark(request(json!({ "environment_variables": HIDDEN })));
    record(tx, may, "audit.app.update", &app, &data)?;
    Ok(merged)
}

/// Switches a feature.
pub(crate) fn set_feature(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    mut app: App,
    feature: Feature,
    enabled: bool,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    app.features = app
        .features
        .with(feature, enabled)
        .map_err(Error::unprocessable)?;
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    Ok(app)
}

/// Forgets what staging kept for next time.
pub(crate) fn clear_buildpack_cache(tx: &WriteTx<'_>, may: &MaySupport, app: &App) -> Result<()> {
    may.covers(&app.space_guid)?;
    blobs::release(tx, OWNER_CACHE, app.guid.as_str())?;
    model::apps::clear_buildpack_cache(tx, &app.guid)
}

/// The same of every app.
pub(crate) fn clear_buildpack_caches(tx: &WriteTx<'_>, _: &MayAdminister) -> Result<()> {
    blobs::release_kind(tx, OWNER_CACHE)?;
    model::apps::clear_buildpack_caches(tx)
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
    if let Some(credentials) = request.pointer_mut("/lifecycle/data/credentials") {
        *credentials = json!("***");
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
            "lifecycle": { "data": {
                "buildpacks": ["https://me:geheim@host/b"],
                "credentials": { "host": { "token": "geheim" } },
            } },
        }));
        assert_eq!(
            shown,
            json!({ "request": {
                "name": "a",
                "environment_variables": "[PRIVATE DATA HIDDEN]",
                "lifecycle": { "data": {
                    "buildpacks": ["https://***:***@host/b"],
                    "credentials": "***",
                } },
            } })
        );
    }
}
