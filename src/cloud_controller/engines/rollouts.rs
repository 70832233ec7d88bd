//! Advances deployments. All state is in the database, so a step that a killed process did not
//! commit is decided again.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::base::guid::{DeploymentGuid, InstanceGuid};
use crate::base::{Clock, GuidSource, Supervisor, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::deployments::rollout::{Counts, Step};
use crate::cloud_controller::flows::deployments::{finalize, remove, resize, set_status};
use crate::cloud_controller::flows::desired::{RunnableApp, Snapshots};
use crate::cloud_controller::model::apps::{App, AppState, Feature};
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::model::deployments::{Deployment, DeploymentState, StatusReason};
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::{flows, model};
use crate::db::{Db, ReadTx, WriteTx};
use crate::scheduler::{self, InstanceState, RoutableInstance};

/// Delay before the next pass after a failed one.
const RETRY: Duration = Duration::from_secs(5);

/// Advances deployments; cheap to clone.
#[derive(Clone)]
pub(crate) struct Rollouts {
    db: Db,
    clock: Arc<dyn Clock>,
    guids: GuidSource,
    snapshots: Snapshots,
    routable: watch::Receiver<Arc<Vec<RoutableInstance>>>,
}

/// The routable instances, which the router may know of. An instance is not replaced before its
/// successor is among them.
type Serving = BTreeSet<InstanceGuid>;

impl Rollouts {
    /// A worker for this controller.
    pub(crate) fn new(cc: &CloudController, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: cc.db().clone(),
            clock,
            guids: cc.guids().clone(),
            snapshots: Snapshots::of(cc),
            routable: cc.scheduler().routable(),
        }
    }

    /// Starts the worker.
    pub(crate) fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("deployments", move |token| this.clone().run(token));
    }

    /// Runs a pass after every change, including instances that start and stop.
    async fn run(mut self, token: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.db.changes();
        loop {
            changes.borrow_and_update();
            let serving = self.routable.borrow_and_update().clone();
            let serving = serving.iter().map(|one| one.instance_guid.clone());
            let passed = self.pass(Arc::new(serving.collect())).await;
            if let Err(error) = &passed {
                tracing::warn!(%error, "cannot advance deployments; retrying");
            }
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() {
                    return Ok(());
                },
                changed = self.routable.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = sleep(RETRY), if !matches!(passed, Ok(true)) => {}
            }
        }
    }

    /// Returns false when something failed that may work later.
    async fn pass(&self, serving: Arc<Serving>) -> Result<bool> {
        let now_serving = serving.clone();
        let read = self.db.read(move |tx| {
            let found = model::deployments::to_advance(tx)?.into_iter();
            // A deployment that cannot be read reports its error in its own turn.
            let ready = found.filter(|deployment| {
                let ready = is_ready(tx, deployment, &now_serving);
                ready.unwrap_or(true)
            });
            Ok::<_, Error>(ready.map(|deployment| deployment.guid).collect::<Vec<_>>())
        });
        let mut all_advanced = true;
        for guid in read.await? {
            let (this, serving) = (self.clone(), serving.clone());
            let write = self.db.write({
                let guid = guid.clone();
                move |tx| this.advance(tx, &guid, &serving)
            });
            if let Err(error) = write.await {
                all_advanced = false;
                tracing::warn!(deployment.guid = %guid, %error, "cannot advance deployment; retrying");
                let (now, text) = (self.clock.now(), error.detail().to_owned());
                let failed = guid.clone();
                let write = self
                    .db
                    .write_without_wake(move |tx| record_error(tx, &failed, text, now));
                if let Err(error) = write.await {
                    tracing::warn!(deployment.guid = %guid, %error, "cannot record the error of a deployment");
                }
            }
        }
        Ok(all_advanced)
    }

    fn advance(&self, tx: &WriteTx<'_>, guid: &DeploymentGuid, serving: &Serving) -> Result<()> {
        let recorder = Recorder {
            actor: Actor {
                guid: guid.to_string(),
                kind: "system",
                name: "deployments".to_owned(),
            },
            now: self.clock.now(),
            guids: self.guids.clone(),
        };
        let Some(deployment) = model::deployments::find(tx, guid)? else {
            return Ok(());
        };
        let Some(app) = model::apps::find(tx, &deployment.app_guid)? else {
            return Ok(());
        };
        let may = MaySupport::of_platform(recorder, &app.space_guid);
        if deployment.state == DeploymentState::Canceling {
            return cancel(tx, &may, &app, deployment);
        }
        let Some(web) = web_processes(tx, &deployment)? else {
            return abandon(tx, &may, deployment);
        };
        match step(tx, &deployment, &web, serving)? {
            Some(step) => self.apply(tx, &may, &app, deployment, Next { web, step }),
            None => Ok(()),
        }
    }

    fn apply(
        &self,
        tx: &WriteTx<'_>,
        may: &MaySupport,
        app: &App,
        mut deployment: Deployment,
        next: Next,
    ) -> Result<()> {
        let Next { web, step } = next;
        let WebProcesses { new, old } = web;
        let oldest = old.iter().min_by_key(|process| process.created_at);
        let oldest = oldest.map(|process| process.guid.clone());
        for (process, instances) in old.into_iter().zip(step.old) {
            if instances == 0 && oldest.as_ref() != Some(&process.guid) {
                remove(tx, may, app, &process)?;
            } else {
                resize(tx, may, app, process, instances)?;
            }
        }
        deployment.error = None;
        if step.finished {
            return self.reach_goal(tx, may, app, deployment, &new);
        }
        if step.new != new.instances {
            deployment.last_healthy_at = Some(may.now);
            resize(tx, may, app, new, step.new)?;
            model::quotas::check_started(tx, app)?;
        }
        deployment.updated_at = may.now;
        model::deployments::update(tx, &deployment)
    }

    /// The goal is reached: a canary pauses, other deployments are done.
    fn reach_goal(
        &self,
        tx: &WriteTx<'_>,
        may: &MaySupport,
        app: &App,
        mut deployment: Deployment,
        new: &Process,
    ) -> Result<()> {
        if deployment.state == DeploymentState::Prepaused {
            deployment.last_healthy_at = Some(may.now);
            set_status(
                &mut deployment,
                may.now,
                DeploymentState::Paused,
                StatusReason::Paused,
            );
            return model::deployments::update(tx, &deployment);
        }
        let revision = match &new.revision_guid {
            Some(guid) if app.features.on(Feature::Revisions) => model::revisions::find(tx, guid)?,
            _ => None,
        };
        for mut process in model::processes::of_app(tx, &app.guid)? {
            if process.kind != "web" {
                // Other types have no second process: they restart with the new process's settings.
                let revision = revision.as_ref();
                if let Some(command) = revision.and_then(|r| r.command(&process.kind)) {
                    process.command = command;
                }
                let runnable = RunnableApp::of(app, revision);
                flows::running::restart_process(tx, may, &self.snapshots, runnable, process)?;
            } else if process.guid != new.guid {
                remove(tx, may, app, &process)?;
            }
        }
        finalize(
            &mut deployment,
            may.now,
            DeploymentState::Deployed,
            StatusReason::Deployed,
        );
        model::deployments::update(tx, &deployment)
    }
}

/// Records why a deployment does not progress; it is retried.
fn record_error(
    tx: &WriteTx<'_>,
    guid: &DeploymentGuid,
    text: String,
    now: Timestamp,
) -> Result<()> {
    let found = model::deployments::find(tx, guid)?;
    let Some(mut deployment) = found.filter(|one| one.error.as_ref() != Some(&text)) else {
        return Ok(());
    };
    deployment.error = Some(text);
    deployment.updated_at = now;
    model::deployments::update(tx, &deployment)
}

/// Whether there is something to do.
fn is_ready(tx: &ReadTx<'_>, deployment: &Deployment, serving: &Serving) -> Result<bool> {
    if deployment.state == DeploymentState::Canceling {
        return Ok(true);
    }
    match web_processes(tx, deployment)? {
        None => Ok(true),
        Some(web) => Ok(step(tx, deployment, &web, serving)?.is_some()),
    }
}

/// The new web process and the others in the order in which they are removed: canaries that were
/// never continued, then the oldest.
struct WebProcesses {
    new: Process,
    old: Vec<Process>,
}

/// What is to become of them.
struct Next {
    web: WebProcesses,
    step: Step,
}

/// `None` when the new one does not exist any more.
fn web_processes(tx: &ReadTx<'_>, deployment: &Deployment) -> Result<Option<WebProcesses>> {
    let all = model::processes::of_app(tx, &deployment.app_guid)?;
    let web = all.into_iter().filter(|process| process.kind == "web");
    let (mut new, mut old): (Vec<_>, Vec<_>) =
        web.partition(|process| Some(&process.guid) == deployment.process_guid.as_ref());
    let abandoned =
        model::deployments::superseded(tx, &deployment.app_guid, DeploymentState::Canceled)?;
    old.sort_by_key(|process| !abandoned.contains(&process.guid));
    Ok(new.pop().map(|new| WebProcesses { new, old }))
}

/// Nothing changes while the app is stopped.
fn step(
    tx: &ReadTx<'_>,
    deployment: &Deployment,
    web: &WebProcesses,
    serving: &Serving,
) -> Result<Option<Step>> {
    let WebProcesses { new, old } = web;
    let app = model::apps::find(tx, &deployment.app_guid)?;
    if app.is_none_or(|app| app.state == AppState::Stopped) {
        return Ok(None);
    }
    let mut counts = Counts {
        wanted: new.instances,
        ..Counts::default()
    };
    for instance in scheduler::instances(tx, &new.guid)? {
        if instance.version != new.version {
            continue;
        }
        match instance.state {
            InstanceState::Running if serving.contains(&instance.guid) => counts.routable += 1,
            InstanceState::Running | InstanceState::Starting => counts.starting += 1,
            InstanceState::Crashed | InstanceState::Down => counts.unhealthy += 1,
            InstanceState::Stopping => {}
        }
    }
    let old: Vec<i64> = old.iter().map(|process| process.instances).collect();
    Ok(flows::deployments::rollout::next(
        deployment.goal(),
        counts,
        &old,
    ))
}

/// Rolls back: the previous process gets its instances back, all others are removed.
fn cancel(tx: &WriteTx<'_>, may: &MaySupport, app: &App, mut deployment: Deployment) -> Result<()> {
    let mut prior = None;
    for guid in model::deployments::superseded(tx, &deployment.app_guid, DeploymentState::Deployed)?
    {
        let instances = scheduler::instances(tx, &guid)?;
        if instances
            .iter()
            .any(|one| one.state == InstanceState::Running)
        {
            prior = Some(guid);
            break;
        }
    }
    let oldest = model::processes::oldest_web(tx, &deployment.app_guid)?;
    let prior = prior.or_else(|| oldest.map(|process| process.guid));
    for process in model::processes::of_app(tx, &deployment.app_guid)? {
        if process.kind != "web" {
            continue;
        }
        if prior.as_ref() == Some(&process.guid) {
            resize(tx, may, app, process, deployment.original_instances)?;
        } else {
            remove(tx, may, app, &process)?;
        }
    }
    deployment.error = None;
    finalize(
        &mut deployment,
        may.now,
        DeploymentState::Canceled,
        StatusReason::Canceled,
    );
    model::deployments::update(tx, &deployment)
}

/// The deployment's process is gone, which nothing here does: there is nothing left to deploy.
fn abandon(tx: &WriteTx<'_>, may: &MaySupport, mut deployment: Deployment) -> Result<()> {
    deployment.error = Some("The new web process does not exist any more.".to_owned());
    finalize(
        &mut deployment,
        may.now,
        DeploymentState::Canceled,
        StatusReason::Canceled,
    );
    model::deployments::update(tx, &deployment)
}
