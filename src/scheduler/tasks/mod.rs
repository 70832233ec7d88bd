//! Runs tasks: commands that run once, each in a container of its own.
//!
//! A pass reads the tasks that have not ended and lists their containers, decides (`plan`, pure)
//! and acts. The owner of tasks creates and cancels them in the database; that wakes a pass.
//!
//! Invariants:
//! - A task is started at most once: its start is recorded first, and a started task whose
//!   container is gone has failed.
//! - A task's output is stored before its result, and its result before its container is removed.
//! - A container without an open task is removed; that is how the task of a deleted app is stopped.
//!   The container of a task whose row is unreadable stays.
//! - Stopping this process changes nothing about running tasks.

mod container;
mod plan;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::guid::{AppGuid, TaskGuid};
use crate::base::{Bytes, Clock, Megabytes, Supervisor, Timestamp};
use crate::db::{Db, DbError, ReadTx, WriteTx};
use crate::docker::Engine;

use super::{LogSink, Settings, passes};

/// Provides the tasks and records their results.
pub trait TaskList: Send + Sync + 'static {
    /// The tasks that have not ended.
    fn open(&self, tx: &ReadTx<'_>) -> Result<OpenTasks, DbError>;

    /// The configuration of a pending or running task; `None` if it is canceled, has ended or no
    /// longer exists. Fails if its row is unreadable.
    fn desired(&self, tx: &ReadTx<'_>, guid: &TaskGuid) -> Result<Option<DesiredTask>, DbError>;

    /// Records that a PENDING task starts now; false if it must not start because it is canceled or
    /// has ended.
    fn started(&self, tx: &WriteTx<'_>, guid: &TaskGuid, now: Timestamp) -> Result<bool, DbError>;

    /// A task has ended.
    fn ended(
        &self,
        tx: &WriteTx<'_>,
        guid: &TaskGuid,
        end: &TaskEnd,
        now: Timestamp,
    ) -> Result<(), DbError>;
}

/// The tasks that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenTasks {
    /// The tasks.
    pub tasks: Vec<OpenTask>,
    /// Tasks whose rows are unreadable: their containers are left alone.
    pub unreadable: BTreeSet<TaskGuid>,
}

/// A task that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask {
    /// Guid.
    pub guid: TaskGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// Its name, part of the source type of its log lines.
    pub name: String,
    /// State.
    pub state: TaskState,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The state of a task that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It was not started yet.
    Pending,
    /// It was started.
    Running,
    /// It is being canceled.
    Canceling,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// Its command exited with 0.
    Succeeded,
    /// It did not, for this reason.
    Failed(String),
}

/// The configuration of a task.
#[derive(Clone)]
pub struct DesiredTask {
    /// The app's name, for people who read `docker ps`.
    pub app_name: String,
    /// Pullable reference by digest.
    pub image: String,
    /// What the droplet adds to the stack, if it is known.
    pub droplet_size: Option<Bytes>,
    /// Replaces the image's entrypoint; `None` keeps it, `Some(vec![])` clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the command.
    pub command: Vec<String>,
    /// `2000:2000`, a name, or `None` for the image's user.
    pub user: Option<String>,
    /// Working folder, `None` for the image's.
    pub working_dir: Option<String>,
    /// Environment, lowest precedence first; the scheduler adds its own variables below it.
    pub environment: Vec<(String, String)>,
    /// Memory limit.
    pub memory: Megabytes,
    /// Bytes a second, -1 for no limit.
    pub log_rate_limit: i64,
    /// The container has the lifecycle files (buildpack apps).
    pub lifecycle_files: bool,
}

/// The parts of the task runner.
pub struct TaskParts {
    /// Database.
    pub db: Db,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// The daemon.
    pub engine: Arc<dyn Engine>,
    /// The tasks.
    pub tasks: Arc<dyn TaskList>,
    /// Takes log lines.
    pub logs: Arc<dyn LogSink>,
    /// Settings.
    pub settings: Settings,
}

/// Runs the tasks of one platform.
pub struct Tasks(Arc<run::Runner>);

impl Tasks {
    /// A runner that does nothing yet.
    pub fn new(parts: TaskParts) -> Self {
        Self(Arc::new(run::Runner::new(parts)))
    }

    /// Starts its workers.
    pub fn start(&self, supervisor: &Supervisor) {
        let (runner, all) = (self.0.clone(), supervisor.clone());
        supervisor.worker("tasks", move |token| {
            passes::reconcile(runner.clone(), all.clone(), token)
        });
        let runner = self.0.clone();
        supervisor.worker("tasks.changes", move |token| {
            passes::follow_daemon(runner.clone(), token)
        });
    }
}
