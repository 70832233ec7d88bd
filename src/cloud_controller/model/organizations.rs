//! SQL of `organizations`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid, OrganizationQuotaGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "o.guid, o.name, o.suspended, o.quota_guid, o.default_isolation_segment_guid, \
                       o.created_at, o.updated_at";

/// A stored organization.
#[derive(Debug, Clone)]
pub(crate) struct Organization {
    pub guid: OrganizationGuid,
    pub name: String,
    pub suspended: bool,
    pub quota_guid: OrganizationQuotaGuid,
    pub default_isolation_segment_guid: Option<IsolationSegmentGuid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("organizations o");
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    select
}

/// An organization the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &OrganizationGuid,
) -> Result<Option<Organization>> {
    let mut select = visible(caller);
    select.and("o.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), organization)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &OrganizationGuid,
) -> Result<Organization> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Organization"))
}

/// An organization, whoever sees it.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &OrganizationGuid) -> Result<Option<Organization>> {
    let found = by_guids(tx, &[guid.to_string()])?;
    Ok(found.into_iter().next())
}

/// Organizations by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<Organization>> {
    let mut select = Select::from("organizations o");
    select.and_in("o.guid", guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by o.name"))?;
    let rows = statement.query_map(params_from_iter(select.values()), organization)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Organization>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "o", Some(ResourceType::Organization))?;
    query.filter(&mut select, "names", "o.name");
    if let Some(segment) = query.raw("isolation_segment_guid") {
        select.and(
            "o.guid in (select organization_guid from isolation_segment_organizations where isolation_segment_guid = ?)",
            [segment.to_owned()],
        );
    }
    list(
        tx,
        &select,
        Columns {
            alias: "o",
            names: COLUMNS,
        },
        query,
        organization,
    )
}

/// Stores a new organization; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, organization: &Organization) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into organizations (guid, name, suspended, quota_guid, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?5)",
        )?
        .execute(params![
            organization.guid,
            organization.name,
            organization.suspended,
            organization.quota_guid,
            organization.created_at
        ]);
    name_taken(done, &organization.name)
}

/// Updates name, state and time of change.
pub(crate) fn update(tx: &WriteTx<'_>, organization: &Organization) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "update organizations set name = ?2, suspended = ?3, updated_at = ?4 where guid = ?1",
        )?
        .execute(params![
            organization.guid,
            organization.name,
            organization.suspended,
            organization.updated_at
        ]);
    name_taken(done, &organization.name)
}

/// Deletes the organization; everything that refers to it must be deleted first.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &OrganizationGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from domain_shared_organizations where organization_guid = ?1")?
        .execute([guid])?;
    tx.sql()
        .prepare_cached("delete from organizations where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// The quota new organizations get.
pub(crate) fn default_quota(tx: &ReadTx<'_>) -> Result<OrganizationQuotaGuid> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from organization_quotas where name = 'default'")?;
    let found = statement.query_row([], |row| row.get(0)).optional()?;
    found.ok_or_else(|| {
        Error::new(
            Kind::QuotaDefinitionNotFound,
            "Quota Definition could not be found: default",
        )
    })
}

/// Sets the isolation segment of spaces that name none.
pub(crate) fn set_default_segment(
    tx: &WriteTx<'_>,
    guid: &OrganizationGuid,
    segment: Option<&IsolationSegmentGuid>,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update organizations set default_isolation_segment_guid = ?2 where guid = ?1",
        )?
        .execute(params![guid, segment])?;
    Ok(())
}

fn name_taken(done: rusqlite::Result<usize>, name: &str) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(format!(
            "Organization '{name}' already exists."
        ))),
        Err(error) => Err(error.into()),
    }
}

fn organization(row: &Row<'_>) -> rusqlite::Result<Organization> {
    Ok(Organization {
        guid: row.get(0)?,
        name: row.get(1)?,
        suspended: row.get(2)?,
        quota_guid: row.get(3)?,
        default_isolation_segment_guid: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
