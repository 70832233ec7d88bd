//! Writing app usage events, inside the transaction of the change.

use crate::base::guid::{AppGuid, TaskGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::app_usage_events::AppUsageEvent;
use crate::cloud_controller::model::apps::without_password;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;

/// When an event is written, and where its guid comes from.
#[derive(Clone, Copy)]
pub(crate) struct WrittenBy<'a> {
    pub now: Timestamp,
    pub guids: &'a GuidSource,
}

/// Memory of a staging in MB, whatever it really got: as CC counts.
const STAGING_MEMORY: i64 = 1024;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Started,
    Stopped,
    /// It is started and had another number of instances or another memory before.
    Scaled {
        instances: i64,
        memory: i64,
    },
}

/// A process starts, stops or is scaled.
pub(crate) fn of_process(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    process: &Process,
    usage: Use,
) -> Result<()> {
    let (state, previous) = match usage {
        Use::Started => ("STARTED", "STOPPED"),
        Use::Stopped => ("STOPPED", "STARTED"),
        Use::Scaled { .. } => ("STARTED", "STARTED"),
    };
    let (instances, memory) = match usage {
        Use::Scaled { instances, memory } => (instances, memory),
        Use::Started | Use::Stopped => (process.instances, process.memory),
    };
    if usage
        == (Use::Scaled {
            instances: process.instances,
            memory: process.memory,
        })
    {
        return Ok(());
    }
    let by = WrittenBy {
        now: recorder.now,
        guids: &recorder.guids,
    };
    let mut event = event_of_app(tx, by, &process.app_guid)?;
    event.state = state.to_owned();
    event.previous_state = Some(previous.to_owned());
    event.process = [Some(process.guid.to_string()), Some(process.kind.clone())];
    event.instances = (process.instances, instances);
    event.memory = (process.memory, memory);
    model::app_usage_events::insert(tx, &event)
}

/// How far a staging is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Staging {
    Started,
    Stopped,
    /// Its droplet is there.
    BuildpackSet,
}

/// An app is staged; `buildpack` is the one that is known of it.
pub(crate) fn of_build(
    tx: &WriteTx<'_>,
    by: WrittenBy<'_>,
    app: &AppGuid,
    staging: Staging,
    buildpack: Option<&str>,
) -> Result<()> {
    let mut event = event_of_app(tx, by, app)?;
    let (state, previous) = match staging {
        Staging::Started => ("STAGING_STARTED", "STAGING"),
        Staging::Stopped => ("STAGING_STOPPED", "STAGING"),
        Staging::BuildpackSet => ("BUILDPACK_SET", "STAGED"),
    };
    event.state = state.to_owned();
    event.previous_state = Some(previous.to_owned());
    event.instances = (1, 1);
    event.memory = (STAGING_MEMORY, STAGING_MEMORY);
    event.buildpack = [
        match buildpack {
            Some(name) => model::app_usage_events::buildpack_guid(tx, name)?,
            None => None,
        },
        buildpack.map(without_password),
    ];
    model::app_usage_events::insert(tx, &event)
}

/// What happens to a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskUse<'a> {
    pub guid: &'a TaskGuid,
    pub name: &'a str,
    /// MB.
    pub memory: i64,
    /// `TASK_STARTED` or `TASK_STOPPED`.
    pub state: &'static str,
    /// The task's state before.
    pub previous: &'a str,
}

/// A task starts or stops.
pub(crate) fn of_task(
    tx: &WriteTx<'_>,
    by: WrittenBy<'_>,
    app: &AppGuid,
    usage: TaskUse<'_>,
) -> Result<()> {
    let mut event = event_of_app(tx, by, app)?;
    event.state = usage.state.to_owned();
    event.previous_state = Some(usage.previous.to_owned());
    event.buildpack = [None, None];
    event.task = [Some(usage.guid.to_string()), Some(usage.name.to_owned())];
    event.instances = (1, 1);
    event.memory = (usage.memory, usage.memory);
    model::app_usage_events::insert(tx, &event)
}

/// Replaces all events by one for each process that is started.
pub(crate) fn reseed(tx: &WriteTx<'_>, may: &MayAdminister) -> Result<()> {
    let (now, guids) = (may.now, &may.guids);
    model::app_usage_events::clear(tx)?;
    for process in model::processes::started(tx)? {
        let mut event = event_of_app(tx, WrittenBy { now, guids }, &process.app_guid)?;
        // As on CC, these events have the guids of their processes.
        event.guid = process.guid.to_string();
        event.state = "STARTED".to_owned();
        event.previous_state = Some("STARTED".to_owned());
        event.process = [Some(process.guid.to_string()), Some(process.kind.clone())];
        event.instances = (process.instances, process.instances);
        event.memory = (process.memory, process.memory);
        model::app_usage_events::insert(tx, &event)?;
    }
    Ok(())
}

fn event_of_app(tx: &WriteTx<'_>, by: WrittenBy<'_>, app: &AppGuid) -> Result<AppUsageEvent> {
    let facts = model::app_usage_events::facts(tx, app)?;
    let name = facts.buildpack.as_deref();
    Ok(AppUsageEvent {
        guid: by.guids.next(),
        state: String::new(),
        previous_state: None,
        app: [Some(app.to_string()), Some(facts.app_name)],
        process: [None, None],
        space: [Some(facts.space_guid), Some(facts.space_name)],
        organization_guid: facts.organization_guid,
        buildpack: [
            match name {
                Some(name) => model::app_usage_events::buildpack_guid(tx, name)?,
                None => None,
            },
            name.map(without_password),
        ],
        task: [None, None],
        memory: (0, 0),
        instances: (0, 0),
        created_at: by.now,
    })
}
