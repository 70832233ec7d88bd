//! SQL of `isolation_segments` and `isolation_segment_organizations`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

/// The guid of `shared`, the same on every Cloud Foundry.
pub(crate) const SHARED: &str = "933b4c58-120b-499a-b85d-4b6fc9e2903b";

const COLUMNS: &str = "i.guid, i.name, i.created_at, i.updated_at";

/// A stored segment.
#[derive(Debug)]
pub(crate) struct IsolationSegment {
    pub guid: IsolationSegmentGuid,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl IsolationSegment {
    /// Whether it is the built-in segment.
    pub(crate) fn is_shared(&self) -> bool {
        self.guid.as_str() == SHARED
    }
}

/// Users see the segments that their organizations may use.
fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("isolation_segments i");
    if !caller.sees_all() {
        let mut entitled = Select::from("isolation_segment_organizations x");
        caller.limit_to_visible_organizations(&mut entitled, "x.organization_guid");
        let sql = format!(
            "i.guid in ({})",
            entitled.sql("x.isolation_segment_guid", "")
        );
        select.and(&sql, entitled.values().iter().cloned());
    }
    select
}

/// A segment the caller sees, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
) -> Result<IsolationSegment> {
    let mut select = visible(caller);
    select.and("i.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), segment)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Isolation segment"))
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<IsolationSegment>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "i", Some(ResourceType::IsolationSegment))?;
    query.filter(&mut select, "names", "i.name");
    query.filter_through(
        &mut select,
        "organization_guids",
        "i.guid",
        "select isolation_segment_guid from isolation_segment_organizations where organization_guid",
    );
    list(
        tx,
        &select,
        Columns {
            alias: "i",
            names: COLUMNS,
        },
        query,
        segment,
    )
}

fn entitled(caller: &Caller, guid: &IsolationSegmentGuid) -> Select {
    let mut select = Select::from("organizations o");
    select.and(
        "o.guid in (select organization_guid from isolation_segment_organizations \
         where isolation_segment_guid = ?)",
        [guid.to_string()],
    );
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    select
}

/// The organizations that may use a segment, as far as the caller sees them.
pub(crate) fn organizations(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
) -> Result<Vec<String>> {
    let select = entitled(caller, guid);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("o.guid", "order by o.created_at, o.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of their guids.
pub(crate) fn list_organizations(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
    query: &ListQuery,
) -> Result<Listed<String>> {
    let mut select = entitled(caller, guid);
    query.filter_common(&mut select, "o", Some(ResourceType::Organization))?;
    query.filter(&mut select, "names", "o.name");
    list(
        tx,
        &select,
        Columns {
            alias: "o",
            names: "o.guid",
        },
        query,
        |row| row.get(0),
    )
}

/// The spaces in a segment, as far as the caller sees them.
pub(crate) fn spaces(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
) -> Result<Vec<String>> {
    let mut select = Select::from("spaces s");
    select.and("s.isolation_segment_guid = ?", [guid.to_string()]);
    caller.limit_to_visible_spaces(&mut select, "s.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("s.guid", "order by s.created_at, s.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether an organization may put its spaces in a segment.
pub(crate) fn is_entitled(
    tx: &ReadTx<'_>,
    guid: &IsolationSegmentGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from isolation_segment_organizations where isolation_segment_guid = ?1 and organization_guid = ?2",
    )?;
    Ok(statement.exists(params![guid, organization])?)
}

/// Whether it is the default of an organization or a space.
pub(crate) fn is_assigned(tx: &ReadTx<'_>, guid: &IsolationSegmentGuid) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from organizations where default_isolation_segment_guid = ?1 \
         union all select 1 from spaces where isolation_segment_guid = ?1",
    )?;
    Ok(statement.exists([guid])?)
}

/// Whether any organization may use it or any space is in it.
pub(crate) fn is_entitled_or_used(tx: &ReadTx<'_>, guid: &IsolationSegmentGuid) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from isolation_segment_organizations where isolation_segment_guid = ?1 \
         union all select 1 from spaces where isolation_segment_guid = ?1",
    )?;
    Ok(statement.exists([guid])?)
}

/// Names of an organization's spaces in a segment.
pub(crate) fn space_names(
    tx: &ReadTx<'_>,
    guid: &IsolationSegmentGuid,
    organization: &OrganizationGuid,
) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select name from spaces where isolation_segment_guid = ?1 and organization_guid = ?2 order by created_at, guid",
    )?;
    let rows = statement.query_map(params![guid, organization], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a new segment; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, segment: &IsolationSegment) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into isolation_segments (guid, name, created_at, updated_at) values (?1, ?2, ?3, ?3)",
        )?
        .execute(params![segment.guid, segment.name, segment.created_at]);
    name_taken(done)
}

/// Updates name and time of change.
pub(crate) fn update(tx: &WriteTx<'_>, segment: &IsolationSegment) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached("update isolation_segments set name = ?2, updated_at = ?3 where guid = ?1")?
        .execute(params![segment.guid, segment.name, segment.updated_at]);
    name_taken(done)
}

fn name_taken(done: rusqlite::Result<usize>) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(
            "Isolation Segment names are case insensitive and must be unique",
        )),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a segment that is not used.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &IsolationSegmentGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from isolation_segments where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Lets an organization use a segment.
pub(crate) fn entitle(
    tx: &WriteTx<'_>,
    guid: &IsolationSegmentGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into isolation_segment_organizations (isolation_segment_guid, organization_guid) values (?1, ?2) \
             on conflict do nothing",
        )?
        .execute(params![guid, organization])?;
    Ok(())
}

/// Ends an organization's use of a segment.
pub(crate) fn revoke(
    tx: &WriteTx<'_>,
    guid: &IsolationSegmentGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from isolation_segment_organizations where isolation_segment_guid = ?1 and organization_guid = ?2",
        )?
        .execute(params![guid, organization])?;
    Ok(())
}

/// Inserts a segment if there is none with this name.
pub(crate) fn ensure(tx: &WriteTx<'_>, guid: &str, name: &str, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into isolation_segments (guid, name, created_at, updated_at) values (?1, ?2, ?3, ?3) \
             on conflict (name) do nothing",
        )?
        .execute(params![guid, name, now])?;
    Ok(())
}

fn segment(row: &Row<'_>) -> rusqlite::Result<IsolationSegment> {
    Ok(IsolationSegment {
        guid: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
    })
}
