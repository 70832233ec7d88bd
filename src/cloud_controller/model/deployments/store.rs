//! SQL of `deployments`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::{Deployment, DeploymentState};
use crate::base::guid::{AppGuid, DeploymentGuid, ProcessGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "d.guid, d.app_guid, d.state, d.status_value, d.status_reason, d.strategy, \
    d.options, d.droplet_guid, d.previous_droplet_guid, iif(a.revisions_enabled, d.revision_guid, null), \
    d.revision_version, d.canary_current_step, d.error, d.last_healthy_at, d.status_updated_at, d.process_guid, \
    d.original_instances, d.created_at, d.updated_at";

const FROM: &str = "deployments d join apps a on a.guid = d.app_guid";
const ACTIVE: &str = "d.status_value = 'ACTIVE'";

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A deployment the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DeploymentGuid,
) -> Result<Option<Deployment>> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), deployment)
        .optional()?)
}

/// Any deployment.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &DeploymentGuid) -> Result<Option<Deployment>> {
    let sql = format!("select {COLUMNS} from {FROM} where d.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], deployment).optional()?)
}

/// The app's deployment in progress.
pub(crate) fn active_of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<Deployment>> {
    let sql = format!("select {COLUMNS} from {FROM} where d.app_guid = ?1 and {ACTIVE}");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([app], deployment).optional()?)
}

/// Deployments that need work, now or later.
pub(crate) fn to_advance(tx: &ReadTx<'_>) -> Result<Vec<Deployment>> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where {ACTIVE} and d.state <> 'PAUSED' order by d.created_at"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let mut reading = tx.reading("deployments");
    let found = reading.rows(&mut statement, [], |row| Ok(deployment(row)?))?;
    reading.finish();
    Ok(found)
}

/// New processes of deployments of an app that others took the place of, newest first: those on their
/// way count as DEPLOYED, canaries as CANCELED.
pub(crate) fn superseded(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    state: DeploymentState,
) -> Result<Vec<ProcessGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select p.guid from deployments d join processes p on p.guid = d.process_guid where d.app_guid = ?1 \
         and d.state = ?2 and d.status_reason = 'SUPERSEDED' order by p.created_at desc, p.rowid desc",
    )?;
    let rows = statement.query_map(params![app, state], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Deployment>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "d", Some(ResourceType::Deployment))?;
    query.filter(&mut select, "app_guids", "d.app_guid");
    query.filter(&mut select, "states", "d.state");
    query.filter(&mut select, "status_values", "d.status_value");
    query.filter(&mut select, "status_reasons", "d.status_reason");
    list(
        tx,
        &select,
        Columns {
            alias: "d",
            names: COLUMNS,
        },
        query,
        deployment,
    )
}

/// Stores a new deployment.
pub(crate) fn insert(tx: &WriteTx<'_>, deployment: &Deployment) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into deployments (guid, app_guid, state, status_value, status_reason, strategy, options, \
             droplet_guid, previous_droplet_guid, revision_guid, revision_version, canary_current_step, \
             status_updated_at, process_guid, original_instances, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?16)",
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
            deployment.process_guid,
            deployment.original_instances,
            deployment.created_at,
        ])?;
    Ok(())
}

/// Updates a deployment.
pub(crate) fn update(tx: &WriteTx<'_>, deployment: &Deployment) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update deployments set state = ?2, status_value = ?3, status_reason = ?4, canary_current_step = ?5, \
             status_updated_at = ?6, last_healthy_at = ?7, error = ?8, updated_at = ?9 where guid = ?1",
        )?
        .execute(params![
            deployment.guid,
            deployment.state,
            deployment.status_value,
            deployment.status_reason,
            deployment.canary_current_step,
            deployment.status_updated_at,
            deployment.last_healthy_at,
            deployment.error,
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
        process_guid: row.get(15)?,
        original_instances: row.get(16)?,
        created_at: row.get(17)?,
        updated_at: row.get(18)?,
    })
}
