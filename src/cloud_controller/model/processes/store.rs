//! SQL of `processes`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::{Check, CheckType, Process};
use crate::base::guid::{AppGuid, ProcessGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "p.guid, p.app_guid, p.type, p.command, p.user, p.instances, p.memory_in_mb, p.disk_in_mb, \
    p.log_rate_limit_in_bytes_per_second, p.health_check_type, p.health_check_timeout, \
    p.health_check_invocation_timeout, p.health_check_interval, p.health_check_endpoint, \
    p.readiness_health_check_type, p.readiness_health_check_invocation_timeout, \
    p.readiness_health_check_interval, p.readiness_health_check_endpoint, p.version, p.created_at, p.updated_at, p.revision_guid";
/// A process's space; no join, so that callers who see everything count processes alone.
const SPACE: &str = "(select a.space_guid from apps a where a.guid = p.app_guid)";

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("processes p");
    caller.limit_to_visible_spaces(&mut select, SPACE);
    select
}

/// A process the caller sees, or 404 `Process not found`.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &ProcessGuid) -> Result<Process> {
    let mut select = visible(caller);
    select.and("p.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), process)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Process"))
}

/// A process, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &ProcessGuid) -> Result<Option<Process>> {
    let sql = format!("select {COLUMNS} from processes p where p.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], process).optional()?)
}

/// All processes of an app, oldest first.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<Process>> {
    let sql = format!(
        "select {COLUMNS} from processes p where p.app_guid = ?1 order by p.created_at, p.rowid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([app], process)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All started processes, oldest first.
pub(crate) fn started(tx: &ReadTx<'_>) -> Result<Vec<Process>> {
    let sql = format!(
        "select {COLUMNS} from desired_processes d cross join processes p on p.guid = d.process_guid \
         order by p.created_at, p.rowid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([], process)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest process of a type.
pub(crate) fn find_of_type(tx: &ReadTx<'_>, app: &AppGuid, kind: &str) -> Result<Option<Process>> {
    let sql = format!(
        "select {COLUMNS} from processes p where p.app_guid = ?1 and p.type = ?2 \
         order by p.created_at desc, p.rowid desc limit 1"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row(params![app, kind], process)
        .optional()?)
}

/// A page of those the caller sees; `app` = only of this app.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> Result<Listed<Process>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "p", Some(ResourceType::Process))?;
    if let Some(app) = app {
        select.and("p.app_guid = ?", [app.to_string()]);
    }
    query.filter(&mut select, "types", "p.type");
    query.filter(&mut select, "app_guids", "p.app_guid");
    query.filter(&mut select, "space_guids", SPACE);
    query.filter_through(
        &mut select,
        "organization_guids",
        SPACE,
        "select guid from spaces where organization_guid",
    );
    list(
        tx,
        &select,
        Columns {
            alias: "p",
            names: COLUMNS,
        },
        query,
        process,
    )
}

/// The oldest web process; there are others only while a deployment is in progress.
pub(crate) fn oldest_web(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<Process>> {
    let all = of_app(tx, app)?;
    Ok(all.into_iter().find(|process| process.kind == "web"))
}

/// Deletes a process; its instances are stopped.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &ProcessGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from processes where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Stores a new process.
pub(crate) fn insert(tx: &WriteTx<'_>, process: &Process) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into processes (guid, app_guid, type, instances, memory_in_mb, disk_in_mb, \
             log_rate_limit_in_bytes_per_second, health_check_type, version, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
        )?
        .execute(params![
            process.guid,
            process.app_guid,
            process.kind,
            process.instances,
            process.memory,
            process.disk,
            process.log_rate_limit,
            process.health_check.kind.as_str(),
            process.version,
            process.created_at,
        ])?;
    update(tx, process)
}

/// Updates a process.
pub(crate) fn update(tx: &WriteTx<'_>, process: &Process) -> Result<()> {
    let (health, ready) = (&process.health_check, &process.readiness_check);
    tx.sql()
        .prepare_cached(
            "update processes set command = ?2, user = ?3, instances = ?4, memory_in_mb = ?5, disk_in_mb = ?6, \
             log_rate_limit_in_bytes_per_second = ?7, health_check_type = ?8, health_check_timeout = ?9, \
             health_check_invocation_timeout = ?10, health_check_interval = ?11, health_check_endpoint = ?12, \
             readiness_health_check_type = ?13, readiness_health_check_invocation_timeout = ?14, \
             readiness_health_check_interval = ?15, readiness_health_check_endpoint = ?16, version = ?17, \
             updated_at = ?18, revision_guid = ?19 where guid = ?1",
        )?
        .execute(params![
            process.guid,
            process.command,
            process.user,
            process.instances,
            process.memory,
            process.disk,
            process.log_rate_limit,
            health.kind.as_str(),
            health.timeout,
            health.invocation_timeout,
            health.interval,
            health.endpoint,
            ready.kind.as_str(),
            ready.invocation_timeout,
            ready.interval,
            ready.endpoint,
            process.version,
            process.updated_at,
            process.revision_guid,
        ])?;
    Ok(())
}

fn process(row: &Row<'_>) -> rusqlite::Result<Process> {
    let kind = |column: usize| -> rusqlite::Result<CheckType> {
        let text: String = row.get(column)?;
        // The schema allows no other.
        Ok(CheckType::parse(&text).unwrap_or(CheckType::Process))
    };
    Ok(Process {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        kind: row.get(2)?,
        command: row.get(3)?,
        user: row.get(4)?,
        instances: row.get(5)?,
        memory: row.get(6)?,
        disk: row.get(7)?,
        log_rate_limit: row.get(8)?,
        health_check: Check {
            kind: kind(9)?,
            timeout: row.get(10)?,
            invocation_timeout: row.get(11)?,
            interval: row.get(12)?,
            endpoint: row.get(13)?,
        },
        readiness_check: Check {
            kind: kind(14)?,
            timeout: None,
            invocation_timeout: row.get(15)?,
            interval: row.get(16)?,
            endpoint: row.get(17)?,
        },
        version: row.get(18)?,
        created_at: row.get(19)?,
        updated_at: row.get(20)?,
        revision_guid: row.get(21)?,
    })
}
