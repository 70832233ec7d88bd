//! SQL of `deployments`.

use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::AppGuid;
use crate::cloud_controller::v3::{
    ApiResult, Caller, ListQuery, Listed, ResourceType, Select, list,
};
use crate::db::ReadTx;

const COLUMNS: &str = "d.guid, d.app_guid, d.status_value, d.status_reason, d.strategy, d.droplet_guid, \
                       d.created_at, d.updated_at";

/// A stored deployment.
#[derive(Debug)]
pub(super) struct Deployment {
    pub guid: String,
    pub app_guid: AppGuid,
    pub status_value: String,
    pub status_reason: String,
    pub strategy: String,
    pub droplet_guid: Option<String>,
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
    guid: &str,
) -> ApiResult<Option<Deployment>> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_owned()]);
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

fn deployment(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        status_value: row.get(2)?,
        status_reason: row.get(3)?,
        strategy: row.get(4)?,
        droplet_guid: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}
