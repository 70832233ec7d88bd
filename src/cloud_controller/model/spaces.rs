//! SQL of `spaces`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid, SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "s.guid, s.name, s.organization_guid, s.quota_guid, s.isolation_segment_guid, s.ssh_allowed, \
                       s.created_at, s.updated_at, s.suspended, o.name";
const FROM: &str = "spaces s join organizations o on o.guid = s.organization_guid";

/// A stored space.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub guid: SpaceGuid,
    pub name: String,
    pub organization_guid: OrganizationGuid,
    pub quota_guid: Option<SpaceQuotaGuid>,
    pub isolation_segment_guid: Option<IsolationSegmentGuid>,
    pub ssh_allowed: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Its own state; its organization may be suspended as well.
    pub suspended: bool,
    /// Its organization's name.
    pub organization_name: String,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "s.guid");
    select
}

/// A space the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &SpaceGuid,
) -> Result<Option<Space>> {
    let mut select = visible(caller);
    select.and("s.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), space)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &SpaceGuid) -> Result<Space> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Space"))
}

/// A space, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &SpaceGuid) -> Result<Option<Space>> {
    let sql = format!("select {COLUMNS} from {FROM} where s.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], space)
        .optional()?)
}

/// Spaces by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<Space>> {
    let mut select = Select::from(FROM);
    select.and_in("s.guid", guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by s.name"))?;
    let rows = statement.query_map(params_from_iter(select.values()), space)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All spaces of an organization.
pub(crate) fn in_organization(
    tx: &ReadTx<'_>,
    organization: &OrganizationGuid,
) -> Result<Vec<Space>> {
    let sql = format!("select {COLUMNS} from {FROM} where s.organization_guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([organization], space)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Space>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "s", Some(ResourceType::Space))?;
    query.filter(&mut select, "names", "s.name");
    query.filter(&mut select, "organization_guids", "s.organization_guid");
    list(
        tx,
        &select,
        Columns {
            alias: "s",
            names: COLUMNS,
        },
        query,
        space,
    )
}

/// Stores a new space; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, space: &Space) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into spaces (guid, name, organization_guid, suspended, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?5)",
        )?
        .execute(params![
            space.guid,
            space.name,
            space.organization_guid,
            space.suspended,
            space.created_at
        ]);
    name_taken(done, || "Name must be unique per organization".to_owned())
}

/// Updates name, state, SSH switch, isolation segment and time of change.
pub(crate) fn update(tx: &WriteTx<'_>, space: &Space) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "update spaces set name = ?2, ssh_allowed = ?3, updated_at = ?4, suspended = ?5, \
             isolation_segment_guid = ?6 where guid = ?1",
        )?
        .execute(params![
            space.guid,
            space.name,
            space.ssh_allowed,
            space.updated_at,
            space.suspended,
            space.isolation_segment_guid
        ]);
    name_taken(done, || {
        format!(
            "Organization '{}' already contains a space with name '{}'.",
            space.organization_name, space.name
        )
    })
}

/// Deletes the space; its apps, routes and services must be deleted first.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &SpaceGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from spaces where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn name_taken(done: rusqlite::Result<usize>, text: impl Fn() -> String) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(text())),
        Err(error) => Err(error.into()),
    }
}

fn space(row: &Row<'_>) -> rusqlite::Result<Space> {
    Ok(Space {
        guid: row.get(0)?,
        name: row.get(1)?,
        organization_guid: row.get(2)?,
        quota_guid: row.get(3)?,
        isolation_segment_guid: row.get(4)?,
        ssh_allowed: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        suspended: row.get(8)?,
        organization_name: row.get(9)?,
    })
}
