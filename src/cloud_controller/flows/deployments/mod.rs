//! What can be done to deployments, each inside the caller's transaction, with its audit event.

pub(crate) mod create;
pub(crate) mod rollout;

use serde_json::json;

use crate::base::Timestamp;
use crate::cloud_controller::actions::app_usage_events::Use;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::deployments::{
    Deployment, DeploymentState, DeploymentStatus, StatusReason,
};
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::cloud_controller::{actions, flows, model};
use crate::db::WriteTx;

/// It is over.
pub(crate) fn finalize(
    deployment: &mut Deployment,
    now: Timestamp,
    state: DeploymentState,
    reason: StatusReason,
) {
    deployment.state = state;
    deployment.status_value = DeploymentStatus::Finalized;
    deployment.status_reason = reason;
    deployment.status_updated_at = now;
    deployment.updated_at = now;
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    mut deployment: Deployment,
    metadata: &MetadataChange,
) -> Result<Deployment> {
    may.covers_part(app, &deployment.app_guid)?;
    let guid = deployment.guid.as_str();
    metadata.store(tx, ResourceType::Deployment, guid)?;
    deployment.updated_at = may.now;
    model::deployments::update(tx, &deployment)?;
    Ok(deployment)
}

/// Goes back to the droplet of before.
pub(crate) fn cancel(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: App,
    mut deployment: Deployment,
) -> Result<()> {
    may.covers_part(&app, &deployment.app_guid)?;
    if !deployment.is_cancelable() {
        return Err(refused("cancel", &deployment));
    }
    let previous = deployment.previous_droplet_guid.clone();
    let app = flows::running::assign_droplet(tx, may, app, &previous.unwrap_or_default())?;
    record(tx, may, "audit.app.deployment.cancel", &app, &deployment)?;
    set_status(
        &mut deployment,
        may.now,
        DeploymentState::Canceling,
        StatusReason::Canceling,
    );
    model::deployments::update(tx, &deployment)
}

/// Lets a paused deployment take its next step.
pub(crate) fn proceed(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    mut deployment: Deployment,
) -> Result<()> {
    may.covers_part(app, &deployment.app_guid)?;
    if !deployment.is_continuable() {
        return Err(refused("continue", &deployment));
    }
    record(tx, may, "audit.app.deployment.continue", app, &deployment)?;
    let step = deployment.canary_current_step.unwrap_or(1);
    if step < deployment.canary_steps() {
        deployment.canary_current_step = Some(step + 1);
        set_status(
            &mut deployment,
            may.now,
            DeploymentState::Prepaused,
            StatusReason::Deploying,
        );
    } else {
        set_status(
            &mut deployment,
            may.now,
            DeploymentState::Deploying,
            StatusReason::Deploying,
        );
    }
    model::deployments::update(tx, &deployment)
}

/// It goes on.
pub(crate) fn set_status(
    deployment: &mut Deployment,
    now: Timestamp,
    state: DeploymentState,
    reason: StatusReason,
) {
    if deployment.status_reason != reason {
        deployment.status_updated_at = now;
    }
    deployment.state = state;
    deployment.status_reason = reason;
    deployment.updated_at = now;
}

fn refused(action: &str, deployment: &Deployment) -> Error {
    Error::unprocessable(format!(
        "Cannot {action} a deployment with status: {} and reason: {}",
        deployment.status_value, deployment.status_reason
    ))
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    deployment: &Deployment,
) -> Result<()> {
    let data = json!({
        "deployment_guid": deployment.guid,
        "droplet_guid": deployment.droplet_guid,
    });
    actions::apps::record(tx, recorder, kind, app, &data)
}

/// Gives a process another number of instances. No request names that number, so there is no audit
/// event.
pub(crate) fn resize(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    mut process: Process,
    instances: i64,
) -> Result<()> {
    may.covers_part(app, &process.app_guid)?;
    if process.instances == instances {
        return Ok(());
    }
    let before = Use::Scaled {
        instances: process.instances,
        memory: process.memory,
    };
    process.instances = instances;
    process.updated_at = may.now;
    model::processes::update(tx, &process)?;
    if model::desired::runs(tx, &process.guid)? {
        actions::app_usage_events::of_process(tx, may, &process, before)?;
    }
    Ok(())
}

/// Removes a process whose place another one has taken.
pub(crate) fn remove(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    process: &Process,
) -> Result<()> {
    may.covers_part(app, &process.app_guid)?;
    if model::desired::runs(tx, &process.guid)? {
        actions::app_usage_events::of_process(tx, may, process, Use::Stopped)?;
    }
    model::processes::delete(tx, &process.guid)
}
