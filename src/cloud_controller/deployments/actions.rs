//! What can be done to deployments, each inside the caller's transaction, with its audit event.

use serde_json::json;

use super::deployment::Deployment;
use super::store;
use crate::base::Timestamp;
use crate::cloud_controller::app_usage_events::{self, actions::Use};
use crate::cloud_controller::apps::{self, App};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::desired;
use crate::cloud_controller::processes::{self, Process};
use crate::cloud_controller::v3::{ApiError, ApiResult, MetadataChange, ResourceType};
use crate::db::WriteTx;

/// It is over.
pub(super) fn finalize(deployment: &mut Deployment, now: Timestamp, (state, reason): (&str, &str)) {
    deployment.state = state.to_owned();
    deployment.status_value = "FINALIZED".to_owned();
    deployment.status_reason = reason.to_owned();
    deployment.status_updated_at = now;
    deployment.updated_at = now;
}

/// Changes metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut deployment: Deployment,
    metadata: &MetadataChange,
) -> ApiResult<Deployment> {
    let guid = deployment.guid.as_str();
    metadata.store(tx, ResourceType::Deployment, guid)?;
    deployment.updated_at = recorder.now;
    store::update(tx, &deployment)?;
    Ok(deployment)
}

/// Goes back to the droplet of before.
pub(super) fn cancel(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    app: App,
    mut deployment: Deployment,
) -> ApiResult<()> {
    if !deployment.is_cancelable() {
        return Err(refused("cancel", &deployment));
    }
    let previous = deployment.previous_droplet_guid.clone();
    let app = apps::actions::assign_droplet(tx, recorder, app, &previous.unwrap_or_default())?;
    record(
        tx,
        recorder,
        "audit.app.deployment.cancel",
        &app,
        &deployment,
    )?;
    set_status(&mut deployment, recorder.now, ("CANCELING", "CANCELING"));
    store::update(tx, &deployment)
}

/// Lets a paused deployment take its next step.
pub(super) fn proceed(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    app: &App,
    mut deployment: Deployment,
) -> ApiResult<()> {
    if !deployment.is_continuable() {
        return Err(refused("continue", &deployment));
    }
    record(
        tx,
        recorder,
        "audit.app.deployment.continue",
        app,
        &deployment,
    )?;
    let step = deployment.canary_current_step.unwrap_or(1);
    if step < deployment.canary_steps() {
        deployment.canary_current_step = Some(step + 1);
        set_status(&mut deployment, recorder.now, ("PREPAUSED", "DEPLOYING"));
    } else {
        set_status(&mut deployment, recorder.now, ("DEPLOYING", "DEPLOYING"));
    }
    store::update(tx, &deployment)
}

/// It goes on.
pub(super) fn set_status(
    deployment: &mut Deployment,
    now: Timestamp,
    (state, reason): (&str, &str),
) {
    if deployment.status_reason != reason {
        deployment.status_updated_at = now;
    }
    deployment.state = state.to_owned();
    deployment.status_reason = reason.to_owned();
    deployment.updated_at = now;
}

fn refused(deed: &str, deployment: &Deployment) -> ApiError {
    ApiError::unprocessable(format!(
        "Cannot {deed} a deployment with status: {} and reason: {}",
        deployment.status_value, deployment.status_reason
    ))
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    deployment: &Deployment,
) -> ApiResult<()> {
    let data = json!({
        "deployment_guid": deployment.guid,
        "droplet_guid": deployment.droplet_guid,
    });
    apps::actions::record(tx, recorder, kind, app, &data)
}

/// Gives a process another number of instances; nobody asked for that, so there is no event.
pub(super) fn resize(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut process: Process,
    instances: i64,
) -> ApiResult<()> {
    if process.instances == instances {
        return Ok(());
    }
    let before = Use::Scaled {
        instances: process.instances,
        memory: process.memory,
    };
    process.instances = instances;
    process.updated_at = recorder.now;
    processes::store::update(tx, &process)?;
    if desired::store::runs(tx, &process.guid)? {
        app_usage_events::actions::of_process(tx, recorder, &process, before)?;
    }
    Ok(())
}

/// Removes a process whose place another one has taken.
pub(super) fn remove(tx: &WriteTx<'_>, recorder: &Recorder, process: &Process) -> ApiResult<()> {
    if desired::store::runs(tx, &process.guid)? {
        app_usage_events::actions::of_process(tx, recorder, process, Use::Stopped)?;
    }
    processes::store::delete(tx, &process.guid)
}
