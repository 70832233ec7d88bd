//! Creates deployments, inside the caller's transaction, with the audit event.

use serde_json::{Value, json};

use crate::base::guid::{DeploymentGuid, DropletGuid, ProcessGuid};
use crate::cloud_controller::actions::app_usage_events::Use;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::deployments::{finalize, remove};
use crate::cloud_controller::flows::desired::{RunnableApp, Snapshots};
use crate::cloud_controller::metadata::{Between, Metadata, ResourceType};
use crate::cloud_controller::model::apps::{App, AppState, Feature};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::deployments::{
    Deployment, DeploymentState, DeploymentStatus, StatusReason,
};
use crate::cloud_controller::model::processes::{Process, Scaling};
use crate::cloud_controller::model::revisions::Revision;
use crate::cloud_controller::payload::deployments::{CreateDeployment, Source};
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::{actions, flows, model};
use crate::db::{ReadTx, WriteTx};

/// Deploys: the app gets the droplet, or all of the revision. A stopped app is started with it; of
/// a started one a second web process begins to take the place of the first.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    app: App,
    wanted: CreateDeployment,
) -> Result<Deployment> {
    may.covers(&app.space_guid)?;
    let is_rollback = matches!(wanted.source, Source::Revision(_));
    if is_rollback {
        check_revisions_are_on(&app)?;
    }
    let (droplet, target) = target(tx, &app, &wanted.source)?;
    let started = app.state == AppState::Started;
    if started {
        fits_in_the_end(tx, &app, &wanted)?;
    }
    let previous = app.current_droplet_guid.clone();
    let app = flows::running::assign_droplet(tx, may, app, &droplet)?;
    let before = model::processes::of_app(tx, &app.guid)?;
    if let Some(target) = &target {
        actions::revisions::roll_back(tx, may, snapshots.vault(), &app, target)?;
    }
    let mut deployment = new(tx, may, &app, &wanted)?;
    deployment.droplet_guid = Some(droplet);
    deployment.previous_droplet_guid = previous;
    let app = if started {
        let revision = if is_rollback {
            actions::revisions::latest(tx, &app)?
        } else {
            actions::revisions::of_start(tx, may, snapshots.vault(), &app)?
        };
        supersede(tx, may, &app)?;
        restore_commands(tx, before)?;
        let runnable = RunnableApp::of(&app, revision.as_ref());
        let process = second_web(tx, may, snapshots, runnable, &deployment, wanted.scaling)?;
        deployment.process_guid = Some(process);
        app
    } else {
        supersede(tx, may, &app)?;
        if let Some(web) = only_newest_web(tx, may, &app)? {
            actions::processes::resize(tx, may, &app, web, wanted.scaling)?;
        }
        let (state, reason) = (DeploymentState::Deployed, StatusReason::Deployed);
        finalize(&mut deployment, may.now, state, reason);
        let started = flows::running::start(tx, may, snapshots, app.clone());
        started.map_err(|error| with_hint(tx, &app, error))?
    };
    let revision = actions::revisions::latest(tx, &app)?;
    deployment.revision_version = revision.as_ref().map(|revision| revision.version);
    deployment.revision_guid = revision.map(|revision| revision.guid);
    model::deployments::insert(tx, &deployment)?;
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
    actions::apps::record(tx, may, "audit.app.deployment.create", &app, &data)?;
    Ok(deployment)
}

fn check_revisions_are_on(app: &App) -> Result<()> {
    if app.features.on(Feature::Revisions) {
        return Ok(());
    }
    Err(Error::unprocessable(
        "Cannot create deployment from a revision for an app without revisions enabled",
    ))
}

/// A deployment that has yet to begin.
fn new(
    tx: &ReadTx<'_>,
    recorder: &Recorder,
    app: &App,
    wanted: &CreateDeployment,
) -> Result<Deployment> {
    let canary = wanted.strategy == "canary";
    let original = match model::deployments::active_of_app(tx, &app.guid)? {
        Some(before) => before.original_instances,
        None => model::processes::oldest_web(tx, &app.guid)?.map_or(1, |web| web.instances),
    };
    Ok(Deployment {
        guid: DeploymentGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        state: if canary {
            DeploymentState::Prepaused
        } else {
            DeploymentState::Deploying
        },
        status_value: DeploymentStatus::Active,
        status_reason: StatusReason::Deploying,
        strategy: wanted.strategy.clone(),
        options: Value::Object(wanted.options.clone()),
        droplet_guid: None,
        previous_droplet_guid: None,
        revision_version: None,
        revision_guid: None,
        canary_current_step: canary.then_some(1),
        error: None,
        last_healthy_at: None,
        status_updated_at: recorder.now,
        process_guid: None,
        original_instances: original,
        created_at: recorder.now,
        updated_at: recorder.now,
    })
}

/// 422 when the app as it is to be in the end does not fit its quotas.
fn fits_in_the_end(tx: &WriteTx<'_>, app: &App, wanted: &CreateDeployment) -> Result<()> {
    let Scaling {
        instances,
        memory,
        log_rate_limit,
        ..
    } = wanted.scaling;
    if instances.is_none() && memory.is_none() && log_rate_limit.is_none() {
        return Ok(());
    }
    let Some(web) = model::processes::find_of_type(tx, &app.guid, "web")? else {
        return Ok(());
    };
    model::processes::update(tx, &actions::processes::sized(tx, &web, wanted.scaling)?)?;
    fits(tx, app)?;
    model::processes::update(tx, &web)
}

fn fits(tx: &ReadTx<'_>, app: &App) -> Result<()> {
    model::quotas::check_started(tx, app).map_err(|error| with_hint(tx, app, error))
}

/// Names the place whose quota is exceeded.
fn with_hint(tx: &ReadTx<'_>, app: &App, error: Error) -> Error {
    const HINT: &str = "This space's quota may not be large enough to support rolling deployments \
                        or your configured max-in-flight.";
    let text = error.detail();
    let space = ["space_quota_exceeded", "space_app_instance_limit_exceeded"];
    let organization = ["quota_exceeded", "app_instance_limit_exceeded"];
    let Ok(Some(around)) = model::spaces::find(tx, &app.space_guid) else {
        return error;
    };
    if space.iter().any(|part| text.contains(part)) {
        let name = &around.name;
        Error::unprocessable(format!("{text} for space {name}. {HINT}"))
    } else if organization.iter().any(|part| text.contains(part)) {
        let (name, hint) = (
            &around.organization_name,
            HINT.replace("space's", "organization's"),
        );
        Error::unprocessable(format!("{text} for organization {name}. {hint}"))
    } else {
        error
    }
}

/// Starts the process that is to take the place of the web process: like it, but with the droplet
/// and the commands of the revision.
fn second_web(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    runnable: RunnableApp<'_>,
    deployment: &Deployment,
    scaling: Scaling,
) -> Result<ProcessGuid> {
    let RunnableApp { app, revision } = runnable;
    let Some(now) = model::processes::find_of_type(tx, &app.guid, "web")? else {
        return Err(Error::unprocessable("The app has no web process."));
    };
    let mut process = actions::processes::sized(tx, &now, scaling)?;
    process.guid = ProcessGuid::generate(&may.guids);
    process.instances = deployment.first_instances();
    process.created_at = may.now;
    process.revision_guid = None;
    if let Some(command) = revision.and_then(|r| r.command("web")) {
        process.command = command;
    }
    model::processes::insert(tx, &process)?;
    let between = Between {
        from: now.guid.as_str(),
        to: process.guid.as_str(),
    };
    Metadata::copy(tx, ResourceType::Process, between)?;
    actions::app_usage_events::of_process(tx, may, &process, Use::Started)?;
    let guid = process.guid.clone();
    snapshots.start(tx, may, runnable, process)?;
    fits(tx, app)?;
    Ok(guid)
}

/// A stopped app has no instances to keep: what a deployment on its way left goes.
fn only_newest_web(tx: &WriteTx<'_>, may: &MaySupport, app: &App) -> Result<Option<Process>> {
    let newest = model::processes::find_of_type(tx, &app.guid, "web")?;
    for process in model::processes::of_app(tx, &app.guid)? {
        let is_newest = newest.as_ref().is_some_and(|web| web.guid == process.guid);
        if process.kind == "web" && !is_newest {
            remove(tx, may, app, &process)?;
        }
    }
    Ok(newest)
}

/// Commands of a revision are the new process's at first; other types get them in the end.
fn restore_commands(tx: &WriteTx<'_>, before: Vec<Process>) -> Result<()> {
    for process in before {
        if let Some(mut now) = model::processes::find(tx, &process.guid)? {
            now.command = process.command;
            model::processes::update(tx, &now)?;
        }
    }
    Ok(())
}

/// Another deployment takes the place of the one that is under way.
fn supersede(tx: &WriteTx<'_>, recorder: &Recorder, app: &App) -> Result<()> {
    let Some(mut before) = model::deployments::active_of_app(tx, &app.guid)? else {
        return Ok(());
    };
    let state = if before.state == DeploymentState::Deploying {
        DeploymentState::Deployed
    } else {
        DeploymentState::Canceled
    };
    finalize(&mut before, recorder.now, state, StatusReason::Superseded);
    model::deployments::update(tx, &before)
}

/// The droplet that is to run, and the revision it comes from.
fn target(tx: &ReadTx<'_>, app: &App, source: &Source) -> Result<(DropletGuid, Option<Revision>)> {
    match source {
        Source::Current => match &app.current_droplet_guid {
            Some(droplet) => Ok((droplet.clone(), None)),
            None => Err(Error::unprocessable(
                "Invalid droplet. Please specify a droplet in the request or set a current droplet for the app.",
            )),
        },
        Source::Droplet(droplet) => Ok((droplet.clone(), None)),
        Source::Revision(guid) => {
            let revision = model::revisions::find(tx, guid)?
                .filter(|revision| revision.app_guid == app.guid)
                .ok_or_else(|| Error::unprocessable("The revision does not exist"))?;
            let droplet = model::desired::find_droplet(tx, &revision.droplet_guid)?;
            let droplet = droplet.filter(|droplet| droplet.staged).ok_or_else(|| {
                Error::unprocessable(
                    "Unable to deploy this revision, the droplet for this revision no longer exists.",
                )
            })?;
            Ok((droplet.guid, Some(revision)))
        }
    }
}
