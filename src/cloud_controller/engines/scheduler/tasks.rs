//! A task's desired state, read from its snapshot.

use super::{ImageReferences, broken};
use crate::base::Megabytes;
use crate::blobs::Digest;
use crate::cloud_controller::model;
use crate::cloud_controller::model::desired::TaskSpecification;
use crate::cloud_controller::model::tasks::Task;
use crate::db::{DbError, ReadTx, Vault};
use crate::scheduler::DesiredTask;

/// Reads the snapshot of a task.
pub(crate) fn desired_task(
    tx: &ReadTx<'_>,
    vault: &Vault,
    images: &ImageReferences,
    task: Task,
) -> Result<DesiredTask, DbError> {
    let snapshot = model::desired::task_snapshot(tx, &task.guid)?;
    let snapshot = snapshot.ok_or_else(|| broken("desired_tasks.task_guid", &task.guid))?;
    let spec: TaskSpecification = serde_json::from_str(&snapshot.specification)
        .map_err(|e| broken("desired_tasks.specification", &e))?;
    let environment = vault
        .decrypt(&snapshot.environment)
        .map_err(|e| broken("desired_tasks.environment", &e))?;
    let environment = serde_json::from_slice(&environment)
        .map_err(|e| broken("desired_tasks.environment", &e))?;
    let digest = Digest::parse(&snapshot.image_digest)
        .map_err(|e| broken("desired_tasks.image_digest", &e))?;
    Ok(DesiredTask {
        app_name: task.app_name,
        image: images(&snapshot.droplet_guid, &digest),
        droplet_size: model::droplets::size(tx, &snapshot.droplet_guid)?,
        entrypoint: Some(Vec::new()),
        command: spec.command,
        user: spec.user,
        working_dir: spec.working_dir,
        environment,
        memory: Megabytes(task.memory),
        log_rate_limit: task.log_rate_limit,
        lifecycle_files: spec.lifecycle_files,
    })
}
