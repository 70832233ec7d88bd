//! SQL of `app_usage_events`.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, TaskGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list_by_id};
use crate::db::{ReadTx, WriteTx};

/// How long events are kept.
const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

const COLUMNS: &str = "e.guid, e.state, e.previous_state, e.app_guid, e.app_name, e.process_guid, e.process_type, \
    e.space_guid, e.space_name, e.organization_guid, e.buildpack_guid, e.buildpack_name, e.task_guid, e.task_name, \
    e.memory_in_mb, e.previous_memory_in_mb, e.instances, e.previous_instances, e.created_at";

/// A stored event; pairs are (now, before) or [guid, name].
#[derive(Debug)]
pub(crate) struct AppUsageEvent {
    pub guid: String,
    pub state: String,
    pub previous_state: Option<String>,
    pub app: [Option<String>; 2],
    /// Guid and type.
    pub process: [Option<String>; 2],
    pub space: [Option<String>; 2],
    pub organization_guid: String,
    pub buildpack: [Option<String>; 2],
    pub task: [Option<String>; 2],
    pub memory: (i64, i64),
    pub instances: (i64, i64),
    pub created_at: Timestamp,
}

/// The details of an app that an event records.
pub(crate) struct Facts {
    pub app_name: String,
    pub space_guid: String,
    pub space_name: String,
    pub organization_guid: String,
    pub buildpack: Option<String>,
}

/// Stores an event and deletes those that are too old.
pub(crate) fn insert(tx: &WriteTx<'_>, event: &AppUsageEvent) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into app_usage_events (guid, state, previous_state, app_guid, app_name, process_guid, \
             process_type, space_guid, space_name, organization_guid, buildpack_guid, buildpack_name, task_guid, \
             task_name, memory_in_mb, previous_memory_in_mb, instances, previous_instances, created_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            event.guid,
            event.state,
            event.previous_state,
            event.app[0],
            event.app[1],
            event.process[0],
            event.process[1],
            event.space[0],
            event.space[1],
            event.organization_guid,
            event.buildpack[0],
            event.buildpack[1],
            event.task[0],
            event.task[1],
            event.memory.0,
            event.memory.1,
            event.instances.0,
            event.instances.1,
            event.created_at,
        ])?;
    tx.sql()
        .prepare_cached("delete from app_usage_events where created_at < ?1")?
        .execute([event.created_at.minus(KEPT)])?;
    Ok(())
}

/// Deletes all events.
pub(crate) fn clear(tx: &WriteTx<'_>) -> Result<()> {
    tx.sql().execute("delete from app_usage_events", [])?;
    Ok(())
}

/// One event.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &str) -> Result<Option<AppUsageEvent>> {
    let sql = format!("select {COLUMNS} from app_usage_events e where e.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], event).optional()?)
}

/// A page of events.
pub(crate) fn list(tx: &ReadTx<'_>, query: &ListQuery) -> Result<Listed<AppUsageEvent>> {
    let mut select = Select::from("app_usage_events e");
    query.filter_common(&mut select, "e", None)?;
    if let Some(guid) = query.raw("after_guid") {
        let id: Option<i64> = tx
            .sql()
            .prepare_cached("select id from app_usage_events where guid = ?1")?
            .query_row([guid], |row| row.get(0))
            .optional()?;
        let id = id.ok_or_else(|| {
            Error::unprocessable("After guid filter must be a valid app usage event guid.")
        })?;
        select.and("e.id > ?", [id]);
    }
    list_by_id(
        tx,
        &select,
        Columns {
            alias: "e",
            names: COLUMNS,
        },
        query,
        event,
    )
}

/// The current details of an app.
pub(crate) fn facts(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Facts> {
    let mut statement = tx.sql().prepare_cached(
        "select a.name, s.guid, s.name, s.organization_guid, a.lifecycle_buildpacks, \
         (select json_extract(d.buildpacks, '$[#-1].name') from droplets d where d.guid = a.current_droplet_guid) \
         from apps a join spaces s on s.guid = a.space_guid where a.guid = ?1",
    )?;
    let facts = statement.query_row([app], |row| {
        let wanted: String = row.get(4)?;
        let wanted: Vec<String> = serde_json::from_str(&wanted).unwrap_or_default();
        let by_url = wanted
            .into_iter()
            .find(|name| url::Url::parse(name).is_ok());
        Ok(Facts {
            app_name: row.get(0)?,
            space_guid: row.get(1)?,
            space_name: row.get(2)?,
            organization_guid: row.get(3)?,
            buildpack: match by_url {
                Some(url) => Some(url),
                None => row.get(5)?,
            },
        })
    })?;
    Ok(facts)
}

/// Whether an event reports the start of a task.
pub(crate) fn has_task_start(tx: &ReadTx<'_>, task: &TaskGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from app_usage_events where task_guid = ?1")?;
    Ok(statement.exists([task])?)
}

/// A buildpack by its name.
pub(crate) fn buildpack_guid(tx: &ReadTx<'_>, name: &str) -> Result<Option<String>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from buildpacks where name = ?1 order by position limit 1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

fn event(row: &Row<'_>) -> rusqlite::Result<AppUsageEvent> {
    Ok(AppUsageEvent {
        guid: row.get(0)?,
        state: row.get(1)?,
        previous_state: row.get(2)?,
        app: [row.get(3)?, row.get(4)?],
        process: [row.get(5)?, row.get(6)?],
        space: [row.get(7)?, row.get(8)?],
        organization_guid: row.get(9)?,
        buildpack: [row.get(10)?, row.get(11)?],
        task: [row.get(12)?, row.get(13)?],
        memory: (row.get(14)?, row.get(15)?),
        instances: (row.get(16)?, row.get(17)?),
        created_at: row.get(18)?,
    })
}
