//! Receives crashes and readiness changes, and records them as CC does.

use crate::cloud_controller::error::Error;
use serde_json::{Value, json};

use crate::base::guid::AppGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::{actions, model};
use crate::db::{DbError, WriteTx};
use crate::scheduler::{Crash, Observer, Readiness, ReadinessChange, Rescheduling};

/// Records events of apps' instances.
pub(crate) struct AppObserver {
    guids: GuidSource,
}

/// The actor of an event: no user, but the process or app itself.
#[derive(Clone, Copy)]
enum By<'a> {
    App,
    Process(&'a str, &'a str),
}

impl AppObserver {
    /// `guids` name the events.
    pub(crate) fn new(guids: GuidSource) -> Self {
        Self { guids }
    }

    /// Events about a deleted app are skipped.
    fn record(
        &self,
        tx: &WriteTx<'_>,
        app: &AppGuid,
        now: Timestamp,
        events: &[(&str, By<'_>, Value)],
    ) -> Result<(), DbError> {
        let Some(app) = model::apps::find(tx, app).map_err(write_error)? else {
            return Ok(());
        };
        for (kind, by, data) in events {
            let actor = match *by {
                By::App => Actor {
                    guid: app.guid.to_string(),
                    kind: "app",
                    name: app.name.clone(),
                },
                By::Process(guid, kind) => Actor {
                    guid: guid.to_owned(),
                    kind: "process",
                    name: kind.to_owned(),
                },
            };
            let recorder = Recorder {
                actor,
                now,
                guids: self.guids.clone(),
            };
            actions::apps::record(tx, &recorder, kind, &app, data).map_err(write_error)?;
        }
        Ok(())
    }
}

fn write_error(error: Error) -> DbError {
    DbError::Interrupted(format!("recording an app's event: {error}"))
}

impl Observer for AppObserver {
    fn crashed(&self, tx: &WriteTx<'_>, crash: &Crash) -> Result<(), DbError> {
        let process = By::Process(crash.process_guid.as_str(), &crash.process_type);
        let events = [
            ("audit.app.process.crash", process, process_crash(crash)),
            ("app.crash", By::App, app_crash(crash)),
        ];
        self.record(tx, &crash.app_guid, crash.at, &events)
    }

    fn readiness_changed(&self, tx: &WriteTx<'_>, change: &ReadinessChange) -> Result<(), DbError> {
        // An instance of a replaced version says nothing about the process.
        let wanted = model::desired::version(tx, &change.process_guid)?;
        if wanted.is_none_or(|version| version != change.version) {
            return Ok(());
        }
        let ready = change.readiness == Readiness::Ready;
        let kind = if ready {
            "audit.app.process.ready"
        } else {
            "audit.app.process.not-ready"
        };
        let data = json!({
            "process_type": change.process_type,
            "instance": change.instance_guid,
            "index": change.index,
            "cell_id": change.cell_id,
            "ready": ready,
            "version": change.version,
        });
        let process = By::Process(change.process_guid.as_str(), &change.process_type);
        self.record(tx, &change.app_guid, change.at, &[(kind, process, data)])
    }

    fn rescheduled(&self, tx: &WriteTx<'_>, one: &Rescheduling) -> Result<(), DbError> {
        let data = json!({
            "process_type": one.process_type,
            "instance": one.instance_guid,
            "index": one.index,
            "cell_id": one.cell_id,
            "reason": one.reason,
            "version": one.version,
        });
        let process = By::Process(one.process_guid.as_str(), &one.process_type);
        let event = ("audit.app.process.rescheduling", process, data);
        self.record(tx, &one.app_guid, one.at, &[event])
    }
}

fn process_crash(crash: &Crash) -> Value {
    json!({
        "process_type": crash.process_type,
        "instance": crash.instance_guid,
        "index": crash.index,
        "cell_id": crash.cell_id,
        "reason": "CRASHED",
        "exit_description": crash.exit_description,
        "crash_count": crash.crash_count,
        "crash_timestamp": crash.at.as_nanos(),
        "version": crash.version,
    })
}

fn app_crash(crash: &Crash) -> Value {
    json!({
        "instance": crash.instance_guid,
        "index": crash.index,
        "cell_id": crash.cell_id,
        "exit_description": crash.exit_description,
        "reason": "CRASHED",
    })
}
