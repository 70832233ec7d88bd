//! SQL of `buildpacks`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::guid::BuildpackGuid;
use crate::base::{GuidSource, Timestamp};
use crate::blobs::{self, Digest};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "b.guid, b.name, b.stack, b.state, b.lifecycle, b.filename, b.position, b.enabled, b.locked, \
                       b.blob_digest, b.built_in, b.created_at, b.updated_at";
/// Owner kind of buildpacks' archives.
const OWNER: &str = "buildpack";

/// A stored buildpack.
#[derive(Debug, Clone)]
pub(crate) struct Buildpack {
    pub guid: BuildpackGuid,
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

/// Why a row was not stored.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Name, stack and lifecycle are in use.
    Taken,
    /// Anything else.
    Failed(Error),
}

/// A buildpack, or 404.
pub(crate) fn get(tx: &ReadTx<'_>, guid: &BuildpackGuid) -> Result<Buildpack> {
    let sql = format!("select {COLUMNS} from buildpacks b where b.guid = ?1");
    let found = tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], buildpack)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Buildpack"))
}

pub(crate) fn list_all(tx: &ReadTx<'_>, query: &ListQuery) -> Result<Listed<Buildpack>> {
    let mut select = Select::from("buildpacks b");
    query.filter_common(&mut select, "b", Some(ResourceType::Buildpack))?;
    query.filter(&mut select, "names", "b.name");
    query.filter_nullable(&mut select, "stacks", "b.stack".into());
    if let Some(lifecycle) = query.raw("lifecycle") {
        select.and("b.lifecycle = ?", [lifecycle.to_owned()]);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "b",
            names: COLUMNS,
        },
        query,
        buildpack,
    )
}

/// The last position in use.
pub(crate) fn last_position(tx: &ReadTx<'_>, lifecycle: &str) -> Result<i64> {
    let mut statement = tx
        .sql()
        .prepare_cached("select coalesce(max(position), 0) from buildpacks where lifecycle = ?1")?;
    Ok(statement.query_row([lifecycle], |row| row.get(0))?)
}

/// Stores a new buildpack; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, buildpack: &Buildpack) -> Result<(), Refused> {
    let insert = || {
        tx.sql()
            .prepare_cached(
                "insert into buildpacks (guid, name, stack, position, lifecycle, enabled, locked, state, \
                 created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
            )?
            .execute(params![
                buildpack.guid,
                buildpack.name,
                buildpack.stack,
                buildpack.position,
                buildpack.lifecycle,
                buildpack.enabled,
                buildpack.locked,
                buildpack.state,
                buildpack.created_at,
            ])
    };
    refused(insert())
}

/// Updates everything except the position.
pub(crate) fn update(tx: &WriteTx<'_>, buildpack: &Buildpack) -> Result<(), Refused> {
    let update = || {
        tx.sql()
            .prepare_cached(
                "update buildpacks set name = ?2, stack = ?3, enabled = ?4, locked = ?5, state = ?6, \
                 filename = ?7, blob_digest = ?8, updated_at = ?9 where guid = ?1",
            )?
            .execute(params![
                buildpack.guid,
                buildpack.name,
                buildpack.stack,
                buildpack.enabled,
                buildpack.locked,
                buildpack.state,
                buildpack.filename,
                buildpack.blob_digest,
                buildpack.updated_at,
            ])
    };
    refused(update())
}

/// Moves a buildpack to a position from 1 to the last; the others move to make room.
pub(crate) fn move_to(tx: &WriteTx<'_>, buildpack: &Buildpack, target: i64) -> Result<()> {
    let target = target.clamp(1, last_position(tx, &buildpack.lifecycle)?.max(1));
    let sql = if target < buildpack.position {
        "update buildpacks set position = position + 1 where lifecycle = ?1 and position >= ?2 and position < ?3"
    } else {
        "update buildpacks set position = position - 1 where lifecycle = ?1 and position > ?3 and position <= ?2"
    };
    tx.sql().prepare_cached(sql)?.execute(params![
        buildpack.lifecycle,
        target,
        buildpack.position
    ])?;
    tx.sql()
        .prepare_cached("update buildpacks set position = ?2 where guid = ?1")?
        .execute(params![buildpack.guid, target])?;
    Ok(())
}

/// References an archive for a buildpack and releases the previous one.
pub(crate) fn refer_to_files(
    tx: &WriteTx<'_>,
    guid: &BuildpackGuid,
    digest: &Digest,
) -> Result<()> {
    blobs::release(tx, OWNER, guid.as_str())?;
    Ok(blobs::reference(tx, digest, OWNER, guid.as_str())?)
}

/// Deletes a buildpack; those behind it move up.
pub(crate) fn delete(tx: &WriteTx<'_>, buildpack: &Buildpack) -> Result<()> {
    blobs::release(tx, OWNER, buildpack.guid.as_str())?;
    tx.sql()
        .prepare_cached("delete from buildpacks where guid = ?1")?
        .execute([&buildpack.guid])?;
    tx.sql()
        .prepare_cached(
            "update buildpacks set position = position - 1 where lifecycle = ?1 and position > ?2",
        )?
        .execute(params![buildpack.lifecycle, buildpack.position])?;
    if let Some(folder) = &buildpack.built_in {
        tx.sql()
            .prepare_cached(
                "insert into deleted_built_in_buildpacks (built_in) values (?1) on conflict do nothing",
            )?
            .execute([folder])?;
    }
    Ok(())
}

/// The buildpack of this name for a stack: one of that stack before one of no stack.
pub(crate) fn for_staging(
    tx: &ReadTx<'_>,
    lifecycle: &str,
    name: &str,
    stack: &str,
) -> Result<Option<Buildpack>> {
    let sql = format!(
        "select {COLUMNS} from buildpacks b where b.name = ?1 and b.lifecycle = ?3 and b.state = 'READY' \
         and (b.stack = ?2 or b.stack is null) order by b.stack is null limit 1"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([name, stack, lifecycle], buildpack)
        .optional()?)
}

/// The buildpacks that detection tries on this stack, by position.
pub(crate) fn detectable(tx: &ReadTx<'_>, lifecycle: &str, stack: &str) -> Result<Vec<Buildpack>> {
    let sql = format!(
        "select {COLUMNS} from buildpacks b where b.enabled and b.state = 'READY' and b.lifecycle = ?2 \
         and (b.stack = ?1 or b.stack is null) order by b.position, b.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([stack, lifecycle], buildpack)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A buildpack that is part of the binary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltIn<'a> {
    pub name: &'a str,
    /// Where its files are in the binary.
    pub folder: &'a str,
    pub stack: &'a str,
    /// The file it is shown with.
    pub filename: &'a str,
}

/// Adds a built-in buildpack at the end, or updates the file name of the existing one. A buildpack
/// that an admin replaced with an upload is kept, one that an admin deleted is not added again, and
/// neither is one whose name an admin gave to another.
pub(crate) fn ensure_built_in(
    tx: &WriteTx<'_>,
    built_in: BuiltIn<'_>,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<()> {
    let BuiltIn {
        name,
        folder,
        stack,
        filename,
    } = built_in;
    let known: bool = tx
        .sql()
        .prepare_cached(
            "select 1 from buildpacks where built_in = ?1 and stack = ?2 \
             union all select 1 from deleted_built_in_buildpacks where built_in = ?1",
        )?
        .exists([folder, stack])?;
    if known {
        tx.sql()
            .prepare_cached(
                "update buildpacks set filename = ?3 where built_in = ?1 and stack = ?2 and blob_digest is null",
            )?
            .execute(params![folder, stack, filename])?;
        return Ok(());
    }
    tx.sql()
        .prepare_cached(
            "insert into buildpacks (guid, name, stack, position, state, filename, built_in, created_at, updated_at) \
             values (?1, ?2, ?3, (select coalesce(max(position), 0) + 1 from buildpacks where lifecycle = 'buildpack'), \
             'READY', ?4, ?5, ?6, ?6) on conflict do nothing",
        )?
        .execute(params![guids.next(), name, stack, filename, folder, now])?;
    Ok(())
}

fn refused(done: rusqlite::Result<usize>) -> Result<(), Refused> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Refused::Taken),
        Err(error) => Err(Refused::Failed(error.into())),
    }
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
