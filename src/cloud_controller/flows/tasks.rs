//! What can be done to tasks, each inside the caller's transaction, with its audit event.

use serde_json::json;

use crate::base::guid::{AppGuid, DropletGuid, ProcessGuid, TaskGuid};
use crate::cloud_controller::actions::app_usage_events::{TaskUse, WrittenBy};
use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::{NewTask, Snapshots};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::desired::Droplet;
use crate::cloud_controller::model::processes::{
    DEFAULT_DISK, DEFAULT_MEMORY, LARGEST_DISK, Process,
};
use crate::cloud_controller::model::tasks::Task;
use crate::cloud_controller::model::tasks::TaskState;
use crate::cloud_controller::payload::tasks::CreateTask;
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};
use crate::scheduler::TaskEnd;

const LONGEST_COMMAND: usize = 4096;

fn check_disk(wanted: Option<i64>) -> Result<()> {
    if wanted.is_some_and(|disk| disk > LARGEST_DISK) {
        return Err(Error::unprocessable(format!(
            "Cannot request disk_in_mb greater than {LARGEST_DISK}"
        )));
    }
    Ok(())
}

/// Makes a task and writes down what it runs with; the commit wakes the scheduler.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    snapshots: &Snapshots,
    app: &App,
    wanted: CreateTask,
) -> Result<Task> {
    may.covers(&app.space_guid)?;
    let droplet = droplet(tx, app, wanted.droplet.as_ref())?;
    check_disk(wanted.disk)?;
    let template = template(tx, wanted.template.as_ref())?;
    let of_template = |value: fn(&Process) -> i64| template.as_ref().map(value);
    let by_template = template.as_ref();
    let its_droplet = match by_template {
        None => None,
        Some(process) => current_droplet(tx, &process.app_guid)?,
    };
    let command = wanted.command.unwrap_or_else(|| {
        by_template.map_or_else(String::new, |process| {
            model::desired::command(process, its_droplet.as_ref())
        })
    });
    let user = match wanted.user {
        Some(user) => user,
        None => by_template.and_then(|process| process.user.clone()),
    };
    let memory = wanted.memory.or(of_template(|p| p.memory));
    let disk = wanted.disk.or(of_template(|p| p.disk));
    let log_rate = wanted.log_rate_limit.or(of_template(|p| p.log_rate_limit));
    let guid = TaskGuid::generate(&may.guids);
    let task = Task {
        app_guid: app.guid.clone(),
        space_guid: app.space_guid.clone(),
        app_name: app.name.clone(),
        sequence_id: model::tasks::next_sequence_id(tx, &app.guid)?,
        name: match wanted.name {
            None => made_up_name(may),
            Some(name) => name.unwrap_or_default(),
        },
        command,
        user,
        state: TaskState::Pending,
        memory: memory.unwrap_or(DEFAULT_MEMORY),
        disk: disk.unwrap_or(DEFAULT_DISK),
        log_rate_limit: log_rate.unwrap_or(-1),
        failure_reason: None,
        droplet_guid: Some(droplet.guid.to_string()),
        created_at: may.now,
        updated_at: may.now,
        guid,
    };
    check(tx, app, &task)?;
    model::tasks::insert(tx, &task)?;
    let metadata = wanted.metadata;
    metadata.store(tx, ResourceType::Task, task.guid.as_str())?;
    let new = NewTask {
        guid: &task.guid,
        command: &task.command,
        user: task.user.as_deref(),
        memory: task.memory,
    };
    snapshots.save_task(tx, may, app, &droplet, &new)?;
    record(tx, may, "audit.app.task.create", &task)?;
    // Its user may be the droplet's.
    model::tasks::find(tx, &task.guid)?.ok_or_else(|| Error::internal("a task that was just made"))
}

/// The one that was asked for, else the app's.
fn droplet(tx: &ReadTx<'_>, app: &App, wanted: Option<&DropletGuid>) -> Result<Droplet> {
    if let Some(guid) = wanted {
        let found = model::desired::find_droplet(tx, guid)?;
        let own = found.filter(|droplet| droplet.app_guid == app.guid);
        let own = own.ok_or_else(|| Error::not_found("Droplet"))?;
        if own.staged {
            return Ok(own);
        }
    } else if let Some(guid) = &app.current_droplet_guid
        && let Some(current) = model::desired::find_droplet(tx, guid)?
    {
        return Ok(current);
    }
    Err(Error::unprocessable(
        "Task must have a droplet. Specify droplet or assign current droplet to app.",
    ))
}

/// The process that was named as template.
fn template(tx: &ReadTx<'_>, wanted: Option<&ProcessGuid>) -> Result<Option<Process>> {
    let Some(guid) = wanted else {
        return Ok(None);
    };
    let found = model::processes::find(tx, guid)?;
    let found = found.ok_or_else(|| {
        Error::resource_not_found(format!("The process could not be found: {guid}"))
    });
    found.map(Some)
}

/// The droplet an app would be started with.
fn current_droplet(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<Droplet>> {
    let app = model::apps::find(tx, app)?;
    match app.and_then(|app| app.current_droplet_guid) {
        None => Ok(None),
        Some(guid) => model::desired::find_droplet(tx, &guid),
    }
}

/// Eight hexadecimal digits.
fn made_up_name(recorder: &Recorder) -> String {
    let guid = recorder.guids.next();
    guid.chars()
        .filter(char::is_ascii_hexdigit)
        .take(8)
        .collect()
}

/// What CC's model refuses, in its words.
fn check(tx: &ReadTx<'_>, app: &App, task: &Task) -> Result<()> {
    let mut invalid = Invalid::default();
    if task.name.is_empty() || task.name.chars().any(char::is_control) {
        invalid.add("name format");
    }
    if task.name.trim().is_empty() {
        invalid.add("name presence");
    }
    if task.command.trim().is_empty() {
        invalid.add("command presence");
    }
    if task.command.chars().count() > LONGEST_COMMAND {
        invalid.add(format!(
            "command must be shorter than {} characters",
            LONGEST_COMMAND + 1
        ));
    }
    let needs = model::quotas::Needs {
        memory: task.memory,
        log_rate: task.log_rate_limit,
    };
    for fault in model::quotas::task_faults(tx, app, needs)? {
        invalid.add(fault);
    }
    if let Some(fault) = task.user.as_deref().and_then(model::processes::user_fault) {
        invalid.add(fault);
    }
    if task.disk > LARGEST_DISK {
        invalid.add(format!("disk_in_mb cannot be greater than {LARGEST_DISK}"));
    }
    invalid.refuse()
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    mut task: Task,
    metadata: &MetadataChange,
) -> Result<Task> {
    may.covers(&task.space_guid)?;
    metadata.store(tx, ResourceType::Task, task.guid.as_str())?;
    task.updated_at = may.now;
    model::tasks::update(tx, &task)?;
    Ok(task)
}

/// Cancels a task that has not ended.
pub(crate) fn cancel(tx: &WriteTx<'_>, may: &MaySupport, mut task: Task) -> Result<Task> {
    may.covers(&task.space_guid)?;
    if has_ended(&task) {
        return Err(Error::unprocessable(format!(
            "Task state is {} and therefore cannot be canceled",
            task.state
        )));
    }
    task.state = TaskState::Canceling;
    task.updated_at = may.now;
    model::tasks::update(tx, &task)?;
    record(tx, may, "audit.app.task.cancel", &task)?;
    Ok(task)
}

/// The tasks of an app go with it: those that have not ended are stopped.
pub(crate) fn delete_of_app(tx: &WriteTx<'_>, may: &MayWrite, app: &AppGuid) -> Result<()> {
    for task in model::tasks::open_of_app(tx, app)? {
        if task.state == TaskState::Running {
            record(tx, may, "audit.app.task.cancel", &task)?;
        }
        let by = WrittenBy {
            now: may.now,
            guids: &may.guids,
        };
        record_use(tx, by, &task, "TASK_STOPPED")?;
    }
    Ok(())
}

/// The scheduler starts it now; whether it runs.
pub(crate) fn started(tx: &WriteTx<'_>, by: WrittenBy<'_>, guid: &TaskGuid) -> Result<bool> {
    let Some(mut task) = model::tasks::find(tx, guid)? else {
        return Ok(false);
    };
    if task.state != TaskState::Pending {
        return Ok(task.state == TaskState::Running);
    }
    record_use(tx, by, &task, "TASK_STARTED")?;
    task.state = TaskState::Running;
    task.updated_at = by.now;
    model::tasks::update(tx, &task)?;
    Ok(true)
}

/// It has ended; what comes twice changes nothing.
pub(crate) fn ended(
    tx: &WriteTx<'_>,
    by: WrittenBy<'_>,
    guid: &TaskGuid,
    end: &TaskEnd,
) -> Result<()> {
    let found = model::tasks::find(tx, guid)?;
    let Some(mut task) = found.filter(|task| !has_ended(task)) else {
        return Ok(());
    };
    if model::app_usage_events::has_task_start(tx, guid)? {
        record_use(tx, by, &task, "TASK_STOPPED")?;
    }
    let canceled = task.state == TaskState::Canceling;
    (task.state, task.failure_reason) = match end {
        TaskEnd::Failed(_) if canceled => {
            let reason = "task was cancelled".to_owned();
            (TaskState::Failed, Some(reason))
        }
        TaskEnd::Succeeded => (TaskState::Succeeded, None),
        TaskEnd::Failed(reason) => (TaskState::Failed, Some(reason.clone())),
    };
    task.updated_at = by.now;
    model::tasks::update(tx, &task)?;
    model::desired::delete_task(tx, guid)
}

fn has_ended(task: &Task) -> bool {
    matches!(task.state, TaskState::Succeeded | TaskState::Failed)
}

fn record_use(tx: &WriteTx<'_>, by: WrittenBy<'_>, task: &Task, state: &'static str) -> Result<()> {
    let usage = TaskUse {
        guid: &task.guid,
        name: &task.name,
        memory: task.memory,
        state,
        previous: task.state.as_str(),
    };
    actions::app_usage_events::of_task(tx, by, &task.app_guid, usage)
}

fn record(tx: &WriteTx<'_>, recorder: &Recorder, kind: &str, task: &Task) -> Result<()> {
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
    recorder.record(tx, kind, &target, Place::space(&task.space_guid), &data)
}
