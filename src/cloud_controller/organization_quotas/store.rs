//! SQL of `organization_quotas`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::quota_limits::{LIMIT_COLUMNS, QuotaLimits};
use crate::cloud_controller::v3::{ApiResult, Caller, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

/// A stored quota with the organizations that have it and the caller sees.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub guid: String,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub total_domains: Option<i64>,
    pub limits: QuotaLimits,
    pub members: Vec<String>,
}

fn columns() -> String {
    format!("q.guid, q.name, q.created_at, q.updated_at, q.total_domains, {LIMIT_COLUMNS}")
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("organization_quotas q");
    if !caller.sees_all() {
        select.and(
            "q.guid in (select quota_guid from organizations where guid in \
             (select organization_guid from roles where user_guid = ?))",
            [caller.guid.to_string()],
        );
    }
    select
}

pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Option<Quota>> {
    let mut select = visible(caller);
    select.and("q.guid = ?", [guid.to_owned()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(&columns(), ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), quota)
        .optional()?;
    found
        .map(|quota| with_members(tx, caller, quota))
        .transpose()
}

pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> ApiResult<Listed<Quota>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "q", None)?;
    query.filter(&mut select, "names", "q.name");
    query.filter_marks(
        &mut select,
        "organization_guids",
        "q.guid in (select quota_guid from organizations where guid in ({}))",
    );
    let found = list(tx, &select, ("q", &columns()), query, quota)?;
    let rows = found
        .rows
        .into_iter()
        .map(|quota| with_members(tx, caller, quota))
        .collect::<ApiResult<_>>()?;
    Ok(Listed {
        total: found.total,
        rows,
    })
}

fn with_members(tx: &ReadTx<'_>, caller: &Caller, mut quota: Quota) -> ApiResult<Quota> {
    let mut select = Select::from("organizations o");
    select.and("o.quota_guid = ?", [quota.guid.clone()]);
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("o.guid", "order by o.created_at"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    quota.members = rows.collect::<rusqlite::Result<_>>()?;
    Ok(quota)
}

/// Stores the `default` quota when there is none; it limits memory to 100 GB, like CC's.
pub(crate) fn ensure_default(
    tx: &WriteTx<'_>,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into organization_quotas (guid, name, total_memory_in_mb, total_routes, total_service_instances, \
             total_reserved_ports, created_at, updated_at) values (?1, 'default', 102400, 1000, 100, 100, ?2, ?2) \
             on conflict (name) do nothing",
        )?
        .execute(params![guids.next(), now])?;
    Ok(())
}

fn quota(row: &Row<'_>) -> rusqlite::Result<Quota> {
    Ok(Quota {
        guid: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        total_domains: row.get(4)?,
        limits: QuotaLimits::from_row(row, 5)?,
        members: Vec::new(),
    })
}
