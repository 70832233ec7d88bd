//! What can be done to deployments, each inside the caller's transaction, with its audit event.

use serde_json::{Value, json};

use super::payload::{CreateDeployment, Source};
use super::store::{self, Deployment};
use crate::base::guid::{DeploymentGuid, DropletGuid};
use crate::cloud_controller::apps::{self, App, AppState, Feature};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::desired::{self, Snapshots};
use crate::cloud_controller::processes;
use crate::cloud_controller::revisions::{self, Revision};
use crate::cloud_controller::v3::{ApiError, ApiResult, MetadataChange, ResourceType};
use crate::db::{ReadTx, WriteTx};

/// Deploys a stopped app: it gets the droplet, or all of the revision, and is started with it.
/// Replacing the instances of a started app step by step needs an engine that is not there.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    snapshots: &Snapshots,
    app: App,
    wanted: CreateDeployment,
) -> ApiResult<Deployment> {
    let is_rollback = matches!(wanted.source, Source::Revision(_));
    if is_rollback && !app.features.on(Feature::Revisions) {
        return Err(ApiError::unprocessable(
            "Cannot create deployment from a revision for an app without revisions enabled",
        ));
    }
    let (droplet, target) = target(tx, &app, &wanted.source)?;
    if app.state == AppState::Started {
        return Err(ApiError::unprocessable(
            "Rolling and canary deployments of a started app are not available in this version of cflite: \
             push or restart it without --strategy, or stop it before a rollback.",
        ));
    }
    let previous = app.current_droplet_guid.clone();
    let app = apps::actions::assign_droplet(tx, recorder, app, &droplet)?;
    if let Some(target) = &target {
        revisions::actions::roll_back(tx, recorder, snapshots.vault(), &app, target)?;
    }
    if let Some(web) = processes::store::find_of_type(tx, &app.guid, "web")? {
        processes::actions::resize(tx, recorder, &app, web, wanted.scaling)?;
    }
    let app = apps::actions::start(tx, recorder, snapshots, app)?;
    let revision = revisions::actions::latest(tx, &app)?;
    let canary = wanted.strategy == "canary";
    let deployment = Deployment {
        guid: DeploymentGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        state: "DEPLOYED".to_owned(),
        status_value: "FINALIZED".to_owned(),
        status_reason: "DEPLOYED".to_owned(),
        strategy: wanted.strategy,
        options: Value::Object(wanted.options),
        droplet_guid: Some(droplet),
        previous_droplet_guid: previous,
        revision_version: revision.as_ref().map(|revision| revision.version),
        revision_guid: revision.map(|revision| revision.guid),
        canary_current_step: canary.then_some(1),
        error: None,
        last_healthy_at: None,
        status_updated_at: recorder.now,
        new_processes: json!([]),
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    store::insert(tx, &deployment)?;
    let guid = deployment.guid.as_str();
    wanted.metadata.store(tx, ResourceType::Deployment, guid)?;
    let data = json!({
        "deployment_guid": deployment.guid,
        "droplet_guid": deployment.droplet_guid,
        "type": is_rollback.then_some("rollback"),
        "revision_guid": deployment.revision_guid,
        "request": wanted.request,
        "strategy": deployment.strategy,
    });
    apps::actions::record(tx, recorder, "audit.app.deployment.create", &app, &data)?;
    Ok(deployment)
}

/// The droplet that is to run, and the revision it comes from.
fn target(
    tx: &ReadTx<'_>,
    app: &App,
    source: &Source,
) -> ApiResult<(DropletGuid, Option<Revision>)> {
    match source {
        Source::Current => match &app.current_droplet_guid {
            Some(droplet) => Ok((droplet.clone(), None)),
            None => Err(ApiError::unprocessable(
                "Invalid droplet. Please specify a droplet in the request or set a current droplet for the app.",
            )),
        },
        Source::Droplet(droplet) => Ok((droplet.clone(), None)),
        Source::Revision(guid) => {
            let revision = revisions::store::find(tx, guid)?
                .filter(|revision| revision.app_guid == app.guid)
                .ok_or_else(|| ApiError::unprocessable("The revision does not exist"))?;
            let droplet = desired::store::find_droplet(tx, &revision.droplet_guid)?;
            let droplet = droplet.filter(|droplet| droplet.staged).ok_or_else(|| {
                ApiError::unprocessable(
                    "Unable to deploy this revision, the droplet for this revision no longer exists.",
                )
            })?;
            Ok((droplet.guid, Some(revision)))
        }
    }
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
    set_status(&mut deployment, recorder, ("CANCELING", "CANCELING"));
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
        set_status(&mut deployment, recorder, ("PREPAUSED", "DEPLOYING"));
    } else {
        set_status(&mut deployment, recorder, ("DEPLOYING", "DEPLOYING"));
    }
    store::update(tx, &deployment)
}

fn set_status(deployment: &mut Deployment, recorder: &Recorder, (state, reason): (&str, &str)) {
    deployment.state = state.to_owned();
    deployment.status_value = "ACTIVE".to_owned();
    deployment.status_reason = reason.to_owned();
    deployment.status_updated_at = recorder.now;
    deployment.updated_at = recorder.now;
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
