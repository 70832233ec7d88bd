//! SQL of `organization_quotas`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, ToSql, params, params_from_iter};

use crate::base::guid::{OrganizationGuid, OrganizationQuotaGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::quotas::{LIMIT_COLUMNS, QuotaLimits};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

/// A stored quota.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub guid: OrganizationQuotaGuid,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub total_domains: Option<i64>,
    pub limits: QuotaLimits,
}

/// The organizations that have each quota.
pub(crate) type Members = HashMap<OrganizationQuotaGuid, Vec<OrganizationGuid>>;

fn columns() -> String {
    format!("q.guid, q.name, q.created_at, q.updated_at, q.total_domains, {LIMIT_COLUMNS}")
}

/// A quota; anybody may see one whose guid is known.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &OrganizationQuotaGuid) -> Result<Option<Quota>> {
    let sql = format!(
        "select {} from organization_quotas q where q.guid = ?1",
        columns()
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], quota)
        .optional()?)
}

/// A page of all quotas: everybody sees them, but not which other organizations have them.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Quota>> {
    let mut select = Select::from("organization_quotas q");
    // Otherwise the filter would reveal organizations the caller does not see.
    if !caller.sees_all() && query.raw("organization_guids").is_some() {
        select.and(
            "q.guid in (select quota_guid from organizations where guid in \
             (select organization_guid from roles where user_guid = ?))",
            [caller.guid.to_string()],
        );
    }
    query.filter_common(&mut select, "q", None)?;
    query.filter(&mut select, "names", "q.name");
    query.filter_through(
        &mut select,
        "organization_guids",
        "q.guid",
        "select quota_guid from organizations where guid",
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

/// The organizations that have these quotas, as far as the caller sees them.
pub(crate) fn members(tx: &ReadTx<'_>, caller: &Caller, quotas: &[Quota]) -> Result<Members> {
    let guids: Vec<&OrganizationQuotaGuid> = quotas.iter().map(|quota| &quota.guid).collect();
    let mut select = Select::from("organizations o");
    select.and(
        "o.quota_guid in (select value from json_each(?))",
        [serde_json::to_string(&guids)?],
    );
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("o.quota_guid, o.guid", "order by o.created_at, o.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let mut members = Members::new();
    for row in rows {
        let (quota, organization) = row?;
        members.entry(quota).or_default().push(organization);
    }
    Ok(members)
}

/// All organizations that have a quota.
pub(crate) fn all_members(
    tx: &ReadTx<'_>,
    guid: &OrganizationQuotaGuid,
) -> Result<Vec<OrganizationGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from organizations where quota_guid = ?1 order by created_at, guid",
    )?;
    let rows = statement.query_map([guid], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Inserts a new quota; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, quota: &Quota) -> Result<()> {
    write(
        tx,
        quota,
        "insert into organization_quotas (guid, name, created_at, updated_at, total_domains, \
         total_memory_in_mb, per_process_memory_in_mb, total_instances, per_app_tasks, \
         log_rate_limit_in_bytes_per_second, paid_services_allowed, total_service_instances, total_service_keys, \
         total_routes, total_reserved_ports) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )
}

/// Updates a quota.
pub(crate) fn update(tx: &WriteTx<'_>, quota: &Quota) -> Result<()> {
    write(
        tx,
        quota,
        "update organization_quotas set name = ?2, created_at = ?3, updated_at = ?4, total_domains = ?5, \
         total_memory_in_mb = ?6, per_process_memory_in_mb = ?7, total_instances = ?8, per_app_tasks = ?9, \
         log_rate_limit_in_bytes_per_second = ?10, paid_services_allowed = ?11, total_service_instances = ?12, \
         total_service_keys = ?13, total_routes = ?14, total_reserved_ports = ?15 where guid = ?1",
    )
}

fn write(tx: &WriteTx<'_>, quota: &Quota, sql: &str) -> Result<()> {
    let limits = quota.limits.to_sql();
    let mut values: Vec<&dyn ToSql> = vec![
        &quota.guid,
        &quota.name,
        &quota.created_at,
        &quota.updated_at,
        &quota.total_domains,
    ];
    values.extend(limits.iter().map(|limit| limit as &dyn ToSql));
    let done = tx.sql().prepare_cached(sql)?.execute(&values[..]);
    model::quotas::name_taken(done, "Organization Quota", &quota.name)
}

/// Assigns this quota to an organization.
pub(crate) fn apply(
    tx: &WriteTx<'_>,
    guid: &OrganizationQuotaGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached("update organizations set quota_guid = ?1 where guid = ?2")?
        .execute(params![guid, organization])?;
    Ok(())
}

/// Deletes a quota that no organization has.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &OrganizationQuotaGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from organization_quotas where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Inserts the `default` quota when there is none; it limits memory to 100 GB, like CC's.
pub(crate) fn ensure_default(tx: &WriteTx<'_>, now: Timestamp, guids: &GuidSource) -> Result<()> {
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
    })
}
