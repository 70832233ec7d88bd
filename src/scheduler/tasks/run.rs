//! The reconciliation passes and the effects: create, stop or remove one task's container.
//!
//! The process may die after any step: the next pass finds the container by its label and
//! continues.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::container;
use super::plan::{Action, Observation, canceled, expired, is_expired, plan};
use super::{DesiredTask, OpenTask, TaskEnd, TaskList, TaskParts};
use crate::base::Backoff;
use crate::base::guid::TaskGuid;
use crate::base::{Clock, Supervisor, Timestamp};
use crate::db::{Db, DbError};
use crate::docker::{Container, ContainerState, DockerError, Engine, LogStream};
use crate::scheduler::attempts::Attempts;
use crate::scheduler::containers::{Containers, ignore_not_found};
use crate::scheduler::{LogLine, LogSink, SchedulerError, Settings, crash};

/// Also covers lost daemon events.
const TICK: Duration = Duration::from_secs(30);
const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5),
};
const IDLE_AFTER: Duration = Duration::from_secs(300);
const LOG_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Runner {
    db: Db,
    clock: Arc<dyn Clock>,
    engine: Arc<dyn Engine>,
    tasks: Arc<dyn TaskList>,
    logs: Arc<dyn LogSink>,
    settings: Settings,
    containers: Containers,
    wake: Arc<Notify>,
    attempts: Arc<Attempts<TaskGuid>>,
    launches: Semaphore,
    /// Containers whose exit is awaited.
    watched: Mutex<BTreeSet<String>>,
    /// The containers may have changed since the last listing.
    stale: AtomicBool,
}

/// The last listing of the containers.
#[derive(Default)]
struct LastListing {
    open: Vec<OpenTask>,
    containers: Vec<Container>,
    listed_at: Option<Instant>,
    /// An action ran since, or during, the listing.
    outdated: bool,
    /// When the last action started.
    acted_at: Option<Instant>,
}

impl LastListing {
    /// Whether no unknown container can exist. After a start there may be containers of an earlier
    /// process, and a request that timed out may still have created one.
    fn is_settled(&self) -> bool {
        let idle = self.acted_at.is_none_or(|at| at.elapsed() > IDLE_AFTER);
        self.listed_at.is_some() && self.containers.is_empty() && idle
    }

    fn is_old(&self) -> bool {
        self.listed_at.is_none_or(|at| at.elapsed() >= TICK)
    }
}

impl Runner {
    pub(super) fn new(parts: TaskParts) -> Self {
        let wake = Arc::new(Notify::new());
        Self {
            containers: Containers::new(parts.engine.clone(), parts.settings.clone()),
            attempts: Arc::new(Attempts::new(wake.clone())),
            launches: Semaphore::new(parts.settings.launches),
            watched: Mutex::default(),
            stale: AtomicBool::new(true),
            wake,
            db: parts.db,
            clock: parts.clock,
            engine: parts.engine,
            tasks: parts.tasks,
            logs: parts.logs,
            settings: parts.settings,
        }
    }

    /// Runs passes until shutdown.
    pub(super) async fn reconcile(
        self: Arc<Self>,
        supervisor: Supervisor,
        token: CancellationToken,
    ) -> Result<(), SchedulerError> {
        let mut changes = self.db.changes();
        let mut listing = LastListing::default();
        let mut retries = RETRIES.pauses();
        loop {
            changes.borrow_and_update();
            let passed = tokio::select! {
                () = token.cancelled() => return Ok(()),
                passed = self.pass(&mut listing, &supervisor) => passed,
            };
            let wait = match passed {
                Ok(next) => {
                    retries.reset();
                    next.map_or(TICK, |at| at.since(self.clock.now())).min(TICK)
                }
                Err(error) => {
                    tracing::warn!(%error, "task reconciliation failed; retrying");
                    retries.pause()
                }
            };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = changes.changed() => {}
                () = self.wake.notified() => self.stale.store(true, Ordering::Relaxed),
                () = sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
    }

    /// One pass; returns the latest time for the next one.
    async fn pass(
        self: &Arc<Self>,
        listing: &mut LastListing,
        supervisor: &Supervisor,
    ) -> Result<Option<Timestamp>, SchedulerError> {
        // Read before the tasks and the containers: an action that ends later is seen as busy.
        let busy = self.attempts.busy();
        let tasks = self.tasks.clone();
        let read = self.db.read(move |tx| tasks.open(tx));
        let super::OpenTasks {
            tasks: open,
            unreadable,
        } = read.await?;
        if open.is_empty() && listing.is_settled() {
            return Ok(None);
        }
        self.refresh(&open, !busy.is_empty(), listing).await?;
        let containers = listing.containers.iter();
        let observation = Observation {
            containers: containers
                .map(|container| (container::task_guid(container), container.clone()))
                .collect(),
            open,
            unreadable,
            busy,
            paused: self.attempts.paused(),
        };
        let known = observation.open.iter().map(|task| &task.guid);
        let known = known
            .chain(observation.containers.keys())
            .cloned()
            .collect();
        self.attempts.retain(&known);
        let (actions, next) = plan(&observation, self.clock.now());
        let acts = actions.values().any(|a| !matches!(a, Action::Watch(_)));
        if !observation.busy.is_empty() || acts {
            listing.acted_at = Some(Instant::now());
        }
        listing.outdated |= acts;
        for (guid, action) in actions {
            let task = observation
                .open
                .iter()
                .find(|task| task.guid == guid)
                .cloned();
            self.begin(guid, task, action, supervisor);
        }
        Ok(next)
    }

    /// Lists the containers if they may have changed. While the daemon is unreachable, only expires
    /// tasks that waited too long for it.
    async fn refresh(
        &self,
        open: &[OpenTask],
        busy: bool,
        listing: &mut LastListing,
    ) -> Result<(), SchedulerError> {
        let stale = self.stale.swap(false, Ordering::Relaxed);
        if !stale && !listing.outdated && !listing.is_old() && listing.open == open {
            return Ok(());
        }
        let ours = container::of_platform(&self.settings.platform_id);
        match self.engine.list(&ours).await {
            Ok(containers) => {
                listing.containers = containers;
                listing.listed_at = Some(Instant::now());
                listing.outdated = busy;
                listing.open = open.to_vec();
                Ok(())
            }
            Err(error) => {
                self.stale.store(true, Ordering::Relaxed);
                let now = self.clock.now();
                for task in open.iter().filter(|task| is_expired(task, now)) {
                    self.ended(&task.guid, expired()).await?;
                }
                Err(error.into())
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        guid: TaskGuid,
        task: Option<OpenTask>,
        action: Action,
        supervisor: &Supervisor,
    ) {
        if let Action::Watch(container_id) = action {
            return self.watch(container_id, supervisor);
        }
        let Some(busy) = self.attempts.begin(&guid) else {
            return;
        };
        tracing::info!(task.guid = %guid, ?action, "starting task action");
        // Recorded as a failure until it succeeds, so that a panic also delays the next attempt.
        self.attempts.failed(&guid, self.clock.now());
        let (runner, token) = (self.clone(), supervisor.token());
        supervisor.once(async move {
            tokio::select! {
                () = token.cancelled() => {}
                done = runner.act(&guid, task.as_ref(), action) => match done {
                    Ok(()) => runner.attempts.succeeded(&guid),
                    Err(error) => {
                        tracing::warn!(task.guid = %guid, %error, "task action failed; retrying");
                    }
                },
            }
            drop(busy);
        });
    }

    async fn act(
        &self,
        guid: &TaskGuid,
        task: Option<&OpenTask>,
        action: Action,
    ) -> Result<(), SchedulerError> {
        match (action, task) {
            (Action::Launch(created), Some(task)) => self.launch(task, created).await,
            (Action::Started, _) => self.started(guid).await.map(drop),
            (Action::Finish(id, end), Some(task)) => self.finish(task, &id, end).await,
            (Action::Stop(id), Some(task)) => {
                self.log_cell(task, LogStream::Out, format!("stopping instance {guid}"));
                ignore_not_found(self.engine.stop(&id, self.settings.stop_grace).await)?;
                self.finish(task, &id, canceled()).await
            }
            (Action::End(end), _) => self.ended(guid, end).await,
            (Action::Discard(id), _) => {
                ignore_not_found(self.engine.stop(&id, self.settings.stop_grace).await)?;
                self.logs.drained(&id, LOG_DRAIN_TIMEOUT).await;
                Ok(ignore_not_found(self.engine.remove(&id).await)?)
            }
            // The planner never yields these.
            (Action::Launch(_) | Action::Finish(..) | Action::Stop(_), None)
            | (Action::Watch(_), _) => Ok(()),
        }
    }

    /// If the daemon refuses, the task fails; if the daemon is unreachable, the task waits.
    async fn launch(&self, task: &OpenTask, created: Option<String>) -> Result<(), SchedulerError> {
        let Ok(_permit) = self.launches.acquire().await else {
            return Ok(());
        };
        match self.create_and_start(task, created).await {
            Err(SchedulerError::Docker(error)) if !matches!(error, DockerError::Unreachable(_)) => {
                let text = format!(
                    "failed to create container for instance {}: {error}",
                    task.guid
                );
                self.log_cell(task, LogStream::Err, text);
                let reason = format!("failed to create container: {error}");
                self.ended(&task.guid, TaskEnd::Failed(reason)).await
            }
            Err(SchedulerError::Db(error)) if error.is_unreadable() => {
                let reason = format!("cannot read the task's configuration: {error}");
                let text = format!(
                    "not creating container for instance {}: {reason}",
                    task.guid
                );
                self.log_cell(task, LogStream::Err, text);
                self.ended(&task.guid, TaskEnd::Failed(reason)).await
            }
            done => done,
        }
    }

    /// Records the start before starting, so that no task is started twice.
    async fn create_and_start(
        &self,
        task: &OpenTask,
        created: Option<String>,
    ) -> Result<(), SchedulerError> {
        let guid = &task.guid;
        let Some(desired) = self.desired(guid).await? else {
            return Ok(());
        };
        let id = match created {
            Some(id) if self.was_never_started(&id).await? => id,
            Some(_) => return Ok(()),
            None => {
                let text = format!("creating container for instance {guid}");
                self.log_cell(task, LogStream::Out, text);
                let spec = container::spec(&self.settings, task, &desired);
                self.containers.create(spec).await?
            }
        };
        // Creating it may have taken long if the image was pulled.
        if !self.started(guid).await? {
            return Ok(());
        }
        self.containers.start(&id, desired.lifecycle_files).await?;
        let text = format!("successfully created container for instance {guid}");
        self.log_cell(task, LogStream::Out, text);
        Ok(())
    }

    /// Whether a container was never started: starting an exited one would run the task again.
    async fn was_never_started(&self, id: &str) -> Result<bool, SchedulerError> {
        let found = self.engine.inspect(id).await?;
        Ok(found.is_some_and(|container| container.state == ContainerState::Created))
    }

    async fn desired(&self, guid: &TaskGuid) -> Result<Option<DesiredTask>, SchedulerError> {
        let (tasks, guid) = (self.tasks.clone(), guid.clone());
        let read = self.db.read(move |tx| tasks.desired(tx, &guid));
        Ok(read.await?)
    }

    /// Stores the output first, then the result; removes the container last.
    async fn finish(&self, task: &OpenTask, id: &str, end: TaskEnd) -> Result<(), SchedulerError> {
        self.logs.drained(id, LOG_DRAIN_TIMEOUT).await;
        if let Some(container) = self.engine.inspect(id).await? {
            self.log_exit(task, &container);
        }
        self.ended(&task.guid, end).await?;
        let guid = &task.guid;
        let text = format!("destroying container for instance {guid}");
        self.log_cell(task, LogStream::Out, text);
        ignore_not_found(self.engine.remove(id).await)?;
        let text = format!("successfully destroyed container for instance {guid}");
        self.log_cell(task, LogStream::Out, text);
        Ok(())
    }

    async fn started(&self, guid: &TaskGuid) -> Result<bool, SchedulerError> {
        let (tasks, guid, now) = (self.tasks.clone(), guid.clone(), self.clock.now());
        let write = self.db.write(move |tx| tasks.started(tx, &guid, now));
        Ok(write.await?)
    }

    async fn ended(&self, guid: &TaskGuid, end: TaskEnd) -> Result<(), SchedulerError> {
        let (tasks, guid, now) = (self.tasks.clone(), guid.clone(), self.clock.now());
        let write = self.db.write(move |tx| {
            tasks.ended(tx, &guid, &end, now)?;
            Ok::<_, DbError>(())
        });
        Ok(write.await?)
    }

    /// Wakes a pass when a container exits.
    fn watch(self: &Arc<Self>, container_id: String, supervisor: &Supervisor) {
        let new = self.watched().insert(container_id.clone());
        if !new {
            return;
        }
        let (runner, token) = (self.clone(), supervisor.token());
        supervisor.once(async move {
            let waited = tokio::select! {
                () = token.cancelled() => return,
                waited = runner.engine.wait(&container_id) => waited,
            };
            if let Err(error) = waited {
                tracing::debug!(container = %container_id, %error, "waiting for task container failed; retrying");
                sleep(RETRIES.first).await;
            }
            runner.watched().remove(&container_id);
            runner.wake.notify_one();
        });
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_exit(&self, task: &OpenTask, container: &Container) {
        let ContainerState::Exited {
            code,
            out_of_memory,
            ..
        } = container.state
        else {
            return;
        };
        let cause = crash::cause(out_of_memory);
        let text = format!("Exit status {code}{cause}");
        self.log(task, container::source_type(task), LogStream::Out, text);
    }

    fn log_cell(&self, task: &OpenTask, stream: LogStream, text: String) {
        let text = format!("Cell {} {text}", self.settings.cell_id);
        self.log(task, "CELL".to_owned(), stream, text);
    }

    fn log(&self, task: &OpenTask, source_type: String, stream: LogStream, text: String) {
        self.logs.line(LogLine {
            app_guid: task.app_guid.clone(),
            index: 0,
            source_type,
            stream,
            text,
        });
    }
}
