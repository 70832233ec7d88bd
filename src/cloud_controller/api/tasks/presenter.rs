//! JSON of a task.

use serde_json::{Value, json};

use crate::cloud_controller::metadata::Metadata;
use crate::cloud_controller::model::tasks::Task;
use crate::cloud_controller::v3::Urls;

/// Whether the command is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Shown,
    LeftOut,
}

impl From<bool> for Command {
    fn from(sees_secrets: bool) -> Self {
        if sees_secrets {
            Self::Shown
        } else {
            Self::LeftOut
        }
    }
}

/// `/v3/tasks/:guid`.
pub(super) fn present(task: &Task, metadata: &Metadata, command: Command, urls: &Urls) -> Value {
    let path = format!("/v3/tasks/{}", task.guid);
    let mut shown = json!({
        "guid": task.guid,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "sequence_id": task.sequence_id,
        "name": task.name,
        "command": task.command,
        "user": task.user,
        "state": task.state,
        "memory_in_mb": task.memory,
        "disk_in_mb": task.disk,
        "log_rate_limit_in_bytes_per_second": task.log_rate_limit,
        "result": { "failure_reason": task.failure_reason },
        "droplet_guid": task.droplet_guid,
        "relationships": { "app": { "data": { "guid": task.app_guid } } },
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "app": urls.link(&format!("/v3/apps/{}", task.app_guid)),
            "cancel": urls.action(&format!("{path}/actions/cancel"), "POST"),
            "droplet": urls.link(&format!("/v3/droplets/{}", task.droplet_guid.as_deref().unwrap_or_default())),
        },
    });
    if command == Command::LeftOut
        && let Some(fields) = shown.as_object_mut()
    {
        fields.shift_remove("command");
    }
    shown
}
