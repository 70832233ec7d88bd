//! The container of a task.

use super::{DesiredTask, OpenTask};
use crate::base::guid::TaskGuid;
use crate::docker::{
    Container, ContainerSpec, LABEL_INSTANCE_ID, LABEL_KIND, LABEL_OWNER, LABEL_RATE_LIMIT,
    LABEL_SOURCE_ID, LABEL_SOURCE_TYPE, Labels,
};
use crate::scheduler::environment::{self, with_limits};
use crate::scheduler::labels::{LABEL_APP, container_name, labels};
use crate::scheduler::settings::Settings;

/// Value of [`LABEL_KIND`].
const KIND: &str = "task";
/// Task guid.
const LABEL_TASK: &str = "cflite.task";

/// The labels of all task containers.
pub(super) fn of_platform(platform_id: &str) -> Labels {
    labels([(LABEL_OWNER, platform_id), (LABEL_KIND, KIND)])
}

/// The task guid of a container; falls back to the container id if the label is missing.
pub(super) fn task_guid(container: &Container) -> TaskGuid {
    match container.labels.get(LABEL_TASK) {
        Some(guid) => TaskGuid::from(guid.as_str()),
        None => TaskGuid::from(container.id.as_str()),
    }
}

/// `APP/TASK/migrate`.
pub(super) fn source_type(task: &OpenTask) -> String {
    format!("APP/TASK/{}", task.name)
}

/// The container of a task; no ports, and no check.
pub(super) fn spec(settings: &Settings, task: &OpenTask, desired: &DesiredTask) -> ContainerSpec {
    let platform = &settings.platform_id;
    let (source, limit) = (source_type(task), desired.log_rate_limit.to_string());
    let mut all = of_platform(platform);
    all.extend(labels([
        (LABEL_APP, task.app_guid.as_str()),
        (LABEL_TASK, task.guid.as_str()),
        (LABEL_SOURCE_ID, task.app_guid.as_str()),
        (LABEL_SOURCE_TYPE, &source),
        (LABEL_INSTANCE_ID, "0"),
        (LABEL_RATE_LIMIT, &limit),
    ]));
    let words = [desired.app_name.as_str(), "task", &task.name];
    ContainerSpec {
        name: container_name(platform, &words, task.guid.as_str()),
        image: desired.image.clone(),
        command: desired.command.clone(),
        entrypoint: desired.entrypoint.clone(),
        environment: environment(settings, task, desired),
        user: desired.user.clone(),
        working_dir: desired.working_dir.clone(),
        hostname: Some(task.guid.to_string()),
        labels: all,
        volumes: environment::volumes(settings, desired.lifecycle_files),
        ..with_limits(desired.memory, settings.stop_grace)
    }
}

/// `CF_INSTANCE_ADDR` and `CF_INSTANCE_PORT` are set but empty. The guid is documented, although
/// Cloud Controller does not set it.
fn environment(
    settings: &Settings,
    task: &OpenTask,
    desired: &DesiredTask,
) -> Vec<(String, String)> {
    let mut all = environment::of_stack(desired.lifecycle_files, &settings.trust);
    let host = settings.host_ip.to_string();
    let platform_variables = [
        ("CF_INSTANCE_GUID", task.guid.as_str()),
        ("INSTANCE_GUID", task.guid.as_str()),
        ("CF_INSTANCE_IP", &host),
        ("CF_INSTANCE_ADDR", ""),
        ("CF_INSTANCE_PORT", ""),
        ("CF_INSTANCE_PORTS", "[]"),
    ];
    all.extend(platform_variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.extend(desired.environment.iter().cloned());
    environment::deduplicated(all)
}
