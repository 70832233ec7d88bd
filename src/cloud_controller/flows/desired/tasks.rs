//! What a task runs with, written down when it is made: as processes, tasks do not follow later
//! changes of their app.

use super::{Snapshots, launcher, words};
use crate::base::guid::TaskGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::desired::{Droplet, TaskSnapshot, TaskSpecification};
use crate::db::WriteTx;

/// A task that is being made.
pub(crate) struct NewTask<'a> {
    pub guid: &'a TaskGuid,
    pub command: &'a str,
    /// `None` = the droplet's.
    pub user: Option<&'a str>,
    /// MB.
    pub memory: i64,
}

impl Snapshots {
    /// Writes down what a task is to run with.
    pub(crate) fn save_task(
        &self,
        tx: &WriteTx<'_>,
        recorder: &Recorder,
        app: &App,
        droplet: &Droplet,
        task: &NewTask<'_>,
    ) -> Result<()> {
        let specification = specify(task, app.lifecycle.kind);
        let environment = self.task_environment(tx, app, task, &recorder.guids.next())?;
        let snapshot = TaskSnapshot {
            droplet_guid: droplet.guid.clone(),
            image_digest: droplet.image_digest.clone().unwrap_or_default(),
            specification: serde_json::to_string(&specification)?,
            environment: self.vault.encrypt(&serde_json::to_vec(&environment)?)?,
        };
        model::desired::save_task(tx, task.guid, &snapshot)
    }
}

/// A command takes the place of what an image would run.
fn specify(task: &NewTask<'_>, kind: LifecycleType) -> TaskSpecification {
    let docker = kind == LifecycleType::Docker;
    if docker {
        return TaskSpecification {
            command: words(&["/bin/sh", "-c", task.command]),
            user: task.user.map(str::to_owned),
            working_dir: Some("/".to_owned()),
            lifecycle_files: false,
        };
    }
    let how = if kind == LifecycleType::Cnb {
        "--"
    } else {
        "app"
    };
    TaskSpecification {
        command: words(&[launcher(kind), how, task.command, ""]),
        user: Some("2000:2000".to_owned()),
        working_dir: Some("/home/vcap".to_owned()),
        lifecycle_files: true,
    }
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
        let spec = specify(&task, LifecycleType::Buildpack);
        assert_eq!(
            spec.command,
            ["/tmp/lifecycle/launcher", "app", task.command, ""]
        );
        assert_eq!(spec.user.as_deref(), Some("2000:2000"));
        let spec = specify(&task, LifecycleType::Cnb);
        assert_eq!(spec.command[1..], ["--", task.command, ""]);
        let spec = specify(&task, LifecycleType::Docker);
        assert_eq!(spec.command, ["/bin/sh", "-c", task.command]);
        assert_eq!(
            (spec.user.as_deref(), spec.lifecycle_files),
            (Some("vcap"), false)
        );
    }
}
