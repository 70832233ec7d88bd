//! SQL of `space_quotas`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, ToSql, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{OrganizationGuid, SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::quotas::{LIMIT_COLUMNS, QuotaLimits};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

/// A stored quota.
#[derive(Debug, Clone)]
pub(crate) struct SpaceQuota {
    pub guid: SpaceQuotaGuid,
    pub name: String,
    pub organization_guid: OrganizationGuid,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub limits: QuotaLimits,
}

/// The spaces that have each quota.
pub(crate) type Members = HashMap<SpaceQuotaGuid, Vec<SpaceGuid>>;

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

/// A quota the caller sees, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &SpaceQuotaGuid,
) -> Result<SpaceQuota> {
    let mut select = visible(caller);
    select.and("q.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(&columns(), ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), quota)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Space quota"))
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<SpaceQuota>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "q", None)?;
    query.filter(&mut select, "names", "q.name");
    query.filter(&mut select, "organization_guids", "q.organization_guid");
    query.filter_through(
        &mut select,
        "space_guids",
        "q.guid",
        "select quota_guid from spaces where guid",
    );
    list(
        tx,
        &select,
        Columns {
            alias: "q",
            names: &columns(),
        },
        query,
        quota,
    )
}

/// The spaces that have these quotas, as far as the caller sees them.
pub(crate) fn members(tx: &ReadTx<'_>, caller: &Caller, quotas: &[SpaceQuota]) -> Result<Members> {
    let guids: Vec<&SpaceQuotaGuid> = quotas.iter().map(|quota| &quota.guid).collect();
    let mut select = Select::from("spaces s");
    select.and(
        "s.quota_guid in (select value from json_each(?))",
        [serde_json::to_string(&guids)?],
    );
    caller.limit_to_visible_spaces(&mut select, "s.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("s.quota_guid, s.guid", "order by s.created_at, s.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let mut members = Members::new();
    for row in rows {
        let (quota, space) = row?;
        members.entry(quota).or_default().push(space);
    }
    Ok(members)
}

/// All spaces that have a quota.
pub(crate) fn all_members(tx: &ReadTx<'_>, guid: &SpaceQuotaGuid) -> Result<Vec<SpaceGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from spaces where quota_guid = ?1 order by created_at, guid",
    )?;
    let rows = statement.query_map([guid], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The reserved-ports limit of the organization's own quota.
pub(crate) fn reserved_ports_of(
    tx: &ReadTx<'_>,
    organization: &OrganizationGuid,
) -> Result<Option<i64>> {
    let mut statement = tx.sql().prepare_cached(
        "select q.total_reserved_ports from organization_quotas q join organizations o on o.quota_guid = q.guid \
         where o.guid = ?1",
    )?;
    Ok(statement.query_row([organization], |row| row.get(0))?)
}

/// Stores a new quota; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, quota: &SpaceQuota) -> Result<()> {
    write(
        tx,
        quota,
        "insert into space_quotas (guid, name, organization_guid, created_at, updated_at, total_memory_in_mb, \
         per_process_memory_in_mb, total_instances, per_app_tasks, log_rate_limit_in_bytes_per_second, \
         paid_services_allowed, total_service_instances, total_service_keys, total_routes, total_reserved_ports) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )
}

/// Updates a quota.
pub(crate) fn update(tx: &WriteTx<'_>, quota: &SpaceQuota) -> Result<()> {
    write(
        tx,
        quota,
        "update space_quotas set name = ?2, organization_guid = ?3, created_at = ?4, updated_at = ?5, \
         total_memory_in_mb = ?6, per_process_memory_in_mb = ?7, total_instances = ?8, per_app_tasks = ?9, \
         log_rate_limit_in_bytes_per_second = ?10, paid_services_allowed = ?11, total_service_instances = ?12, \
         total_service_keys = ?13, total_routes = ?14, total_reserved_ports = ?15 where guid = ?1",
    )
}

fn write(tx: &WriteTx<'_>, quota: &SpaceQuota, sql: &str) -> Result<()> {
    let limits = quota.limits.to_sql();
    let mut values: Vec<&dyn ToSql> = vec![
        &quota.guid,
        &quota.name,
        &quota.organization_guid,
        &quota.created_at,
        &quota.updated_at,
    ];
    values.extend(limits.iter().map(|limit| limit as &dyn ToSql));
    let done = tx.sql().prepare_cached(sql)?.execute(&values[..]);
    model::quotas::name_taken(done, "Space Quota", &quota.name)
}

/// Assigns this quota to a space, or none.
pub(crate) fn set_quota(
    tx: &WriteTx<'_>,
    space: &SpaceGuid,
    quota: Option<&SpaceQuotaGuid>,
) -> Result<()> {
    tx.sql()
        .prepare_cached("update spaces set quota_guid = ?2 where guid = ?1")?
        .execute(params![space, quota])?;
    Ok(())
}

/// Deletes a quota.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &SpaceQuotaGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from space_quotas where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn quota(row: &Row<'_>) -> rusqlite::Result<SpaceQuota> {
    Ok(SpaceQuota {
        guid: row.get(0)?,
        name: row.get(1)?,
        organization_guid: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
        limits: QuotaLimits::from_row(row, 5)?,
    })
}
