//! The tables `registry_manifests`, `registry_repository_manifests` and `registry_tags`, and the
//! blob references of manifests.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::blobs::{self, Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};

use super::name::Reference;

/// Owner kind of blob references.
const OWNER: &str = "manifest";
/// Row of the table `settings`: the registry's token, encrypted.
const TOKEN: &str = "registry_token";

/// A manifest and how to serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredManifest {
    pub(super) blob: Blob,
    pub(super) media_type: String,
}

/// A manifest to publish in a repository.
pub(super) struct NewManifest {
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) parts: Vec<Digest>,
}

/// Publishes a manifest in a repository and moves the tag to it. A manifest that loses its last tag
/// by this is removed by a later sweep.
pub(super) fn record(
    tx: &WriteTx<'_>,
    manifest: &NewManifest,
    now: Timestamp,
) -> Result<(), DbError> {
    const MANIFEST: &str = "
        insert into registry_manifests (digest, media_type, created_at)
        values (:digest, :media_type, :now) on conflict do nothing";
    const IN_REPOSITORY: &str = "
        insert into registry_repository_manifests (repository, digest) values (:repository, :digest)
        on conflict do update set untagged_at = null";
    const UNTAGGED: &str = "
        update registry_repository_manifests as m set untagged_at = :now
        where m.repository = :repository and m.digest <> :digest
          and m.digest = (select t.digest from registry_tags t
                          where t.repository = :repository and t.name = :tag)
          and not exists (select 1 from registry_tags t where t.repository = :repository
                          and t.digest = m.digest and t.name <> :tag)";
    const TAG: &str = "
        insert into registry_tags (repository, name, digest, updated_at)
        values (:repository, :tag, :digest, :now)
        on conflict do update set digest = excluded.digest, updated_at = excluded.updated_at";
    let NewManifest {
        repository, tag, ..
    } = manifest;
    let digest = &manifest.digest;
    tx.sql().prepare_cached(MANIFEST)?.execute(named_params! {
        ":digest": digest, ":media_type": manifest.media_type, ":now": now,
    })?;
    for part in std::iter::once(digest).chain(&manifest.parts) {
        blobs::reference(tx, part, OWNER, digest.as_str())?;
    }
    tx.sql()
        .prepare_cached(IN_REPOSITORY)?
        .execute(named_params! {
            ":repository": repository, ":digest": digest,
        })?;
    tx.sql().prepare_cached(UNTAGGED)?.execute(named_params! {
        ":repository": repository, ":tag": tag, ":digest": digest, ":now": now,
    })?;
    tx.sql().prepare_cached(TAG)?.execute(named_params! {
        ":repository": repository, ":tag": tag, ":digest": digest, ":now": now,
    })?;
    Ok(())
}

/// The manifest under a tag or digest of a repository.
pub(super) fn find(
    tx: &ReadTx<'_>,
    repository: &str,
    reference: &Reference,
) -> Result<Option<StoredManifest>, DbError> {
    const BY_DIGEST: &str = "
        select b.digest, b.size, m.media_type from registry_repository_manifests r
        join registry_manifests m on m.digest = r.digest join blobs b on b.digest = r.digest
        where r.repository = :repository and r.digest = :reference";
    const BY_TAG: &str = "
        select b.digest, b.size, m.media_type from registry_tags t
        join registry_manifests m on m.digest = t.digest join blobs b on b.digest = t.digest
        where t.repository = :repository and t.name = :reference";
    let (sql, text) = match reference {
        Reference::Digest(digest) => (BY_DIGEST, digest.as_str()),
        Reference::Tag(tag) => (BY_TAG, tag.as_str()),
    };
    let parameters = named_params! { ":repository": repository, ":reference": text };
    let mut statement = tx.sql().prepare_cached(sql)?;
    Ok(statement.query_row(parameters, manifest).optional()?)
}

/// The manifest by its digest, in any repository.
pub(super) fn find_by_digest(
    tx: &ReadTx<'_>,
    digest: &Digest,
) -> Result<Option<StoredManifest>, DbError> {
    const SQL: &str = "
        select b.digest, b.size, m.media_type from registry_manifests m
        join blobs b on b.digest = m.digest where m.digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest };
    Ok(statement.query_row(parameters, manifest).optional()?)
}

/// A blob, if a manifest in the repository references it: blobs of other repositories are not
/// readable through this one.
pub(super) fn find_blob(
    tx: &ReadTx<'_>,
    repository: &str,
    digest: &Digest,
) -> Result<Option<Blob>, DbError> {
    const SQL: &str = "
        select b.digest, b.size from blobs b
        where b.digest = :digest and exists (
            select 1 from blob_references r
            join registry_repository_manifests m on m.digest = r.owner_name
            where r.digest = b.digest and r.owner_kind = :owner and m.repository = :repository)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! {
        ":digest": digest, ":owner": OWNER, ":repository": repository,
    };
    Ok(statement.query_row(parameters, blob).optional()?)
}

/// Whether the repository has any manifest.
pub(super) fn exists(tx: &ReadTx<'_>, repository: &str) -> Result<bool, DbError> {
    const SQL: &str = "
        select exists (select 1 from registry_repository_manifests where repository = :repository)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    Ok(
        statement.query_row(named_params! { ":repository": repository }, |row| {
            row.get(0)
        })?,
    )
}

/// At most `limit` tags after `last`, sorted.
pub(super) fn tags(
    tx: &ReadTx<'_>,
    repository: &str,
    last: &str,
    limit: u32,
) -> Result<Vec<String>, DbError> {
    const SQL: &str = "
        select name from registry_tags where repository = :repository and name > :last
        order by name limit :limit";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":repository": repository, ":last": last, ":limit": limit };
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Publishes an existing manifest in another repository under a tag; false if there is no such
/// manifest.
pub fn share_image(
    tx: &WriteTx<'_>,
    digest: &Digest,
    repository: &str,
    tag: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    const MEDIA_TYPE: &str = "select media_type from registry_manifests where digest = :digest";
    let mut statement = tx.sql().prepare_cached(MEDIA_TYPE)?;
    let found = statement
        .query_row(named_params! { ":digest": digest }, |row| row.get(0))
        .optional()?;
    let Some(media_type) = found else {
        return Ok(false);
    };
    let manifest = NewManifest {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.clone(),
        media_type,
        parts: Vec::new(),
    };
    record(tx, &manifest, now)?;
    Ok(true)
}

/// Removes a repository with its tags and the manifests that are in no other repository. The next
/// sweep removes their blobs. A missing repository is not an error.
pub fn remove_repository(tx: &WriteTx<'_>, repository: &str) -> Result<(), DbError> {
    const TAGS: &str = "delete from registry_tags where repository = :repository";
    const IN_REPOSITORY: &str = "
        delete from registry_repository_manifests where repository = :repository";
    let parameters = named_params! { ":repository": repository };
    tx.sql().prepare_cached(TAGS)?.execute(parameters)?;
    tx.sql()
        .prepare_cached(IN_REPOSITORY)?
        .execute(parameters)?;
    remove_orphans(tx)
}

/// Removes manifests that lost their last tag before `before`.
pub(super) fn remove_untagged(tx: &WriteTx<'_>, before: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        delete from registry_repository_manifests as m where m.untagged_at < :before
          and not exists (select 1 from registry_tags t
                          where t.repository = m.repository and t.digest = m.digest)";
    tx.sql()
        .prepare_cached(SQL)?
        .execute(named_params! { ":before": before })?;
    remove_orphans(tx)
}

/// Removes manifests that are in no repository.
fn remove_orphans(tx: &WriteTx<'_>) -> Result<(), DbError> {
    const SQL: &str = "
        delete from registry_manifests where not exists (
            select 1 from registry_repository_manifests r
            where r.digest = registry_manifests.digest)
        returning digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    let orphans: Vec<String> = rows.collect::<Result<_, _>>()?;
    for digest in orphans {
        blobs::release(tx, OWNER, &digest)?;
    }
    Ok(())
}

/// The stored token, encrypted.
pub(super) fn token(tx: &ReadTx<'_>) -> Result<Option<String>, DbError> {
    const SQL: &str = "select value from settings where name = :name";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":name": TOKEN };
    Ok(statement
        .query_row(parameters, |row| row.get(0))
        .optional()?)
}

/// Stores the token unless one exists.
pub(super) fn insert_token(tx: &WriteTx<'_>, encrypted: &str) -> Result<(), DbError> {
    const SQL: &str = "
        insert into settings (name, value) values (:name, :value) on conflict do nothing";
    tx.sql()
        .prepare_cached(SQL)?
        .execute(named_params! { ":name": TOKEN, ":value": encrypted })?;
    Ok(())
}

fn manifest(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredManifest> {
    Ok(StoredManifest {
        blob: blob(row)?,
        media_type: row.get(2)?,
    })
}

fn blob(row: &rusqlite::Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        digest: row.get(0)?,
        size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
    })
}
