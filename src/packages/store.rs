//! The table `package_copies`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::source::Source;
use crate::base::Timestamp;
use crate::blobs::{self, Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};

/// Kind of the references to blobs.
const OWNER: &str = "package copy";

/// The name of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: Source,
    pub(super) path: String,
    pub(super) variant: &'static str,
}

impl Key {
    fn owner(&self) -> String {
        owner(self.source.name(), &self.path, self.variant)
    }
}

fn owner(registry: &str, path: &str, variant: &str) -> String {
    format!("{registry}/{path}#{variant}")
}

/// What a registry said about a file or document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) content_type: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) blob: Blob,
    pub(super) head: Head,
    pub(super) fetched_at: Timestamp,
    pub(super) used_at: Timestamp,
}

pub(super) fn find(tx: &ReadTx<'_>, key: &Key) -> Result<Option<Held>, DbError> {
    const SQL: &str = "
        select c.digest, b.size, c.content_type, c.etag, c.last_modified, c.fetched_at, c.used_at
        from package_copies c join blobs b on b.digest = c.digest
        where c.registry = :registry and c.path = :path and c.variant = :variant";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! {
        ":registry": key.source.name(), ":path": key.path, ":variant": key.variant,
    };
    let found = statement.query_row(parameters, |row| {
        Ok(Held {
            blob: blob(row)?,
            head: Head {
                content_type: row.get(2)?,
                etag: row.get(3)?,
                last_modified: row.get(4)?,
            },
            fetched_at: row.get(5)?,
            used_at: row.get(6)?,
        })
    });
    Ok(found.optional()?)
}

fn blob(row: &Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        digest: row.get(0)?,
        size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
    })
}

/// Notes a copy that was just fetched; an older one under its name goes.
pub(super) fn put(
    tx: &WriteTx<'_>,
    key: &Key,
    (digest, head): (&Digest, &Head),
    now: Timestamp,
) -> Result<(), DbError> {
    const SQL: &str = "
        insert into package_copies
            (registry, path, variant, digest, content_type, etag, last_modified, fetched_at, used_at)
        values (:registry, :path, :variant, :digest, :content_type, :etag, :last_modified, :now, :now)
        on conflict do update set digest = excluded.digest, content_type = excluded.content_type,
            etag = excluded.etag, last_modified = excluded.last_modified,
            fetched_at = excluded.fetched_at, used_at = excluded.used_at";
    let owner = key.owner();
    blobs::release(tx, OWNER, &owner)?;
    blobs::reference(tx, digest, OWNER, &owner)?;
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":registry": key.source.name(), ":path": key.path, ":variant": key.variant,
        ":digest": digest, ":content_type": head.content_type, ":etag": head.etag,
        ":last_modified": head.last_modified, ":now": now,
    })?;
    Ok(())
}

/// The registry said that the copy is what it has.
pub(super) fn confirm(tx: &WriteTx<'_>, key: &Key, now: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        update package_copies set fetched_at = :now, used_at = :now
        where registry = :registry and path = :path and variant = :variant";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":registry": key.source.name(), ":path": key.path, ":variant": key.variant, ":now": now,
    })?;
    Ok(())
}

/// Somebody needs the copy.
pub(super) fn note_use(tx: &WriteTx<'_>, key: &Key, now: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        update package_copies set used_at = :now
        where registry = :registry and path = :path and variant = :variant";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":registry": key.source.name(), ":path": key.path, ":variant": key.variant, ":now": now,
    })?;
    Ok(())
}

/// Forgets a copy.
pub(super) fn remove(tx: &WriteTx<'_>, key: &Key) -> Result<(), DbError> {
    delete(tx, key.source.name(), &key.path, key.variant)
}

fn delete(tx: &WriteTx<'_>, registry: &str, path: &str, variant: &str) -> Result<(), DbError> {
    const SQL: &str = "
        delete from package_copies
        where registry = :registry and path = :path and variant = :variant";
    blobs::release(tx, OWNER, &owner(registry, path, variant))?;
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":registry": registry, ":path": path, ":variant": variant,
    })?;
    Ok(())
}

/// A copy in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) registry: String,
    pub(super) path: String,
    pub(super) variant: String,
    pub(super) blob: Blob,
    pub(super) used_at: Timestamp,
}

/// All copies, by when they were last used: those that nobody needed for the longest time come
/// first.
pub(super) fn all(tx: &ReadTx<'_>) -> Result<Vec<Listed>, DbError> {
    const SQL: &str = "
        select c.digest, b.size, c.registry, c.path, c.variant, c.used_at
        from package_copies c join blobs b on b.digest = c.digest
        order by c.used_at, c.registry, c.path, c.variant";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| {
        Ok(Listed {
            blob: blob(row)?,
            registry: row.get(2)?,
            path: row.get(3)?,
            variant: row.get(4)?,
            used_at: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a copy of a list.
pub(super) fn evict(tx: &WriteTx<'_>, copy: &Listed) -> Result<(), DbError> {
    delete(tx, &copy.registry, &copy.path, &copy.variant)
}
