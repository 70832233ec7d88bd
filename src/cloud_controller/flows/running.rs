//! Starting, stopping and restarting apps, and the droplet they run.
//!
//! A start writes down what each process runs with ([`super::desired`]); from then on the scheduler sees
//! to it. Changes of environment, droplet or limits act with the next start or restart.

use serde_json::json;

use crate::base::guid::DropletGuid;
use crate::cloud_controller::actions::app_usage_events::Use;
use crate::cloud_controller::actions::apps::record;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::{RunnableApp, Snapshots};
use crate::cloud_controller::model::apps::{App, AppState};
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Starts an app. Processes that run already go on as they are.
pub(crate) fn start(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    mut app: App,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    let was_started = app.state == AppState::Started;
    app.state = AppState::Started;
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    let revision = if was_started {
        actions::revisions::latest(tx, &app)?
    } else {
        actions::revisions::of_start(tx, may, snapshots.vault(), &app)?
    };
    for process in model::processes::of_app(tx, &app.guid)? {
        if !was_started || !model::desired::runs(tx, &process.guid)? {
            actions::app_usage_events::of_process(tx, may, &process, Use::Started)?;
            let runnable = RunnableApp::of(&app, revision.as_ref());
            snapshots.start(tx, may, runnable, process)?;
        }
    }
    model::quotas::check_started(tx, &app)?;
    record(tx, may, "audit.app.start", &app, &json!({}))?;
    Ok(app)
}

/// Stops an app.
pub(crate) fn stop(tx: &WriteTx<'_>, may: &MaySupport, mut app: App) -> Result<App> {
    may.covers(&app.space_guid)?;
    app.state = AppState::Stopped;
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    for process in model::processes::of_app(tx, &app.guid)? {
        if model::desired::runs(tx, &process.guid)? {
            actions::app_usage_events::of_process(tx, may, &process, Use::Stopped)?;
        }
    }
    model::desired::delete_of_app(tx, &app.guid)?;
    record(tx, may, "audit.app.stop", &app, &json!({}))?;
    Ok(app)
}

/// Restarts an app: every instance is replaced and gets the current settings.
pub(crate) fn restart(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    mut app: App,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    app.state = AppState::Started;
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    let revision = actions::revisions::of_start(tx, may, snapshots.vault(), &app)?;
    for process in model::processes::of_app(tx, &app.guid)? {
        let runnable = RunnableApp::of(&app, revision.as_ref());
        restart_process(tx, may, snapshots, runnable, process)?;
    }
    model::quotas::check_started(tx, &app)?;
    record(tx, may, "audit.app.restart", &app, &json!({}))?;
    Ok(app)
}

/// Restarts one process; the caller checks the quotas.
pub(crate) fn restart_process(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    runnable: RunnableApp<'_>,
    process: Process,
) -> Result<()> {
    may.covers_part(runnable.app, &process.app_guid)?;
    if model::desired::runs(tx, &process.guid)? {
        actions::app_usage_events::of_process(tx, may, &process, Use::Stopped)?;
    }
    actions::app_usage_events::of_process(tx, may, &process, Use::Started)?;
    snapshots.start(tx, may, runnable, process)
}

/// Makes a droplet the app's current one, with a process for each of its types.
pub(crate) fn assign_droplet(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    mut app: App,
    droplet: &DropletGuid,
) -> Result<App> {
    may.covers(&app.space_guid)?;
    let found = model::desired::find_droplet(tx, droplet)?.filter(|d| d.app_guid == app.guid);
    let Some(found) = found else {
        return Err(Error::unprocessable(
            "Unable to assign current droplet. Ensure the droplet exists and belongs to this app.",
        ));
    };
    if !found.staged {
        return Err(Error::unprocessable("droplet must be in staged state"));
    }
    app.current_droplet_guid = Some(droplet.clone());
    app.updated_at = may.now;
    model::apps::update(tx, &app)?;
    let data = json!({ "request": { "droplet_guid": droplet } });
    record(tx, may, "audit.app.droplet.mapped", &app, &data)?;
    actions::sidecars::synchronize(tx, may, &app, &found)?;
    // A droplet without any is fine: the app's own processes have their commands.
    for kind in found.process_types.keys() {
        if model::processes::find_of_type(tx, &app.guid, kind)?.is_none() {
            actions::processes::create(tx, may, &app, kind, Cause::Request)?;
        }
    }
    Ok(app)
}
