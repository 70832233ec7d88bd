//! All SQL of the `instances` table.
//!
//! Every statement names the state it starts from, so that a repeated or late change does nothing;
//! the number of changed rows shows whether it applied.

use rusqlite::{Row, named_params};

use super::instance::{Instance, Phase, Record, Slot};
use crate::base::Timestamp;
use crate::base::guid::{InstanceGuid, ProcessGuid};
use crate::db::{DbError, ReadTx, WriteTx};

const ALL: &str = "select guid, process_guid, version, instance_index, app_guid, process_type, \
    state, since, container_id, ready, serving, crash_count, last_crash_at, details, rowid \
    from instances order by process_guid, instance_index, created_at, guid";
const OF_PROCESS: &str = "select guid, process_guid, version, instance_index, app_guid, \
    process_type, state, since, container_id, ready, serving, crash_count, last_crash_at, details \
    from instances where process_guid = :process_guid order by instance_index, created_at, guid";
const OF_PROCESSES: &str = "select guid, process_guid, version, instance_index, app_guid, \
    process_type, state, since, container_id, ready, serving, crash_count, last_crash_at, details \
    from instances where process_guid in (select value from json_each(:process_guids)) \
    order by process_guid, instance_index, created_at, guid";
const ONE: &str = "select guid, process_guid, version, instance_index, app_guid, process_type, \
    state, since, container_id, ready, serving, crash_count, last_crash_at, details \
    from instances where guid = :guid";
const INSERT: &str = "insert into instances (guid, process_guid, version, instance_index, \
    app_guid, process_type, state, since, container_id, ready, crash_count, last_crash_at, \
    details, created_at) values (:guid, :process_guid, :version, :instance_index, :app_guid, \
    :process_type, :state, :since, :container_id, :ready, :crash_count, :last_crash_at, :details, \
    :since) on conflict do nothing";
const SET_CONTAINER: &str = "update instances set container_id = :container_id, details = null \
    where guid = :guid and state = 'STARTING'";
const SET_RUNNING: &str = "update instances set state = 'RUNNING', since = :now, details = null \
    where guid = :guid and state = 'STARTING'";
const SET_READY: &str = "update instances set ready = :ready where guid = :guid \
    and state in ('STARTING', 'RUNNING') and ready <> :ready";
const SET_PROBLEM: &str = "update instances set details = :details where guid = :guid \
    and state = 'STARTING' and details is not :details";
const RETIRE: &str = "update instances set state = 'STOPPING', since = :now, \
    serving = (state = 'RUNNING' and ready = 1) where guid = :guid and state <> 'STOPPING'";
const RETIRE_INDEX: &str = "update instances set state = 'STOPPING', since = :now, \
    serving = (state = 'RUNNING' and ready = 1) where process_guid = :process_guid \
    and instance_index = :instance_index and state <> 'STOPPING'";
const RETRY: &str = "update instances set state = 'STARTING', since = :now, details = null \
    where guid = :guid and state = 'CRASHED'";
const FORGET: &str = "delete from instances where guid = :guid";

/// Every instance of a process, including stopping ones, by index.
pub fn instances(tx: &ReadTx<'_>, process: &ProcessGuid) -> Result<Vec<Instance>, DbError> {
    let mut statement = tx.sql().prepare_cached(OF_PROCESS)?;
    let rows = statement.query_and_then(named_params! {":process_guid": process}, decode)?;
    rows.map(|row| row.map(Record::present)).collect()
}

/// The same of several processes at once.
pub fn instances_of_all<'a>(
    tx: &ReadTx<'_>,
    processes: impl Iterator<Item = &'a ProcessGuid>,
) -> Result<Vec<Instance>, DbError> {
    let guids: serde_json::Value = processes.map(ProcessGuid::as_str).collect();
    let mut statement = tx.sql().prepare_cached(OF_PROCESSES)?;
    let guids = guids.to_string();
    let rows = statement.query_and_then(named_params! {":process_guids": guids}, decode)?;
    rows.map(|row| row.map(Record::present)).collect()
}

/// Stops the instance with this index; another one takes its place with its crash count reset.
/// False if there is none.
pub fn restart_instance(
    tx: &WriteTx<'_>,
    process: &ProcessGuid,
    index: u32,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .sql()
        .prepare_cached(RETIRE_INDEX)?
        .execute(named_params! {":process_guid": process, ":instance_index": index, ":now": now})?;
    Ok(changed > 0)
}

/// Every readable record, and whether there are unreadable ones.
pub(super) fn all(tx: &ReadTx<'_>) -> Result<(Vec<Record>, bool), DbError> {
    let mut statement = tx.sql().prepare_cached(ALL)?;
    let mut reading = tx.reading("instances");
    let records = reading.rows(&mut statement, [], decode)?;
    let unreadable = !reading.found().is_empty();
    reading.finish();
    Ok((records, unreadable))
}

/// Removes unreadable records; the labels of their containers hold the same data.
pub(super) fn forget_unreadable(tx: &WriteTx<'_>) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    let mut unreadable: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()? {
        match decode(row) {
            Ok(_) => {}
            Err(error) if error.is_unreadable() => unreadable.push(row.get("rowid")?),
            Err(error) => return Err(error),
        }
    }
    let mut remove = tx
        .sql()
        .prepare_cached("delete from instances where rowid = :rowid")?;
    for rowid in unreadable {
        remove.execute(named_params! {":rowid": rowid})?;
    }
    Ok(())
}

pub(super) fn find(tx: &ReadTx<'_>, guid: &InstanceGuid) -> Result<Option<Record>, DbError> {
    let mut statement = tx.sql().prepare_cached(ONE)?;
    let mut rows = statement.query_and_then(named_params! {":guid": guid}, decode)?;
    rows.next().transpose()
}

/// Adds an instance unless its slot is filled already.
pub(super) fn insert(tx: &WriteTx<'_>, record: &Record) -> Result<bool, DbError> {
    let changed = tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":guid": record.guid,
        ":process_guid": record.slot.process_guid,
        ":version": record.slot.version,
        ":instance_index": record.slot.index,
        ":app_guid": record.slot.app_guid,
        ":process_type": record.slot.process_type,
        ":state": record.phase.as_str(),
        ":since": record.since,
        ":container_id": record.container_id,
        ":ready": record.ready,
        ":crash_count": record.crash_count,
        ":last_crash_at": record.last_crash_at,
        ":details": record.details,
    })?;
    Ok(changed > 0)
}

pub(super) fn set_container(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    container_id: &str,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":container_id": container_id};
    Ok(tx
        .sql()
        .prepare_cached(SET_CONTAINER)?
        .execute(parameters)?
        > 0)
}

pub(super) fn set_running(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":now": now};
    Ok(tx.sql().prepare_cached(SET_RUNNING)?.execute(parameters)? > 0)
}

pub(super) fn set_ready(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    ready: bool,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":ready": ready};
    Ok(tx.sql().prepare_cached(SET_READY)?.execute(parameters)? > 0)
}

pub(super) fn set_problem(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    problem: &str,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":details": problem};
    Ok(tx.sql().prepare_cached(SET_PROBLEM)?.execute(parameters)? > 0)
}

pub(super) fn retire(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":now": now};
    Ok(tx.sql().prepare_cached(RETIRE)?.execute(parameters)? > 0)
}

pub(super) fn retry(
    tx: &WriteTx<'_>,
    guid: &InstanceGuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid, ":now": now};
    Ok(tx.sql().prepare_cached(RETRY)?.execute(parameters)? > 0)
}

pub(super) fn forget(tx: &WriteTx<'_>, guid: &InstanceGuid) -> Result<bool, DbError> {
    let parameters = named_params! {":guid": guid};
    Ok(tx.sql().prepare_cached(FORGET)?.execute(parameters)? > 0)
}

fn decode(row: &Row<'_>) -> Result<Record, DbError> {
    let state: String = row.get("state")?;
    let phase = Phase::parse(&state).ok_or(DbError::Inconsistent {
        what: "instances.state",
        value: state,
    })?;
    Ok(Record {
        guid: row.get("guid")?,
        slot: Slot {
            process_guid: row.get("process_guid")?,
            version: row.get("version")?,
            index: row.get("instance_index")?,
            app_guid: row.get("app_guid")?,
            process_type: row.get("process_type")?,
        },
        phase,
        since: row.get("since")?,
        container_id: row.get("container_id")?,
        ready: row.get("ready")?,
        serving: row.get("serving")?,
        crash_count: row.get("crash_count")?,
        last_crash_at: row.get("last_crash_at")?,
        details: row.get("details")?,
    })
}
