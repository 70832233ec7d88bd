//! SQL of `tasks`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, SpaceGuid, TaskGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::states::states;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::scheduler::{self, OpenTask, OpenTasks};

states! {
    /// How far a task is.
    TaskState {
        /// Waits for its start.
        Pending = "PENDING",
        /// Under way.
        Running = "RUNNING",
        /// Being stopped.
        Canceling = "CANCELING",
        /// Ended with exit status 0.
        Succeeded = "SUCCEEDED",
        /// Ended otherwise.
        Failed = "FAILED",
    }
}

const COLUMNS: &str = "t.guid, t.app_guid, a.space_guid, a.name, t.sequence_id, t.name, t.command, \
    coalesce(t.user, iif(d.lifecycle_type = 'docker' and json_valid(d.execution_metadata), \
    nullif(json_extract(d.execution_metadata, '$.user'), ''), null), iif(d.guid is null, null, 'vcap')), \
    t.state, t.memory_in_mb, t.disk_in_mb, t.log_rate_limit_in_bytes_per_second, t.failure_reason, t.droplet_guid, \
    t.created_at, t.updated_at";
const OPEN: &str = "state in ('PENDING', 'RUNNING', 'CANCELING')";
const FROM: &str =
    "tasks t join apps a on a.guid = t.app_guid left join droplets d on d.guid = t.droplet_guid";

/// A stored task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub guid: TaskGuid,
    pub app_guid: AppGuid,
    pub space_guid: SpaceGuid,
    pub app_name: String,
    pub sequence_id: i64,
    pub name: String,
    pub command: String,
    /// Its own user, or that of its droplet.
    pub user: Option<String>,
    pub state: TaskState,
    pub memory: i64,
    pub disk: i64,
    pub log_rate_limit: i64,
    pub failure_reason: Option<String>,
    pub droplet_guid: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A task the caller sees, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &TaskGuid) -> Result<Task> {
    let mut select = visible(caller);
    select.and("t.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), task)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Task"))
}

/// A page of those the caller sees; `app` = only of this one.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> Result<Listed<Task>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "t", Some(ResourceType::Task))?;
    if let Some(app) = app {
        select.and("t.app_guid = ?", [app.to_string()]);
    }
    query.filter(&mut select, "names", "t.name");
    query.filter(&mut select, "states", "t.state");
    query.filter(&mut select, "sequence_ids", "cast(t.sequence_id as text)");
    query.filter(&mut select, "app_guids", "t.app_guid");
    query.filter(&mut select, "space_guids", "a.space_guid");
    query.filter_through(
        &mut select,
        "organization_guids",
        "a.space_guid",
        "select guid from spaces where organization_guid",
    );
    list(
        tx,
        &select,
        Columns {
            alias: "t",
            names: COLUMNS,
        },
        query,
        task,
    )
}

/// Any task.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &TaskGuid) -> Result<Option<Task>> {
    let sql = format!("select {COLUMNS} from {FROM} where t.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], task).optional()?)
}

/// The tasks of an app that have not ended.
pub(crate) fn open_of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<Task>> {
    let sql = format!("select {COLUMNS} from {FROM} where t.app_guid = ?1 and t.{OPEN}");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([app], task)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All that have not ended, for the scheduler.
pub(crate) fn open(tx: &ReadTx<'_>) -> Result<OpenTasks, DbError> {
    let sql = format!("select guid, app_guid, name, state, created_at from tasks where {OPEN}");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let mut reading = tx.reading("tasks");
    let tasks = reading.rows(&mut statement, [], |row| {
        let state: TaskState = row.get(3)?;
        Ok(OpenTask {
            guid: row.get(0)?,
            app_guid: row.get(1)?,
            name: row.get(2)?,
            state: match state {
                TaskState::Pending => scheduler::TaskState::Pending,
                TaskState::Running => scheduler::TaskState::Running,
                TaskState::Canceling | TaskState::Succeeded | TaskState::Failed => {
                    scheduler::TaskState::Canceling
                }
            },
            created_at: row.get(4)?,
        })
    })?;
    let unreadable = reading.keys().collect();
    reading.finish();
    Ok(OpenTasks { tasks, unreadable })
}

/// The number of the app's next task.
pub(crate) fn next_sequence_id(tx: &ReadTx<'_>, app: &AppGuid) -> Result<i64> {
    let mut statement = tx.sql().prepare_cached(
        "select coalesce(max(sequence_id), 0) + 1 from tasks where app_guid = ?1",
    )?;
    Ok(statement.query_row([app], |row| row.get(0))?)
}

/// Stores a new task.
pub(crate) fn insert(tx: &WriteTx<'_>, task: &Task) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into tasks (guid, app_guid, sequence_id, name, command, user, state, memory_in_mb, disk_in_mb, \
             log_rate_limit_in_bytes_per_second, droplet_guid, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
        )?
        .execute(params![
            task.guid,
            task.app_guid,
            task.sequence_id,
            task.name,
            task.command,
            task.user,
            task.state,
            task.memory,
            task.disk,
            task.log_rate_limit,
            task.droplet_guid,
            task.created_at,
        ])?;
    Ok(())
}

/// Updates state, failure reason and time of change.
pub(crate) fn update(tx: &WriteTx<'_>, task: &Task) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update tasks set state = ?2, failure_reason = ?3, updated_at = ?4 where guid = ?1",
        )?
        .execute(params![
            task.guid,
            task.state,
            task.failure_reason,
            task.updated_at
        ])?;
    Ok(())
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        space_guid: row.get(2)?,
        app_name: row.get(3)?,
        sequence_id: row.get(4)?,
        name: row.get(5)?,
        command: row.get(6)?,
        user: row.get(7)?,
        state: row.get(8)?,
        memory: row.get(9)?,
        disk: row.get(10)?,
        log_rate_limit: row.get(11)?,
        failure_reason: row.get(12)?,
        droplet_guid: row.get(13)?,
        created_at: row.get(14)?,
        updated_at: row.get(15)?,
    })
}
