//! The passes and the effects: one task's container made, ended or removed.
//!
//! Every step may be the last one before the process dies: the next pass finds the container by
//! its label and goes on from there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::container;
use super::plan::{Action, World, canceled, expired, is_expired, plan};
use super::{DesiredTask, OpenTask, TaskEnd, TaskList, TaskParts};
use crate::base::Backoff;
use crate::base::guid::TaskGuid;
use crate::base::{Clock, Supervisor, Timestamp};
use crate::db::{Db, DbError};
use crate::docker::{Container, ContainerState, DockerError, Engine, LogStream};
use crate::scheduler::attempts::Attempts;
use crate::scheduler::containers::{Containers, gone_is_fine};
use crate::scheduler::{LogLine, LogSink, SchedulerError, Settings, crash};

/// Also for what the daemon did not tell.
const TICK: Duration = Duration::from_secs(30);
const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(5),
};
const AT_REST_AFTER: Duration = Duration::from_secs(300);
const LOGS_READ_WITHIN: Duration = Duration::from_secs(5);

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
    /// Containers whose end is waited for.
    watched: Mutex<BTreeSet<String>>,
    /// The containers may be others than at the last look.
    stale: AtomicBool,
}

/// The last look.
#[derive(Default)]
struct Seen {
    open: Vec<OpenTask>,
    containers: Vec<Container>,
    listed_at: Option<Instant>,
    /// Something was done since, or while, the containers were listed.
    outdated: bool,
    /// When there was something to do.
    acted_at: Option<Instant>,
}

impl Seen {
    /// Whether no container can be there that nobody knows of. At first there may be those of an
    /// earlier process, and a daemon that did not answer may have made one all the same.
    fn is_settled(&self) -> bool {
        let at_rest = self.acted_at.is_none_or(|at| at.elapsed() > AT_REST_AFTER);
        self.listed_at.is_some() && self.containers.is_empty() && at_rest
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

    /// Passes until shutdown.
    pub(super) async fn reconcile(
        self: Arc<Self>,
        supervisor: Supervisor,
        token: CancellationToken,
    ) -> Result<(), SchedulerError> {
        let mut changes = self.db.changes();
        let mut seen = Seen::default();
        let mut retries = RETRIES.pauses();
        loop {
            changes.borrow_and_update();
            let passed = tokio::select! {
                () = token.cancelled() => return Ok(()),
                passed = self.pass(&mut seen, &supervisor) => passed,
            };
            let wait = match passed {
                Ok(next) => {
                    retries.reset();
                    next.map_or(TICK, |at| at.since(self.clock.now())).min(TICK)
                }
                Err(error) => {
                    tracing::warn!(%error, "tasks can not be looked after for the moment");
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

    /// One pass; gives the time at which the next one is due at the latest.
    async fn pass(
        self: &Arc<Self>,
        seen: &mut Seen,
        supervisor: &Supervisor,
    ) -> Result<Option<Timestamp>, SchedulerError> {
        // Before the tasks and the containers: what ends after this is seen busy.
        let busy = self.attempts.busy();
        let tasks = self.tasks.clone();
        let read = self.db.read(move |tx| tasks.open(tx));
        let super::OpenTasks {
            tasks: open,
            unreadable,
        } = read.await?;
        if open.is_empty() && seen.is_settled() {
            return Ok(None);
        }
        self.look(&open, !busy.is_empty(), seen).await?;
        let containers = seen.containers.iter();
        let world = World {
            containers: containers
                .map(|container| (container::task_guid(container), container.clone()))
                .collect(),
            open,
            unreadable,
            busy,
            paused: self.attempts.paused(),
        };
        let known = world.open.iter().map(|task| &task.guid);
        let known = known.chain(world.containers.keys()).cloned().collect();
        self.attempts.keep(&known);
        let (actions, next) = plan(&world, self.clock.now());
        let acts = actions.values().any(|a| !matches!(a, Action::Watch(_)));
        if !world.busy.is_empty() || acts {
            seen.acted_at = Some(Instant::now());
        }
        seen.outdated |= acts;
        for (guid, action) in actions {
            let task = world.open.iter().find(|task| task.guid == guid).cloned();
            self.begin(guid, task, action, supervisor);
        }
        Ok(next)
    }

    /// Lists the containers if they may be others than at the last look. Without the daemon the
    /// only thing to decide is which tasks have waited too long for it.
    async fn look(
        &self,
        open: &[OpenTask],
        busy: bool,
        seen: &mut Seen,
    ) -> Result<(), SchedulerError> {
        let stale = self.stale.swap(false, Ordering::Relaxed);
        if !stale && !seen.outdated && !seen.is_old() && seen.open == open {
            return Ok(());
        }
        let ours = container::of_platform(&self.settings.platform_id);
        match self.engine.list(&ours).await {
            Ok(containers) => {
                seen.containers = containers;
                seen.listed_at = Some(Instant::now());
                seen.outdated = busy;
                seen.open = open.to_vec();
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
        tracing::info!(task.guid = %guid, ?action, "task is worked on");
        // It is a failure until it has worked: a fault in the middle has to wait, too.
        self.attempts.failed(&guid, self.clock.now());
        let (runner, token) = (self.clone(), supervisor.token());
        supervisor.once(async move {
            tokio::select! {
                () = token.cancelled() => {}
                done = runner.act(&guid, task.as_ref(), action) => match done {
                    Ok(()) => runner.attempts.succeeded(&guid),
                    Err(error) => {
                        tracing::warn!(task.guid = %guid, %error, "task has to wait");
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
            (Action::Launch(made), Some(task)) => self.launch(task, made).await,
            (Action::Started, _) => self.started(guid).await.map(drop),
            (Action::Finish(id, end), Some(task)) => self.finish(task, &id, end).await,
            (Action::Stop(id), Some(task)) => {
                self.cell(task, LogStream::Out, format!("stopping instance {guid}"));
                gone_is_fine(self.engine.stop(&id, self.settings.stop_grace).await)?;
                self.finish(task, &id, canceled()).await
            }
            (Action::End(end), _) => self.ended(guid, end).await,
            (Action::Discard(id), _) => {
                gone_is_fine(self.engine.stop(&id, self.settings.stop_grace).await)?;
                self.logs.drained(&id, LOGS_READ_WITHIN).await;
                Ok(gone_is_fine(self.engine.remove(&id).await)?)
            }
            // Nothing of this is planned.
            (Action::Launch(_) | Action::Finish(..) | Action::Stop(_), None)
            | (Action::Watch(_), _) => Ok(()),
        }
    }

    /// What the daemon refuses is a failed task; when it does not answer, the task waits for it.
    async fn launch(&self, task: &OpenTask, made: Option<String>) -> Result<(), SchedulerError> {
        let Ok(_permit) = self.launches.acquire().await else {
            return Ok(());
        };
        match self.make_and_start(task, made).await {
            Err(SchedulerError::Docker(error)) if !matches!(error, DockerError::Unreachable(_)) => {
                let text = format!(
                    "failed to create container for instance {}: {error}",
                    task.guid
                );
                self.cell(task, LogStream::Err, text);
                let reason = format!("failed to create container: {error}");
                self.ended(&task.guid, TaskEnd::Failed(reason)).await
            }
            Err(SchedulerError::Db(error)) if error.is_unreadable() => {
                let reason = format!("what the task runs with cannot be read: {error}");
                let text = format!(
                    "not creating container for instance {}: {reason}",
                    task.guid
                );
                self.cell(task, LogStream::Err, text);
                self.ended(&task.guid, TaskEnd::Failed(reason)).await
            }
            done => done,
        }
    }

    /// It is on record as started before it is: so nothing is ever started twice.
    async fn make_and_start(
        &self,
        task: &OpenTask,
        made: Option<String>,
    ) -> Result<(), SchedulerError> {
        let guid = &task.guid;
        let Some(desired) = self.desired(guid).await? else {
            return Ok(());
        };
        let id = match made {
            Some(id) if self.is_fresh(&id).await? => id,
            Some(_) => return Ok(()),
            None => {
                let text = format!("creating container for instance {guid}");
                self.cell(task, LogStream::Out, text);
                let spec = container::spec(&self.settings, task, &desired);
                self.containers.make(spec).await?
            }
        };
        // Making it may have taken long, with its image to pull.
        if !self.started(guid).await? {
            return Ok(());
        }
        self.containers.start(&id, desired.lifecycle_files).await?;
        let text = format!("successfully created container for instance {guid}");
        self.cell(task, LogStream::Out, text);
        Ok(())
    }

    /// Whether a made container was never started: starting one that ended would run it again.
    async fn is_fresh(&self, id: &str) -> Result<bool, SchedulerError> {
        let found = self.engine.inspect(id).await?;
        Ok(found.is_some_and(|container| container.state == ContainerState::Created))
    }

    async fn desired(&self, guid: &TaskGuid) -> Result<Option<DesiredTask>, SchedulerError> {
        let (tasks, guid) = (self.tasks.clone(), guid.clone());
        let read = self.db.read(move |tx| tasks.desired(tx, &guid));
        Ok(read.await?)
    }

    /// Output first, then the record, and the container last.
    async fn finish(&self, task: &OpenTask, id: &str, end: TaskEnd) -> Result<(), SchedulerError> {
        self.logs.drained(id, LOGS_READ_WITHIN).await;
        if let Some(container) = self.engine.inspect(id).await? {
            self.tell_exit(task, &container);
        }
        self.ended(&task.guid, end).await?;
        let guid = &task.guid;
        let text = format!("destroying container for instance {guid}");
        self.cell(task, LogStream::Out, text);
        gone_is_fine(self.engine.remove(id).await)?;
        let text = format!("successfully destroyed container for instance {guid}");
        self.cell(task, LogStream::Out, text);
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

    /// Wakes a pass when a container ends.
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
                tracing::debug!(container = %container_id, %error, "cannot wait for a task's end");
                sleep(RETRIES.first).await;
            }
            runner.watched().remove(&container_id);
            runner.wake.notify_one();
        });
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_exit(&self, task: &OpenTask, container: &Container) {
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
        self.say(task, container::source_type(task), LogStream::Out, text);
    }

    fn cell(&self, task: &OpenTask, stream: LogStream, text: String) {
        let text = format!("Cell {} {text}", self.settings.cell_id);
        self.say(task, "CELL".to_owned(), stream, text);
    }

    fn say(&self, task: &OpenTask, source_type: String, stream: LogStream, text: String) {
        self.logs.line(LogLine {
            app_guid: task.app_guid.clone(),
            index: 0,
            source_type,
            stream,
            text,
        });
    }
}
