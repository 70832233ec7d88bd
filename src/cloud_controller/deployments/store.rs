//! SQL of `deployments`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DeploymentGuid, DropletGuid, RevisionGuid};
use crate::cloud_controller::v3::{
    ApiResult, Caller, ListQuery, Listed, ResourceType, Select, list,
};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "d.guid, d.app_guid, d.state, d.status_value, d.status_reason, d.strategy, \
    d.options, d.droplet_guid, d.previous_droplet_guid, iif(a.revisions_enabled, d.revision_guid, null), \
    d.revision_version, d.canary_current_step, d.error, d.last_healthy_at, d.status_updated_at, d.new_processes, \
    d.created_at, d.updated_at";

/// A stored deployment.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub guid: DeploymentGuid,
    pub app_guid: AppGuid,
    pub state: String,
    pub status_value: String,
    pub status_reason: String,
    pub strategy: String,
    /// A JSON object, as it is shown.
    pub options: Value,
    pub droplet_guid: Option<DropletGuid>,
    pub previous_droplet_guid: Option<DropletGuid>,
    pub revision_guid: Option<RevisionGuid>,
    pub revision_version: Option<i64>,
    pub canary_current_step: Option<i64>,
    pub error: Option<String>,
    pub last_healthy_at: Option<Timestamp>,
    pub status_updated_at: Timestamp,
    /// A JSON array, as it is shown.
    pub new_processes: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("deployments d join apps a on a.guid = d.app_guid");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A deployment the caller sees.
pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DeploymentGuid,
) -> ApiResult<Option<Deployment>> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), deployment)
        .optional()?)
}

/// A page of those the caller sees.
pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> ApiResult<Listed<Deployment>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "d", Some(ResourceType::Deployment))?;
    query.filter(&mut select, "app_guids", "d.app_guid");
    query.filter(&mut select, "states", "d.state");
    query.filter(&mut select, "status_values", "d.status_value");
    query.filter(&mut select, "status_reasons", "d.status_reason");
    list(tx, &select, ("d", COLUMNS), query, deployment)
}

/// Stores a new deployment.
pub(super) fn insert(tx: &WriteTx<'_>, deployment: &Deployment) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into deployments (guid, app_guid, state, status_value, status_reason, strategy, options, \
             droplet_guid, previous_droplet_guid, revision_guid, revision_version, canary_current_step, \
             status_updated_at, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)",
        )?
        .execute(params![
            deployment.guid,
            deployment.app_guid,
            deployment.state,
            deployment.status_value,
            deployment.status_reason,
            deployment.strategy,
            deployment.options.to_string(),
            deployment.droplet_guid,
            deployment.previous_droplet_guid,
            deployment.revision_guid,
            deployment.revision_version,
            deployment.canary_current_step,
            deployment.status_updated_at,
            deployment.created_at,
        ])?;
    Ok(())
}

/// Stores what can change of a deployment.
pub(super) fn update(tx: &WriteTx<'_>, deployment: &Deployment) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "update deployments set state = ?2, status_value = ?3, status_reason = ?4, canary_current_step = ?5, \
             status_updated_at = ?6, updated_at = ?7 where guid = ?1",
        )?
        .execute(params![
            deployment.guid,
            deployment.state,
            deployment.status_value,
            deployment.status_reason,
            deployment.canary_current_step,
            deployment.status_updated_at,
            deployment.updated_at,
        ])?;
    Ok(())
}

fn deployment(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    let json = |column: usize| -> rusqlite::Result<Value> {
        let text: String = row.get(column)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    Ok(Deployment {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        state: row.get(2)?,
        status_value: row.get(3)?,
        status_reason: row.get(4)?,
        strategy: row.get(5)?,
        options: json(6)?,
        droplet_guid: row.get(7)?,
        previous_droplet_guid: row.get(8)?,
        revision_guid: row.get(9)?,
        revision_version: row.get(10)?,
        canary_current_step: row.get(11)?,
        error: row.get(12)?,
        last_healthy_at: row.get(13)?,
        status_updated_at: row.get(14)?,
        new_processes: json(15)?,
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
    })
}
