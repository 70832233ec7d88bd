//! The tables `blobs` and `blob_references`.
//!
//! A caller references a blob in the same transaction that creates the row which needs it, and
//! releases it in the one that deletes that row. Unreferenced blobs are swept.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

use super::{Blob, Digest};

/// Adds a reference of `owner_name` of kind `owner_kind` to the blob; idempotent. Fails if there is
/// no such blob.
pub fn reference(
    tx: &WriteTx<'_>,
    digest: &Digest,
    owner_kind: &str,
    owner_name: &str,
) -> Result<(), DbError> {
    const SQL: &str = "
        insert into blob_references (digest, owner_kind, owner_name)
        values (:digest, :owner_kind, :owner_name)
        on conflict do nothing";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":digest": digest,
        ":owner_kind": owner_kind,
        ":owner_name": owner_name,
    })?;
    Ok(())
}

/// Releases all references of the owner.
pub fn release(tx: &WriteTx<'_>, owner_kind: &str, owner_name: &str) -> Result<(), DbError> {
    const SQL: &str = "
        delete from blob_references
        where owner_kind = :owner_kind and owner_name = :owner_name";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":owner_kind": owner_kind,
        ":owner_name": owner_name,
    })?;
    Ok(())
}

/// Releases one reference of the owner.
pub fn release_one(
    tx: &WriteTx<'_>,
    owner_kind: &str,
    owner_name: &str,
    digest: &str,
) -> Result<(), DbError> {
    const SQL: &str = "
        delete from blob_references
        where owner_kind = :owner_kind and owner_name = :owner_name and digest = :digest";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":owner_kind": owner_kind,
        ":owner_name": owner_name,
        ":digest": digest,
    })?;
    Ok(())
}

/// Releases all references of owners of a kind.
pub fn release_kind(tx: &WriteTx<'_>, owner_kind: &str) -> Result<(), DbError> {
    const SQL: &str = "delete from blob_references where owner_kind = :owner_kind";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! { ":owner_kind": owner_kind })?;
    Ok(())
}

/// All blobs that the owner references, by digest.
pub fn referenced(
    tx: &ReadTx<'_>,
    owner_kind: &str,
    owner_name: &str,
) -> Result<Vec<Blob>, DbError> {
    const SQL: &str = "
        select b.digest, b.size from blob_references r join blobs b on b.digest = r.digest
        where r.owner_kind = :owner_kind and r.owner_name = :owner_name
        order by b.digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":owner_kind": owner_kind, ":owner_name": owner_name };
    let rows = statement.query_map(parameters, blob)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The blob by its digest.
pub(super) fn find(tx: &ReadTx<'_>, digest: &Digest) -> Result<Option<Blob>, DbError> {
    const SQL: &str = "select digest, size from blobs where digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest };
    Ok(statement.query_row(parameters, blob).optional()?)
}

/// Lists a blob; restarts the grace period of a listed one.
pub(super) fn insert(tx: &WriteTx<'_>, blob: &Blob, now: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        insert into blobs (digest, size, last_put_at) values (:digest, :size, :now)
        on conflict (digest) do update set last_put_at = excluded.last_put_at";
    tx.sql().prepare_cached(SQL)?.execute(named_params! {
        ":digest": blob.digest,
        ":size": i64::try_from(blob.size).unwrap_or(i64::MAX),
        ":now": now,
    })?;
    Ok(())
}

/// Restarts the grace period of a listed blob and returns it.
pub(super) fn renew(
    tx: &WriteTx<'_>,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<Blob>, DbError> {
    const SQL: &str =
        "update blobs set last_put_at = :now where digest = :digest returning digest, size";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest, ":now": now };
    Ok(statement.query_row(parameters, blob).optional()?)
}

/// Restarts the grace period of a blob; false if there is none.
pub fn touch(tx: &WriteTx<'_>, digest: &Digest, now: Timestamp) -> Result<bool, DbError> {
    const SQL: &str = "update blobs set last_put_at = :now where digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let touched = statement.execute(named_params! { ":digest": digest, ":now": now })?;
    Ok(touched > 0)
}

/// Deletes the rows of blobs that are unreferenced and were not put since `before`.
pub(super) fn remove_unreferenced(
    tx: &WriteTx<'_>,
    before: Timestamp,
) -> Result<Vec<Blob>, DbError> {
    const SQL: &str = "
        delete from blobs
        where last_put_at < :before
          and not exists (select 1 from blob_references r where r.digest = blobs.digest)
        returning digest, size";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    // A row with an unreadable digest has no file: only the row is deleted.
    let mut reading = tx.reading("blobs");
    let removed = reading.rows(&mut statement, named_params! { ":before": before }, |row| {
        Ok(blob(row)?)
    })?;
    reading.finish();
    Ok(removed)
}

/// Forgets what nothing references, and returns what is left: for a copy of the database, whose blobs are
/// copied after it.
pub fn keep_referenced(tx: &WriteTx<'_>) -> Result<Vec<Blob>, DbError> {
    const SQL: &str = "select digest, size from blobs order by digest";
    let all = Timestamp::from_micros(i64::MAX);
    remove_unreferenced(tx, all)?;
    let mut statement = tx.sql().prepare(SQL)?;
    let rows = statement.query_map([], blob)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn blob(row: &rusqlite::Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        digest: row.get(0)?,
        size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
    })
}
