//! The scheduler's view of tasks: pending tasks and their results.

use crate::base::guid::TaskGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::actions::app_usage_events::WrittenBy;
use crate::cloud_controller::engines::scheduler::ImageReferences;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::tasks::Task;
use crate::cloud_controller::model::tasks::TaskState;
use crate::cloud_controller::{flows, model};
use crate::db::{DbError, ReadTx, Vault, WriteTx};
use crate::scheduler::{DesiredTask, OpenTasks, TaskEnd, TaskList};

/// The rows of tasks for the scheduler.
pub(crate) struct TaskQueue {
    /// For the environment of tasks.
    pub vault: Vault,
    /// How images of droplets are pulled.
    pub images: ImageReferences,
    /// For usage events.
    pub guids: GuidSource,
}

impl TaskList for TaskQueue {
    fn open(&self, tx: &ReadTx<'_>) -> Result<OpenTasks, DbError> {
        model::tasks::open(tx)
    }

    fn desired(&self, tx: &ReadTx<'_>, guid: &TaskGuid) -> Result<Option<DesiredTask>, DbError> {
        let found = model::tasks::find(tx, guid).map_err(read_error)?;
        let runs = |task: &Task| matches!(task.state, TaskState::Pending | TaskState::Running);
        let Some(task) = found.filter(runs) else {
            return Ok(None);
        };
        super::scheduler::desired_task(tx, &self.vault, &self.images, task).map(Some)
    }

    fn started(&self, tx: &WriteTx<'_>, guid: &TaskGuid, now: Timestamp) -> Result<bool, DbError> {
        let by = WrittenBy {
            now,
            guids: &self.guids,
        };
        flows::tasks::started(tx, by, guid).map_err(read_error)
    }

    fn ended(
        &self,
        tx: &WriteTx<'_>,
        guid: &TaskGuid,
        end: &TaskEnd,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let by = WrittenBy {
            now,
            guids: &self.guids,
        };
        flows::tasks::ended(tx, by, guid, end).map_err(read_error)
    }
}

fn read_error(error: Error) -> DbError {
    DbError::Interrupted(format!("a task: {error}"))
}
