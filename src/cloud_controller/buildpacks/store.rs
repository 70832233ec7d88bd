//! SQL of `buildpacks`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::{GuidSource, Timestamp};
use crate::blobs::Digest;
use crate::cloud_controller::v3::{ApiResult, ListQuery, Listed, ResourceType, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "b.guid, b.name, b.stack, b.state, b.lifecycle, b.filename, b.position, b.enabled, b.locked, \
                       b.blob_digest, b.built_in, b.created_at, b.updated_at";

/// A stored buildpack.
#[derive(Debug, Clone)]
pub(crate) struct Buildpack {
    pub guid: String,
    pub name: String,
    pub stack: Option<String>,
    pub state: String,
    pub lifecycle: String,
    pub filename: Option<String>,
    pub position: i64,
    pub enabled: bool,
    pub locked: bool,
    pub blob_digest: Option<Digest>,
    /// Folder in the binary.
    pub built_in: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub(super) fn find(tx: &ReadTx<'_>, guid: &str) -> ApiResult<Option<Buildpack>> {
    let sql = format!("select {COLUMNS} from buildpacks b where b.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], buildpack)
        .optional()?)
}

pub(super) fn list_all(tx: &ReadTx<'_>, query: &ListQuery) -> ApiResult<Listed<Buildpack>> {
    let mut select = Select::from("buildpacks b");
    query.filter_common(&mut select, "b", Some(ResourceType::Buildpack))?;
    query.filter(&mut select, "names", "b.name");
    query.filter(&mut select, "stacks", "b.stack");
    let lifecycle = query.raw("lifecycle").unwrap_or("buildpack").to_owned();
    select.and("b.lifecycle = ?", [lifecycle]);
    list(tx, &select, ("b", COLUMNS), query, buildpack)
}

/// The buildpack of this name for a stack: one of that stack before one of no stack.
pub(crate) fn for_staging(
    tx: &ReadTx<'_>,
    name: &str,
    stack: &str,
) -> ApiResult<Option<Buildpack>> {
    let sql = format!(
        "select {COLUMNS} from buildpacks b where b.name = ?1 and b.lifecycle = 'buildpack' \
         and (b.stack = ?2 or b.stack is null) order by b.stack is null limit 1"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([name, stack], buildpack)
        .optional()?)
}

/// All that may detect an app on this stack, by position.
pub(crate) fn detectable(tx: &ReadTx<'_>, stack: &str) -> ApiResult<Vec<Buildpack>> {
    let sql = format!(
        "select {COLUMNS} from buildpacks b where b.enabled and b.state = 'READY' and b.lifecycle = 'buildpack' \
         and (b.stack = ?1 or b.stack is null) order by b.position, b.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([stack], buildpack)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Enters a built-in buildpack at the end, or brings the file name of the one that is there up to
/// date. One that an admin replaced by an upload stays replaced.
pub(crate) fn ensure_built_in(
    tx: &WriteTx<'_>,
    (name, folder, stack, filename): (&str, &str, &str, &str),
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    let known: bool = tx
        .sql()
        .prepare_cached(
            "select 1 from buildpacks where name = ?1 and stack = ?2 and lifecycle = 'buildpack'",
        )?
        .exists([name, stack])?;
    if known {
        tx.sql()
            .prepare_cached(
                "update buildpacks set filename = ?3, built_in = ?4 where name = ?1 and stack = ?2 \
                 and blob_digest is null",
            )?
            .execute(params![name, stack, filename, folder])?;
        return Ok(());
    }
    tx.sql()
        .prepare_cached(
            "insert into buildpacks (guid, name, stack, position, state, filename, built_in, created_at, updated_at) \
             values (?1, ?2, ?3, (select coalesce(max(position), 0) + 1 from buildpacks), 'READY', ?4, ?5, ?6, ?6)",
        )?
        .execute(params![guids.next(), name, stack, filename, folder, now])?;
    Ok(())
}

fn buildpack(row: &Row<'_>) -> rusqlite::Result<Buildpack> {
    Ok(Buildpack {
        guid: row.get(0)?,
        name: row.get(1)?,
        stack: row.get(2)?,
        state: row.get(3)?,
        lifecycle: row.get(4)?,
        filename: row.get(5)?,
        position: row.get(6)?,
        enabled: row.get(7)?,
        locked: row.get(8)?,
        blob_digest: row.get(9)?,
        built_in: row.get(10)?,
        created_at: row.get(11)?,
        updated_at: row.get(12)?,
    })
}
