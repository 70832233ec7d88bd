//! SQL of `domains` and `domain_shared_organizations`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params, params, params_from_iter};

use super::Domain;
use crate::base::Timestamp;
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "d.guid, d.name, d.internal, d.router_group_guid, d.organization_guid, \
                       d.created_at, d.updated_at";

/// Organizations whose private domains a user sees: organization users and billing managers do not.
const READABLE: &str = "select organization_guid from roles where user_guid = ? \
                        and type not in ('organization_user', 'organization_billing_manager')";

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("domains d");
    if !caller.sees_all() {
        let sql = format!(
            "d.organization_guid is null or d.organization_guid in ({READABLE}) or d.guid in \
             (select domain_guid from domain_shared_organizations where organization_guid in ({READABLE}))"
        );
        select.and(&sql, [caller.guid.to_string(), caller.guid.to_string()]);
    }
    select
}

/// A domain the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DomainGuid,
) -> Result<Option<Domain>> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), domain)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &DomainGuid) -> Result<Domain> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Domain"))
}

/// A domain, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &DomainGuid) -> Result<Option<Domain>> {
    one(tx, "d.guid = ?1", guid.as_str())
}

/// A domain by its name, without an access check.
pub(crate) fn find_by_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<Domain>> {
    one(tx, "d.name = ?1", name)
}

/// Whether a host is a domain, or below one.
pub(crate) fn contain(tx: &ReadTx<'_>, host: &str) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from domains where name = ?1 or ?1 like '%.' || name")?;
    Ok(statement.exists([host])?)
}

fn one(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Option<Domain>> {
    let sql = format!("select {COLUMNS} from domains d where {condition}");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([value], domain)
        .optional()?)
}

/// Domains by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<Domain>> {
    let mut select = Select::from("domains d");
    select.and_in("d.guid", guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by d.name"))?;
    let rows = statement.query_map(params_from_iter(select.values()), domain)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The private domains an organization owns.
pub(crate) fn owned_by(tx: &ReadTx<'_>, organization: &OrganizationGuid) -> Result<Vec<Domain>> {
    let sql = format!(
        "select {COLUMNS} from domains d where d.organization_guid = ?1 order by d.created_at, d.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([organization], domain)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Names of the private domains an organization owns and shares with others.
pub(crate) fn owned_and_shared(
    tx: &ReadTx<'_>,
    organization: &OrganizationGuid,
) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select d.name from domains d where d.organization_guid = ?1 and exists \
         (select 1 from domain_shared_organizations s where s.domain_guid = d.guid) order by d.created_at, d.guid",
    )?;
    let rows = statement.query_map([organization], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The default domain of an organization's routes: the first shared one that the router serves,
/// else the organization's first own one.
pub(crate) fn default_of(
    tx: &ReadTx<'_>,
    organization: &OrganizationGuid,
) -> Result<Option<Domain>> {
    let sql = format!(
        "select {COLUMNS} from domains d where (d.organization_guid is null and d.internal = 0 \
         and d.router_group_guid is null) or d.organization_guid = ?1 or d.guid in \
         (select domain_guid from domain_shared_organizations where organization_guid = ?1) \
         order by d.organization_guid is not null, d.created_at, d.guid limit 1"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([organization], domain)
        .optional()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Domain>> {
    listed(tx, visible(caller), query)
}

/// A page of those an organization can use; its private ones only if the caller sees them.
pub(crate) fn list_of_organization(
    tx: &ReadTx<'_>,
    caller: &Caller,
    organization: &OrganizationGuid,
    query: &ListQuery,
) -> Result<Listed<Domain>> {
    let mut select = Select::from("domains d");
    if sees_private(tx, caller, organization)? {
        select.and(
            "d.organization_guid is null or d.organization_guid = ? or d.guid in \
             (select domain_guid from domain_shared_organizations where organization_guid = ?)",
            [organization.to_string(), organization.to_string()],
        );
    } else {
        select.and("d.organization_guid is null", [0_i64; 0]);
    }
    listed(tx, select, query)
}

fn listed(tx: &ReadTx<'_>, mut select: Select, query: &ListQuery) -> Result<Listed<Domain>> {
    query.filter_common(&mut select, "d", Some(ResourceType::Domain))?;
    query.filter(&mut select, "names", "d.name");
    query.filter(&mut select, "organization_guids", "d.organization_guid");
    list(
        tx,
        &select,
        Columns {
            alias: "d",
            names: COLUMNS,
        },
        query,
        domain,
    )
}

/// Whether the caller sees the private domains of an organization.
pub(crate) fn sees_private(
    tx: &ReadTx<'_>,
    caller: &Caller,
    organization: &OrganizationGuid,
) -> Result<bool> {
    if caller.sees_all() {
        return Ok(true);
    }
    let sql = format!("select 1 where ? in ({READABLE})");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .exists(params![organization, caller.guid])?)
}

/// Stores a new domain; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, domain: &Domain) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into domains (guid, name, internal, router_group_guid, organization_guid, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            domain.guid,
            domain.name,
            domain.internal,
            domain.router_group_guid,
            domain.organization_guid,
            domain.created_at
        ]);
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(name_taken(&domain.name)),
        Err(error) => Err(error.into()),
    }
}

/// 422: the name is taken.
pub(crate) fn name_taken(name: &str) -> Error {
    Error::unprocessable(format!("The domain name \"{name}\" is already in use"))
}

/// Updates the time of a change.
pub(crate) fn touch(tx: &WriteTx<'_>, guid: &DomainGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached("update domains set updated_at = ?2 where guid = ?1")?
        .execute(params![guid, now])?;
    Ok(())
}

/// Deletes the domain; its routes must be deleted first.
/// Gives the domain `old` and all below it the name `new`, with their routes; one whose new name is in use
/// keeps its old one.
pub(crate) fn rename(
    tx: &WriteTx<'_>,
    old: &str,
    new: &str,
) -> std::result::Result<(), crate::db::DbError> {
    const SQL: &str = "
        update or ignore domains
        set name = substr(name, 1, length(name) - length(:old)) || :new
        where name = :old or substr(name, -length(:old) - 1) = '.' || :old";
    let mut statement = tx.sql().prepare(SQL)?;
    statement.execute(named_params! { ":old": old, ":new": new })?;
    Ok(())
}

pub(crate) fn delete(tx: &WriteTx<'_>, guid: &DomainGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from domains where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// The organizations a domain is shared with, as far as the caller sees them.
pub(crate) fn shared_with(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DomainGuid,
) -> Result<Vec<OrganizationGuid>> {
    let mut select = Select::from(
        "domain_shared_organizations s join organizations o on o.guid = s.organization_guid",
    );
    select.and("s.domain_guid = ?", [guid.to_string()]);
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("o.guid", "order by o.created_at, o.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The same for many domains.
pub(crate) fn shared_with_all(
    tx: &ReadTx<'_>,
    caller: &Caller,
    domains: &[Domain],
) -> Result<HashMap<DomainGuid, Vec<OrganizationGuid>>> {
    let guids: Vec<&DomainGuid> = domains.iter().map(|domain| &domain.guid).collect();
    let mut select = Select::from(
        "domain_shared_organizations s join organizations o on o.guid = s.organization_guid",
    );
    select.and(
        "s.domain_guid in (select value from json_each(?))",
        [serde_json::to_string(&guids)?],
    );
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    let sql = select.sql("s.domain_guid, o.guid", "order by o.created_at, o.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(select.values()))?;
    let mut shared: HashMap<DomainGuid, Vec<OrganizationGuid>> = HashMap::new();
    while let Some(row) = rows.next()? {
        shared.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(shared)
}

/// Whether a domain is shared with any organization.
pub(crate) fn is_shared_with_any(tx: &ReadTx<'_>, guid: &DomainGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from domain_shared_organizations where domain_guid = ?1")?;
    Ok(statement.exists([guid])?)
}

/// Whether an organization can create routes of a domain.
pub(crate) fn usable_by(
    tx: &ReadTx<'_>,
    domain: &Domain,
    organization: &OrganizationGuid,
) -> Result<bool> {
    match &domain.organization_guid {
        None => Ok(true),
        Some(owner) if owner == organization => Ok(true),
        Some(_) => is_shared_with(tx, &domain.guid, organization),
    }
}

/// Whether a domain is shared with this organization.
pub(crate) fn is_shared_with(
    tx: &ReadTx<'_>,
    guid: &DomainGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from domain_shared_organizations where domain_guid = ?1 and organization_guid = ?2",
    )?;
    Ok(statement.exists(params![guid, organization])?)
}

/// Shares a domain with an organization.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    guid: &DomainGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into domain_shared_organizations (domain_guid, organization_guid) values (?1, ?2) \
             on conflict do nothing",
        )?
        .execute(params![guid, organization])?;
    Ok(())
}

/// Ends the sharing with an organization.
pub(crate) fn unshare(
    tx: &WriteTx<'_>,
    guid: &DomainGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from domain_shared_organizations where domain_guid = ?1 and organization_guid = ?2",
        )?
        .execute(params![guid, organization])?;
    Ok(())
}

/// A domain below `name` that is not the organization's own.
pub(crate) fn foreign_subdomain(
    tx: &ReadTx<'_>,
    name: &str,
    organization: &OrganizationGuid,
) -> Result<Option<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select name from domains where name like '%.' || ?1 \
         and (organization_guid is null or organization_guid <> ?2) order by created_at limit 1",
    )?;
    Ok(statement
        .query_row(params![name, organization], |row| row.get(0))
        .optional()?)
}

/// How many private domains an organization owns, its limit, and its name.
pub(crate) fn quota(
    tx: &ReadTx<'_>,
    organization: &OrganizationGuid,
) -> Result<(i64, Option<i64>, String)> {
    let mut statement = tx.sql().prepare_cached(
        "select (select count(*) from domains where organization_guid = o.guid), q.total_domains, o.name \
         from organizations o join organization_quotas q on q.guid = o.quota_guid where o.guid = ?1",
    )?;
    Ok(statement.query_row([organization], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?)
}

/// Inserts a shared domain if there is none with this name.
pub(crate) fn ensure(tx: &WriteTx<'_>, domain: &Domain) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into domains (guid, name, internal, router_group_guid, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?5) on conflict (name) do nothing",
        )?
        .execute(params![
            domain.guid,
            domain.name,
            domain.internal,
            domain.router_group_guid,
            domain.created_at
        ])?;
    Ok(())
}

fn domain(row: &Row<'_>) -> rusqlite::Result<Domain> {
    Ok(Domain {
        guid: row.get(0)?,
        name: row.get(1)?,
        internal: row.get(2)?,
        router_group_guid: row.get(3)?,
        organization_guid: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
