//! The table `resource_files` and its blob references.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::blobs::{Digest, store};
use crate::db::{DbError, ReadTx, WriteTx};

use super::FileKey;

/// Owner kind of blob references.
const OWNER: &str = "resource";

/// The blob of each file, in the given order.
pub fn match_resources(tx: &ReadTx<'_>, files: &[FileKey]) -> Result<Vec<Option<Digest>>, DbError> {
    const SQL: &str = "
        select blob_digest from resource_files where sha1 = :sha1 and size = :size";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let mut find = |file: &FileKey| {
        let parameters = named_params! { ":sha1": file.sha1, ":size": as_sql(file.size) };
        statement.query_row(parameters, |row| row.get(0)).optional()
    };
    let found: Result<_, rusqlite::Error> = files.iter().map(&mut find).collect();
    Ok(found?)
}

/// Updates the last use of these files, so that they are kept.
pub fn touch(tx: &WriteTx<'_>, files: &[FileKey], now: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        update resource_files set last_used_at = :now where sha1 = :sha1 and size = :size";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    for file in files {
        statement.execute(named_params! {
            ":sha1": file.sha1, ":size": as_sql(file.size), ":now": now,
        })?;
    }
    Ok(())
}

/// Adds a file; a known one keeps its blob.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    file: &FileKey,
    digest: &Digest,
    now: Timestamp,
) -> Result<(), DbError> {
    const SQL: &str = "
        insert into resource_files (sha1, size, blob_digest, last_used_at)
        values (:sha1, :size, :digest, :now)
        on conflict do update set last_used_at = excluded.last_used_at
        returning blob_digest";
    let kept: Digest = tx.sql().prepare_cached(SQL)?.query_row(
        named_params! {
            ":sha1": file.sha1, ":size": as_sql(file.size), ":digest": digest, ":now": now,
        },
        |row| row.get(0),
    )?;
    store::reference(tx, &kept, OWNER, &owner(file.sha1.as_str(), file.size))
}

/// Forgets files that were not used since `before`.
pub(in crate::blobs) fn forget(tx: &WriteTx<'_>, before: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        delete from resource_files where last_used_at < :before returning sha1, size";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map(named_params! { ":before": before }, |row| {
        let size = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        Ok(owner(&row.get::<_, String>(0)?, size))
    })?;
    let owners: Vec<String> = rows.collect::<Result<_, _>>()?;
    for name in owners {
        store::release(tx, OWNER, &name)?;
    }
    Ok(())
}

fn owner(sha1: &str, size: u64) -> String {
    format!("{sha1}:{size}")
}

fn as_sql(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
