//! The reconciliation passes and the effects: create, stop or remove one task's container.
//!
//! The process may die after any step: the next pass finds the container by its label and
//! continues.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::container;
use super::plan::{Action, Observation, canceled, expired, is_expired, plan};
use super::{DesiredTask, OpenTask, OpenTasks, TaskEnd, TaskList, TaskParts};
use crate::base::guid::TaskGuid;
use crate::base::{Clock, Supervisor, Timestamp};
use crate::db::{Db, DbError};
use crate::docker::{Container, ContainerState, DockerError, Engine, LogStream, bound_files};
use crate::scheduler::attempts::Attempts;
use crate::scheduler::containers::{Containers, Told, ignore_not_found, unwritable};
use crate::scheduler::passes::{Reconciler, Watched};
use crate::scheduler::view::View;
use crate::scheduler::{LogLine, LogSink, SchedulerError, Settings, crash};

const LOG_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Runner {
    db: Db,
    clock: Arc<dyn Clock>,
    engine: Arc<dyn Engine>,
    tasks: Arc<dyn TaskList>,
    logs: Arc<dyn LogSink>,
    settings: Settings,
    containers: Containers,
    view: View,
    wake: Arc<Notify>,
    attempts: Arc<Attempts<TaskGuid>>,
    launches: Semaphore,
}

/// An action is under way: at its end the containers are listed again.
struct Stale<'a>(&'a View);

impl Drop for Stale<'_> {
    fn drop(&mut self) {
        self.0.invalidate();
    }
}

impl Reconciler for Runner {
    const WHAT: &'static str = "tasks";

    fn watched(&self) -> Watched<'_> {
        Watched {
            db: &self.db,
            clock: &*self.clock,
            engine: &*self.engine,
            view: &self.view,
            wake: &self.wake,
            labels: container::of_platform(&self.settings.platform_id),
        }
    }

    fn exited(&self, container_id: &str) {
        self.view.ended(container_id);
    }

    async fn pass(
        self: &Arc<Self>,
        changes: &mut watch::Receiver<u64>,
        supervisor: &Supervisor,
    ) -> Result<Option<Timestamp>, SchedulerError> {
        changes.borrow_and_update();
        // Read before the tasks and the containers: an action that ends later is seen as busy.
        let busy = self.attempts.busy();
        let tasks = self.tasks.clone();
        let read = self.db.read(move |tx| tasks.open(tx));
        let OpenTasks {
            tasks: open,
            unreadable,
        } = read.await?;
        let containers = self.containers(&open).await?.into_iter();
        let observation = Observation {
            containers: containers
                .map(|container| (container::task_guid(&container), container))
                .collect(),
            open,
            unreadable,
            busy,
            paused: self.attempts.paused(),
        };
        let open = observation.open.iter().map(|task| &task.guid);
        let known = open.chain(observation.containers.keys()).cloned().collect();
        self.attempts.retain(&known);
        let (actions, next) = plan(&observation, self.clock.now());
        for (guid, action) in actions {
            let mut open = observation.open.iter();
            let task = open.find(|task| task.guid == guid).cloned();
            self.begin(guid, task, action, supervisor);
        }
        Ok(next)
    }
}

impl Runner {
    pub(super) fn new(parts: TaskParts) -> Self {
        let wake = Arc::new(Notify::new());
        Self {
            containers: Containers::new(parts.engine.clone(), parts.settings.clone()),
            attempts: Arc::new(Attempts::new(wake.clone())),
            launches: Semaphore::new(parts.settings.launches),
            view: View::default(),
            wake,
            db: parts.db,
            clock: parts.clock,
            engine: parts.engine,
            tasks: parts.tasks,
            logs: parts.logs,
            settings: parts.settings,
        }
    }

    /// The containers, listed again if they may have changed. While the daemon is unreachable, only
    /// expires tasks that waited too long for it.
    async fn containers(&self, open: &[OpenTask]) -> Result<Vec<Container>, SchedulerError> {
        let ours = container::of_platform(&self.settings.platform_id);
        if let Err(error) = self.view.refresh(&*self.engine, &ours).await {
            let now = self.clock.now();
            for task in open.iter().filter(|task| is_expired(task, now)) {
                self.ended(&task.guid, expired()).await?;
            }
            return Err(error.into());
        }
        let listed = self.view.containers().into_iter();
        Ok(listed.map(|(container, _)| container).collect())
    }

    fn begin(
        self: &Arc<Self>,
        guid: TaskGuid,
        task: Option<OpenTask>,
        action: Action,
        supervisor: &Supervisor,
    ) {
        let Some(busy) = self.attempts.begin(&guid) else {
            return;
        };
        tracing::info!(task.guid = %guid, ?action, "starting task action");
        // Recorded as a failure until it succeeds, so that a panic also delays the next attempt.
        self.attempts.failed(&guid, self.clock.now());
        let runner = self.clone();
        busy.run(supervisor, async move {
            // Also after a panic, and before the task counts as idle again.
            let _stale = Stale(&runner.view);
            match runner.act(&guid, task.as_ref(), action).await {
                Ok(()) => runner.attempts.succeeded(&guid),
                Err(error) => {
                    tracing::warn!(task.guid = %guid, %error, "task action failed; retrying");
                }
            }
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
            (Action::Launch(_) | Action::Finish(..) | Action::Stop(_), None) => Ok(()),
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
        match &created {
            Some(id) if self.was_never_started(id).await? => {}
            Some(_) => return Ok(()),
            None => {
                let text = format!("creating container for instance {guid}");
                self.log_cell(task, LogStream::Out, text);
            }
        }
        let mut spec = container::spec(&self.settings, task, &desired);
        let files = bound_files::take(&mut spec.environment).map_err(unwritable)?;
        let line = |text: &str| self.log(task, "CELL".to_owned(), LogStream::Out, text.to_owned());
        let told = Told {
            line: &line,
            droplet: desired.droplet_size,
        };
        let id = self
            .containers
            .create(spec, created.as_deref(), told)
            .await?;
        if let Some(files) = files {
            self.engine.upload(&id, files).await?;
        }
        // Creating it may have taken long if the image was pulled.
        if !self.started(guid).await? {
            return Ok(());
        }
        self.engine.start(&id).await?;
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
            tags: Vec::new(),
        });
    }
}
