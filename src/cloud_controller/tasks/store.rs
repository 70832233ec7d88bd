//! SQL of `tasks`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, SpaceGuid, TaskGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, ListQuery, Listed, ResourceType, Select, list,
};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "t.guid, t.app_guid, a.space_guid, a.name, t.sequence_id, t.name, t.command, \
    coalesce(t.user, iif(d.lifecycle_type = 'docker' and json_valid(d.execution_metadata), \
    nullif(json_extract(d.execution_metadata, '$.user'), ''), null), iif(d.guid is null, null, 'vcap')), \
    t.state, t.memory_in_mb, t.disk_in_mb, t.log_rate_limit_in_bytes_per_second, t.failure_reason, t.droplet_guid, \
    t.created_at, t.updated_at";
const FROM: &str =
    "tasks t join apps a on a.guid = t.app_guid left join droplets d on d.guid = t.droplet_guid";

/// A stored task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub guid: TaskGuid,
    pub app_guid: AppGuid,
    pub space_guid: SpaceGuid,
    pub app_name: String,
    pub sequence_id: i64,
    pub name: String,
    pub command: String,
    /// That is set, or of its droplet.
    pub user: Option<String>,
    pub state: String,
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
pub(super) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &TaskGuid) -> ApiResult<Task> {
    let mut select = visible(caller);
    select.and("t.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), task)
        .optional()?;
    found.ok_or_else(|| ApiError::not_found("Task"))
}

/// A page of those the caller sees; `app` = only of this one.
pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> ApiResult<Listed<Task>> {
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
    query.filter_marks(
        &mut select,
        "organization_guids",
        "a.space_guid in (select guid from spaces where organization_guid in ({}))",
    );
    list(tx, &select, ("t", COLUMNS), query, task)
}

/// Stores state and time of change.
pub(super) fn update(tx: &WriteTx<'_>, task: &Task) -> ApiResult<()> {
    tx.sql()
        .prepare_cached("update tasks set state = ?2, updated_at = ?3 where guid = ?1")?
        .execute(params![task.guid, task.state, task.updated_at])?;
    Ok(())
}

/// Whether this droplet belongs to the app.
pub(super) fn has_droplet(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    droplet: &DropletGuid,
) -> ApiResult<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from droplets where guid = ?1 and app_guid = ?2")?;
    Ok(statement.exists(params![droplet, app])?)
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
