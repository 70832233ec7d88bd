//! Records decisions and observations, and notifies the observer of them.
//!
//! All functions run inside the caller's transaction and check the state they start from, so a
//! duplicate or late fact changes nothing.

use std::sync::Arc;

use super::crash::{self, Restart};
use super::desired::{CheckKind, DesiredProcess};
use super::instance::{
    Crash, Observer, Phase, Readiness, ReadinessChange, Record, Rescheduling, Slot,
};
use super::plan::{Change, NO_ROOM, Planned};
use super::store;
use crate::base::guid::InstanceGuid;
use crate::base::{GuidSource, Timestamp};
use crate::db::{DbError, WriteTx};

/// Records facts; cheap to clone.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) guids: GuidSource,
    pub(super) cell_id: String,
}

impl Facts {
    /// Applies one planned change.
    pub(super) fn apply(
        &self,
        tx: &WriteTx<'_>,
        planned: &Planned<Change>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        match &planned.what {
            Change::Place { slot } => {
                let guid = InstanceGuid::generate(&self.guids);
                store::insert(tx, &new_record(guid, slot.clone(), now))?;
            }
            Change::Adopt {
                guid,
                slot,
                container_id,
            } => {
                let mut record = new_record(guid.clone(), slot.clone(), now);
                record.container_id = Some(container_id.clone());
                store::insert(tx, &record)?;
            }
            Change::Started { guid, container_id } => {
                store::set_container(tx, guid, container_id)?;
            }
            Change::Crash { guid, description } => {
                self.crashed(tx, guid, description, now)?;
            }
            Change::Replace { guid } => {
                self.replaced(tx, guid, planned.reason, now)?;
            }
            Change::Retire { guid } => {
                store::retire(tx, guid, now)?;
            }
            Change::Retry { guid } => {
                store::retry(tx, guid, now)?;
            }
            Change::Forget { guid } => {
                store::forget(tx, guid)?;
            }
            Change::Wait { guid } => {
                store::set_problem(tx, guid, NO_ROOM)?;
            }
        }
        Ok(())
    }

    /// An instance crashed: it is retired, and another one takes its place, at once or after its
    /// backoff. False if it was no longer active.
    pub(super) fn crashed(
        &self,
        tx: &WriteTx<'_>,
        guid: &InstanceGuid,
        description: &str,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let Some(record) = active(tx, guid)? else {
            return Ok(false);
        };
        let crash_count = crash::next_count(&record, now);
        store::retire(tx, guid, now)?;
        let successor = InstanceGuid::generate(&self.guids);
        let mut next = new_record(successor, record.slot.clone(), now);
        next.crash_count = crash_count;
        next.last_crash_at = Some(now);
        if crash::restart_after(crash_count) != Restart::AtOnce {
            next.phase = Phase::Crashed;
            next.details = Some(description.to_owned());
        }
        store::insert(tx, &next)?;
        let slot = record.slot;
        let crash = Crash {
            instance_guid: guid.clone(),
            process_guid: slot.process_guid,
            app_guid: slot.app_guid,
            process_type: slot.process_type,
            index: slot.index,
            version: slot.version,
            cell_id: self.cell_id.clone(),
            exit_description: description.to_owned(),
            crash_count,
            at: now,
        };
        notify(tx, || self.observer.crashed(tx, &crash))?;
        Ok(true)
    }

    /// The readiness of an instance changed. False if that is already recorded.
    pub(super) fn readiness(
        &self,
        tx: &WriteTx<'_>,
        guid: &InstanceGuid,
        readiness: Readiness,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let Some(record) = active(tx, guid)? else {
            return Ok(false);
        };
        if !store::set_ready(tx, guid, readiness == Readiness::Ready)? {
            return Ok(false);
        }
        let slot = record.slot;
        let change = ReadinessChange {
            instance_guid: guid.clone(),
            process_guid: slot.process_guid,
            app_guid: slot.app_guid,
            process_type: slot.process_type,
            index: slot.index,
            version: slot.version,
            cell_id: self.cell_id.clone(),
            readiness,
            at: now,
        };
        notify(tx, || self.observer.readiness_changed(tx, &change))?;
        Ok(true)
    }

    fn replaced(
        &self,
        tx: &WriteTx<'_>,
        guid: &InstanceGuid,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let Some(record) = active(tx, guid)? else {
            return Ok(());
        };
        store::retire(tx, guid, now)?;
        let successor = InstanceGuid::generate(&self.guids);
        let mut next = new_record(successor, record.slot.clone(), now);
        next.crash_count = record.crash_count;
        next.last_crash_at = record.last_crash_at;
        store::insert(tx, &next)?;
        let slot = record.slot;
        let rescheduling = Rescheduling {
            instance_guid: guid.clone(),
            process_guid: slot.process_guid,
            app_guid: slot.app_guid,
            process_type: slot.process_type,
            index: slot.index,
            version: slot.version,
            cell_id: self.cell_id.clone(),
            reason,
            at: now,
        };
        notify(tx, || self.observer.rescheduled(tx, &rescheduling))
    }
}

/// The startup check passed. False if that is already recorded or no longer relevant.
pub(super) fn healthy(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    process: &DesiredProcess,
    now: Timestamp,
) -> Result<bool, DbError> {
    if process.readiness_check.kind == CheckKind::Process {
        store::set_ready(tx, guid, true)?;
    }
    store::set_running(tx, guid, now)
}

/// An observer that fails to record an event must not block the instances of all apps.
fn notify(tx: &WriteTx<'_>, observer: impl FnOnce() -> Result<(), DbError>) -> Result<(), DbError> {
    if let Err(error) = tx.attempt(observer)? {
        tracing::error!(%error, "recording instance event failed; event lost");
    }
    Ok(())
}

fn active(tx: &WriteTx<'_>, guid: &InstanceGuid) -> Result<Option<Record>, DbError> {
    let record = store::find(tx, guid)?;
    Ok(record.filter(|r| matches!(r.phase, Phase::Starting | Phase::Running)))
}

fn new_record(guid: InstanceGuid, slot: Slot, now: Timestamp) -> Record {
    Record {
        guid,
        slot,
        phase: Phase::Starting,
        since: now,
        container_id: None,
        ready: false,
        serving: false,
        crash_count: 0,
        last_crash_at: None,
        details: None,
    }
}
