//! What a task runs with, written down when it is made: as processes, tasks do not follow later
//! changes of their app.

use serde::{Deserialize, Serialize};

use super::droplet::Droplet;
use super::loader::{ImageReferences, broken};
use super::snapshot::{LAUNCHER, Snapshots, words};
use super::store::{self, TaskSnapshot};
use crate::base::Megabytes;
use crate::base::guid::TaskGuid;
use crate::blobs::Digest;
use crate::cloud_controller::apps::{App, LifecycleType};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::v3::ApiResult;
use crate::db::{DbError, ReadTx, Vault, WriteTx};
use crate::scheduler::DesiredTask;

/// A task that is being made.
pub(crate) struct NewTask<'a> {
    pub guid: &'a TaskGuid,
    pub command: &'a str,
    /// `None` = the droplet's.
    pub user: Option<&'a str>,
    /// MB.
    pub memory: i64,
}

/// The part of a snapshot that is no secret and stands nowhere else; a JSON column.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Specification {
    /// Words.
    command: Vec<String>,
    user: Option<String>,
    working_dir: Option<String>,
    lifecycle_files: bool,
}

impl Snapshots {
    /// Writes down what a task is to run with.
    pub(crate) fn save_task(
        &self,
        tx: &WriteTx<'_>,
        recorder: &Recorder,
        (app, droplet): (&App, &Droplet),
        task: &NewTask<'_>,
    ) -> ApiResult<()> {
        let specification = specify(task, app.lifecycle.kind == LifecycleType::Docker);
        let environment = self.task_environment(tx, app, task, &recorder.guids.next())?;
        let snapshot = TaskSnapshot {
            droplet_guid: droplet.guid.clone(),
            image_digest: droplet.image_digest.clone().unwrap_or_default(),
            specification: serde_json::to_string(&specification)?,
            environment: self.vault.encrypt(&serde_json::to_vec(&environment)?)?,
        };
        store::save_task(tx, task.guid, &snapshot)
    }
}

/// A command takes the place of what an image would run.
fn specify(task: &NewTask<'_>, docker: bool) -> Specification {
    if docker {
        return Specification {
            command: words(&["/bin/sh", "-c", task.command]),
            user: task.user.map(str::to_owned),
            working_dir: Some("/".to_owned()),
            lifecycle_files: false,
        };
    }
    Specification {
        command: words(&[LAUNCHER, "app", task.command, ""]),
        user: Some("2000:2000".to_owned()),
        working_dir: Some("/home/vcap".to_owned()),
        lifecycle_files: true,
    }
}

/// Reads what was written down for a task of this app with these limits.
pub(crate) fn desired_task(
    tx: &ReadTx<'_>,
    (vault, images): (&Vault, &ImageReferences),
    guid: &TaskGuid,
    (app_name, memory, log_rate_limit): (String, i64, i64),
) -> Result<DesiredTask, DbError> {
    let snapshot = store::task_snapshot(tx, guid)?;
    let snapshot = snapshot.ok_or_else(|| broken("desired_tasks.task_guid", guid))?;
    let spec: Specification = serde_json::from_str(&snapshot.specification)
        .map_err(|e| broken("desired_tasks.specification", &e))?;
    let environment = vault
        .decrypt(&snapshot.environment)
        .map_err(|e| broken("desired_tasks.environment", &e))?;
    let environment = serde_json::from_slice(&environment)
        .map_err(|e| broken("desired_tasks.environment", &e))?;
    let digest = Digest::parse(&snapshot.image_digest)
        .map_err(|e| broken("desired_tasks.image_digest", &e))?;
    Ok(DesiredTask {
        app_name,
        image: images(&snapshot.droplet_guid, &digest),
        entrypoint: Some(Vec::new()),
        command: spec.command,
        user: spec.user,
        working_dir: spec.working_dir,
        environment,
        memory: Megabytes(memory),
        log_rate_limit,
        lifecycle_files: spec.lifecycle_files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_by_the_launcher_or_by_the_images_shell() {
        let guid = TaskGuid::from("t");
        let task = NewTask {
            guid: &guid,
            command: "rake db:migrate && echo done",
            user: Some("vcap"),
            memory: 64,
        };
        let spec = specify(&task, false);
        assert_eq!(spec.command, [LAUNCHER, "app", task.command, ""]);
        assert_eq!(spec.user.as_deref(), Some("2000:2000"));
        let spec = specify(&task, true);
        assert_eq!(spec.command, ["/bin/sh", "-c", task.command]);
        assert_eq!(
            (spec.user.as_deref(), spec.lifecycle_files),
            (Some("vcap"), false)
        );
    }
}
