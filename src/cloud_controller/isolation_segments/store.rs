//! SQL of `isolation_segments` and `isolation_segment_organizations`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::v3::{
    ApiResult, Caller, ListQuery, Listed, ResourceType, Select, list,
};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "i.guid, i.name, i.created_at, i.updated_at";

/// A stored segment.
#[derive(Debug)]
pub(super) struct IsolationSegment {
    pub guid: String,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Users see the segments their organizations may use.
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

pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Option<IsolationSegment>> {
    let mut select = visible(caller);
    select.and("i.guid = ?", [guid.to_owned()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), segment)
        .optional()?)
}

pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> ApiResult<Listed<IsolationSegment>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "i", Some(ResourceType::IsolationSegment))?;
    query.filter(&mut select, "names", "i.name");
    query.filter_marks(
        &mut select,
        "organization_guids",
        "i.guid in (select isolation_segment_guid from isolation_segment_organizations \
         where organization_guid in ({}))",
    );
    list(tx, &select, ("i", COLUMNS), query, segment)
}

fn entitled(caller: &Caller, guid: &str) -> Select {
    let mut select = Select::from(
        "isolation_segment_organizations x join organizations o on o.guid = x.organization_guid",
    );
    select.and("x.isolation_segment_guid = ?", [guid.to_owned()]);
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    select
}

/// The organizations that may use a segment, as far as the caller sees them.
pub(super) fn organizations(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Vec<String>> {
    let select = entitled(caller, guid);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("o.guid", "order by o.created_at, o.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of their guids.
pub(super) fn list_organizations(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
    query: &ListQuery,
) -> ApiResult<Listed<String>> {
    let mut select = entitled(caller, guid);
    query.filter_common(&mut select, "o", Some(ResourceType::Organization))?;
    query.filter(&mut select, "names", "o.name");
    list(tx, &select, ("o", "o.guid"), query, |row| row.get(0))
}

/// The spaces in a segment, as far as the caller sees them.
pub(super) fn spaces(tx: &ReadTx<'_>, caller: &Caller, guid: &str) -> ApiResult<Vec<String>> {
    let mut select = Select::from("spaces s");
    select.and("s.isolation_segment_guid = ?", [guid.to_owned()]);
    caller.limit_to_visible_spaces(&mut select, "s.guid");
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql("s.guid", "order by s.created_at, s.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a segment if there is none of this name.
pub(super) fn ensure(
    tx: &WriteTx<'_>,
    name: &str,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into isolation_segments (guid, name, created_at, updated_at) values (?1, ?2, ?3, ?3) \
             on conflict (name) do nothing",
        )?
        .execute(params![guids.next(), name, now])?;
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
