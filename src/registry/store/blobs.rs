//! Which blobs a repository shows, and the uploads that become blobs.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::blobs::{self, Digest, Sha512Digest};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::registry::digest::AnyDigest;

use super::find_blob;
use super::links::{insert_alias, link};

/// Uploads that may wait at once, and of them in repositories whose names begin with the same part;
/// each costs a file and a row.
const MAX_UPLOADS: i64 = 4096;
const MAX_OF_A_NAME: i64 = 256;
/// Repositories that a mount without a source looks at.
const MAX_SOURCES: i64 = 32;

/// A blob that a repository begins to show.
pub(in crate::registry) struct Link {
    pub(in crate::registry) repository: String,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) alias: Option<Sha512Digest>,
    /// The upload that ends by this.
    pub(in crate::registry) ended: Option<String>,
}

/// Shows a blob in a repository; the time it lives without a manifest begins again. False if there
/// is no such blob.
pub(in crate::registry) fn show_blob(
    tx: &WriteTx<'_>,
    new: &Link,
    now: Timestamp,
) -> Result<bool, DbError> {
    // In one transaction with the link: a sweep removes the blob before it, or not at all.
    if !blobs::touch(tx, &new.digest, now)? {
        return Ok(false);
    }
    link(tx, &new.repository, &new.digest, now)?;
    if let Some(alias) = &new.alias {
        insert_alias(tx, alias, &new.digest)?;
    }
    if let Some(id) = &new.ended {
        delete_upload(tx, id)?;
    }
    Ok(true)
}

/// Shows a blob of one repository in another; false if `source` does not show it.
pub(in crate::registry) fn mount(
    tx: &WriteTx<'_>,
    source: &str,
    target: &str,
    digest: &AnyDigest,
    now: Timestamp,
) -> Result<bool, DbError> {
    let Some(blob) = find_blob(tx, source, digest)? else {
        return Ok(false);
    };
    let new = Link {
        repository: target.to_owned(),
        digest: blob.digest,
        alias: None,
        ended: None,
    };
    show_blob(tx, &new, now)
}

/// The repository shows the blob no more; false if it did not.
pub(in crate::registry) fn hide_blob(
    tx: &WriteTx<'_>,
    repository: &str,
    digest: &AnyDigest,
) -> Result<bool, DbError> {
    const SQL: &str = "
        delete from registry_blobs where repository = :repository and digest = :digest";
    let Some(blob) = find_blob(tx, repository, digest)? else {
        return Ok(false);
    };
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! { ":repository": repository, ":digest": blob.digest })?;
    Ok(true)
}

/// Whether the blob or its link may be swept soon: either is older than `before`.
pub(in crate::registry) fn is_blob_older(
    tx: &ReadTx<'_>,
    repository: &str,
    digest: &Digest,
    before: Timestamp,
) -> Result<bool, DbError> {
    const SQL: &str = "
        select min(b.last_put_at, l.linked_at) < :before
        from registry_blobs l join blobs b on b.digest = l.digest
        where l.repository = :repository and l.digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! {
        ":repository": repository, ":digest": digest, ":before": before,
    };
    let found = statement
        .query_row(parameters, |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(false))
}

/// Some repositories that show a blob.
pub(in crate::registry) fn repositories_with(
    tx: &ReadTx<'_>,
    digest: &AnyDigest,
) -> Result<Vec<String>, DbError> {
    const SQL: &str = "
        select repository from registry_blobs where digest = coalesce(
            (select a.digest from registry_digests a where a.alias = :digest), :digest)
        order by linked_at desc limit :limit";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest, ":limit": MAX_SOURCES };
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists an upload; false if too many wait.
pub(in crate::registry) fn insert_upload(
    tx: &WriteTx<'_>,
    id: &str,
    repository: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    const SQL: &str = "
        insert into registry_uploads (id, repository, created_at, updated_at)
        select :id, :repository, :now, :now
        where (select count(*) from registry_uploads) < :limit
          and (select count(*) from registry_uploads
               where repository || '/' between :first || '/' and :first || '0') < :of_a_name";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let first = repository.split('/').next();
    let inserted = statement.execute(named_params! {
        ":id": id, ":repository": repository, ":now": now, ":limit": MAX_UPLOADS,
        ":first": first, ":of_a_name": MAX_OF_A_NAME,
    })?;
    Ok(inserted > 0)
}

/// Notes that a piece arrived.
pub(in crate::registry) fn touch_upload(
    tx: &WriteTx<'_>,
    id: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    const SQL: &str = "update registry_uploads set updated_at = :now where id = :id";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! { ":id": id, ":now": now })?;
    Ok(())
}

/// Whether this is an upload to the repository.
pub(in crate::registry) fn upload_exists(
    tx: &ReadTx<'_>,
    id: &str,
    repository: &str,
) -> Result<bool, DbError> {
    const SQL: &str = "
        select exists (select 1 from registry_uploads
                       where id = :id and repository = :repository)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":id": id, ":repository": repository };
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}

/// Uploads that had no piece since `before`.
pub(in crate::registry) fn upload_ids(
    tx: &ReadTx<'_>,
    before: Timestamp,
) -> Result<Vec<String>, DbError> {
    const SQL: &str = "select id from registry_uploads where updated_at <= :before";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map(named_params! { ":before": before }, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes an upload from the list.
pub(in crate::registry) fn delete_upload(tx: &WriteTx<'_>, id: &str) -> Result<(), DbError> {
    const SQL: &str = "delete from registry_uploads where id = :id";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! { ":id": id })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn the_uploads_of_one_name_leave_room_for_others() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let now = Timestamp::from_micros(0);
        let inserted = db.write_without_wake(move |tx| {
            let mut number = 0;
            let mut insert = |repository: &str| {
                number += 1;
                insert_upload(tx, &number.to_string(), repository, now)
            };
            let mut accepted = 0;
            while insert("acme/dev/app")? {
                accepted += 1;
            }
            assert_eq!(accepted, MAX_OF_A_NAME);
            assert!(!insert("acme/prod")?);
            assert!(!insert("acme")?);
            for other in ["acme-2/app", "acm/app", "acme0", "zed/app"] {
                assert!(insert(other)?, "{other}");
            }
            Ok::<_, DbError>(())
        });
        inserted.await.expect("rows");
    }
}
