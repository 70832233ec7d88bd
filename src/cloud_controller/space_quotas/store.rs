//! SQL of `space_quotas`.

use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::base::Timestamp;
use crate::cloud_controller::quota_limits::{LIMIT_COLUMNS, QuotaLimits};
use crate::cloud_controller::v3::{ApiResult, Caller, ListQuery, Listed, Select, list};
use crate::db::ReadTx;

/// A stored quota with the spaces that have it and the caller sees.
#[derive(Debug, Clone)]
pub(super) struct SpaceQuota {
    pub guid: String,
    pub name: String,
    pub organization_guid: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub limits: QuotaLimits,
    pub members: Vec<String>,
}

fn columns() -> String {
    format!("q.guid, q.name, q.organization_guid, q.created_at, q.updated_at, {LIMIT_COLUMNS}")
}

/// Managers of the organization see its quotas, members of a space that space's.
fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("space_quotas q");
    if !caller.sees_all() {
        select.and(
            "q.organization_guid in (select organization_guid from roles where user_guid = ? \
             and type = 'organization_manager') or q.guid in (select s.quota_guid from spaces s \
             join roles r on r.space_guid = s.guid where r.user_guid = ?)",
            [caller.guid.to_string(), caller.guid.to_string()],
        );
    }
    select
}

pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Option<SpaceQuota>> {
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
) -> ApiResult<Listed<SpaceQuota>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "q", None)?;
    query.filter(&mut select, "names", "q.name");
    query.filter(&mut select, "organization_guids", "q.organization_guid");
    query.filter_marks(
        &mut select,
        "space_guids",
        "q.guid in (select quota_guid from spaces where guid in ({}))",
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

fn with_members(tx: &ReadTx<'_>, caller: &Caller, mut quota: SpaceQuota) -> ApiResult<SpaceQuota> {
    let mut select = Select::from("spaces s");
    select.and("s.quota_guid = ?", [quota.guid.clone()]);
    caller.limit_to_visible_spaces(&mut select, "s.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("s.guid", "order by s.created_at"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    quota.members = rows.collect::<rusqlite::Result<_>>()?;
    Ok(quota)
}

fn quota(row: &Row<'_>) -> rusqlite::Result<SpaceQuota> {
    Ok(SpaceQuota {
        guid: row.get(0)?,
        name: row.get(1)?,
        organization_guid: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
        limits: QuotaLimits::from_row(row, 5)?,
        members: Vec::new(),
    })
}
