//! What can be done to tasks, each inside the caller's transaction, with its audit event.

use serde_json::json;

use super::payload::CreateTask;
use super::store::{self, Task};
use crate::cloud_controller::apps::App;
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::processes::actions::{DEFAULT_DISK, DEFAULT_MEMORY};
use crate::cloud_controller::processes::{self, LARGEST_DISK, Process};
use crate::cloud_controller::quotas;
use crate::cloud_controller::v3::{ApiError, ApiResult, Invalid, MetadataChange, ResourceType};
use crate::db::{ReadTx, WriteTx};

const LONGEST_COMMAND: usize = 4096;

/// Why a task cannot be made: its own faults first, and that nothing runs tasks last.
pub(super) fn refusal(tx: &ReadTx<'_>, app: &App, wanted: &CreateTask) -> ApiError {
    match check_all(tx, app, wanted) {
        Err(fault) => fault,
        Ok(()) => {
            ApiError::unprocessable("Running tasks is not available in this version of cflite.")
        }
    }
}

fn check_all(tx: &ReadTx<'_>, app: &App, wanted: &CreateTask) -> ApiResult<()> {
    if let Some(droplet) = &wanted.droplet {
        if !store::has_droplet(tx, &app.guid, droplet)? {
            return Err(ApiError::not_found("Droplet"));
        }
    } else if app.current_droplet_guid.is_none() {
        return Err(ApiError::unprocessable(
            "Task must have a droplet. Specify droplet or assign current droplet to app.",
        ));
    }
    if wanted.disk.is_some_and(|disk| disk > LARGEST_DISK) {
        return Err(ApiError::unprocessable(format!(
            "Cannot request disk_in_mb greater than {LARGEST_DISK}"
        )));
    }
    let template = match &wanted.template {
        None => None,
        Some(guid) => {
            let found = processes::store::find(tx, guid)?;
            Some(found.ok_or_else(|| {
                ApiError::resource_not_found(format!("The process could not be found: {guid}"))
            })?)
        }
    };
    check(tx, app, wanted, template.as_ref())
}

/// What CC's model refuses, in its words.
fn check(
    tx: &ReadTx<'_>,
    app: &App,
    wanted: &CreateTask,
    template: Option<&Process>,
) -> ApiResult<()> {
    let mut invalid = Invalid::default();
    if let Some(name) = &wanted.name {
        match name.as_deref().unwrap_or_default() {
            "" => invalid.add("name presence"),
            name if name.chars().any(char::is_control) => invalid.add("name format"),
            _ => {}
        }
    }
    let command = wanted.command.as_deref();
    if command.is_some_and(|command| command.trim().is_empty()) {
        invalid.add("command presence");
    }
    if command.is_some_and(|command| command.chars().count() > LONGEST_COMMAND) {
        invalid.add(format!(
            "command must be shorter than {} characters",
            LONGEST_COMMAND + 1
        ));
    }
    let of_template = |value: fn(&Process) -> i64| template.map(value);
    let memory = wanted.memory.or(of_template(|p| p.memory));
    let log_rate = wanted.log_rate_limit.or(of_template(|p| p.log_rate_limit));
    let needs = quotas::TaskNeeds {
        memory: memory.unwrap_or(DEFAULT_MEMORY),
        log_rate: log_rate.unwrap_or(-1),
    };
    for fault in quotas::task_faults(tx, app, needs)? {
        invalid.add(fault);
    }
    let user = wanted.user.as_deref();
    let user = user.or(template.and_then(|process| process.user.as_deref()));
    if let Some(fault) = user.and_then(processes::user_fault) {
        invalid.add(fault);
    }
    let disk = wanted.disk.or(of_template(|p| p.disk));
    if disk.unwrap_or(DEFAULT_DISK) > LARGEST_DISK {
        invalid.add(format!("disk_in_mb cannot be greater than {LARGEST_DISK}"));
    }
    invalid.refuse()
}

/// Changes metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut task: Task,
    metadata: &MetadataChange,
) -> ApiResult<Task> {
    metadata.store(tx, ResourceType::Task, task.guid.as_str())?;
    task.updated_at = recorder.now;
    store::update(tx, &task)?;
    Ok(task)
}

/// Cancels a task that has not ended.
pub(super) fn cancel(tx: &WriteTx<'_>, recorder: &Recorder, mut task: Task) -> ApiResult<Task> {
    if matches!(task.state.as_str(), "SUCCEEDED" | "FAILED") {
        return Err(ApiError::unprocessable(format!(
            "Task state is {} and therefore cannot be canceled",
            task.state
        )));
    }
    task.state = "CANCELING".to_owned();
    task.updated_at = recorder.now;
    store::update(tx, &task)?;
    let data = json!({
        "task_guid": task.guid,
        "request": {
            "name": task.name,
            "memory_in_mb": task.memory,
            "command": "[PRIVATE DATA HIDDEN]",
        },
    });
    let target = Target {
        guid: task.app_guid.as_str(),
        kind: "app",
        name: &task.app_name,
    };
    let place = Place::space(&task.space_guid);
    recorder.record(tx, "audit.app.task.cancel", &target, place, &data)?;
    Ok(task)
}
