//! What can be done to processes, each inside the caller's transaction, with its audit event.

use serde_json::{Value, json};

use crate::base::guid::ProcessGuid;
use crate::cloud_controller::actions::app_usage_events::Use;
use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::{Cause, Recorder};
use crate::cloud_controller::model::processes::{
    Check, CheckType, DEFAULT_DISK, DEFAULT_MEMORY, Process, Scaling,
};
use crate::cloud_controller::payload::processes::{ScaleProcess, UpdateProcess};
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};
use crate::scheduler;

const HIDDEN: &str = "[PRIVATE DATA HIDDEN]";

/// Makes a process of an app: one instance of `web`, none of any other type.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    kind: &str,
    cause: Cause,
) -> Result<Process> {
    may.covers(&app.space_guid)?;
    let is_web = kind == "web";
    let process = Process {
        // The first web process is named like its app.
        guid: if is_web {
            app.guid.as_str().into()
        } else {
            ProcessGuid::generate(&may.guids)
        },
        app_guid: app.guid.clone(),
        kind: kind.to_owned(),
        command: None,
        user: None,
        instances: i64::from(is_web),
        memory: DEFAULT_MEMORY,
        disk: DEFAULT_DISK,
        log_rate_limit: -1,
        health_check: Check::new(if is_web {
            CheckType::Port
        } else {
            CheckType::Process
        }),
        readiness_check: Check::new(CheckType::Process),
        revision_guid: None,
        version: may.guids.next(),
        created_at: may.now,
        updated_at: may.now,
    };
    model::processes::insert(tx, &process)?;
    if model::sidecars::memory_of(tx, &app.guid, kind)? >= process.memory {
        return Err(Error::unprocessable(format!(
            "The sidecar memory allocation defined is too large to run with the dependent \"{kind}\" process"
        )));
    }
    record(
        tx,
        may,
        "audit.app.process.create",
        (app, &process),
        cause.mark(json!({})),
    )?;
    Ok(process)
}

/// Changes command, checks, user or metadata; running instances are as before until they are
/// started again.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    mut process: Process,
    change: UpdateProcess,
    cause: Cause,
) -> Result<Process> {
    may.covers_part(app, &process.app_guid)?;
    if process.kind == "web" && model::apps::deploying(tx, &app.guid)? {
        return Err(Error::unprocessable(
            "Cannot update this process while a deployment is in flight.",
        ));
    }
    if let Some(command) = change.command {
        process.command = command;
    }
    if let Some(user) = change.user {
        process.user = user;
    }
    process.health_check.apply(&change.health_check);
    process.readiness_check.apply(&change.readiness_check);
    save(tx, may, &mut process)?;
    change
        .metadata
        .store(tx, ResourceType::Process, process.guid.as_str())?;
    let mut request = change.request;
    if let Some(command) = request.get_mut("command") {
        *command = json!(HIDDEN);
    }
    record(
        tx,
        may,
        "audit.app.process.update",
        (app, &process),
        cause.mark(json!({ "request": request })),
    )?;
    Ok(process)
}

/// Changes the number of instances (at once) or their limits (with the next start).
pub(crate) fn scale(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    process: Process,
    wanted: ScaleProcess,
    cause: Cause,
) -> Result<Process> {
    may.covers_part(app, &process.app_guid)?;
    if process.kind == "web" && model::apps::deploying(tx, &app.guid)? {
        return Err(Error::unprocessable(
            "Cannot scale this process while a deployment is in flight.",
        ));
    }
    let process = resize(tx, may, app, process, wanted.scaling)?;
    record(
        tx,
        may,
        "audit.app.process.scale",
        (app, &process),
        cause.mark(json!({ "request": wanted.request })),
    )?;
    Ok(process)
}

/// Scales a process as part of a larger change, whose own event records it.
pub(crate) fn resize(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    process: Process,
    wanted: Scaling,
) -> Result<Process> {
    may.covers_part(app, &process.app_guid)?;
    let before = Use::Scaled {
        instances: process.instances,
        memory: process.memory,
    };
    let mut process = sized(tx, &process, wanted)?;
    save(tx, may, &mut process)?;
    model::quotas::check_started(tx, app)?;
    if model::desired::runs(tx, &process.guid)? {
        actions::app_usage_events::of_process(tx, may, &process, before)?;
    }
    Ok(process)
}

/// A process with another size, which is checked and not stored.
pub(crate) fn sized(tx: &ReadTx<'_>, process: &Process, wanted: Scaling) -> Result<Process> {
    let mut process = process.clone();
    process.instances = wanted.instances.unwrap_or(process.instances);
    process.disk = wanted.disk.unwrap_or(process.disk);
    process.log_rate_limit = wanted.log_rate_limit.unwrap_or(process.log_rate_limit);
    if let Some(memory) = wanted.memory {
        process.memory = memory;
        if model::sidecars::memory_of(tx, &process.app_guid, &process.kind)? >= memory {
            return Err(Error::unprocessable(
                "The requested memory allocation is not large enough to run all of your sidecar processes",
            ));
        }
    }
    let mut invalid = Invalid::default();
    process.check(&mut invalid);
    invalid.refuse()?;
    Ok(process)
}

/// Replaces one instance.
pub(crate) fn terminate(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    process: &Process,
    index: Option<u32>,
) -> Result<()> {
    may.covers_part(app, &process.app_guid)?;
    let index = index.filter(|index| *index < process.wanted());
    let index = index.ok_or_else(|| Error::not_found("Instance"))?;
    scheduler::restart_instance(tx, &process.guid, index, may.now)?;
    let data = json!({ "process_index": index });
    record(
        tx,
        may,
        "audit.app.process.terminate_instance",
        (app, process),
        data,
    )
}

/// Tells that a process goes with its app.
pub(crate) fn record_delete(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    process: &Process,
) -> Result<()> {
    may.covers_part(app, &process.app_guid)?;
    if model::desired::runs(tx, &process.guid)? {
        actions::app_usage_events::of_process(tx, may, process, Use::Stopped)?;
    }
    record(
        tx,
        may,
        "audit.app.process.delete",
        (app, process),
        json!({}),
    )
}

fn save(tx: &WriteTx<'_>, recorder: &Recorder, process: &mut Process) -> Result<()> {
    let mut invalid = Invalid::default();
    process.check(&mut invalid);
    invalid.refuse()?;
    process.updated_at = recorder.now;
    model::processes::update(tx, process)
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    (app, process): (&App, &Process),
    more: Value,
) -> Result<()> {
    let mut data = json!({ "process_guid": process.guid, "process_type": process.kind });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    actions::apps::record(tx, recorder, kind, app, &data)
}
