//! The tables `registry_*`, and the blob references of manifests.

mod blobs;
mod cache;
mod evict;
mod layout;
mod links;
mod publish;
mod referrers;
mod remove;

use rusqlite::{OptionalExtension, named_params};

use crate::blobs::{Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};

use super::digest::AnyDigest;
use super::name::Reference;

pub(super) use blobs::{
    Link, delete_upload, hide_blob, insert_upload, is_blob_older, mount, repositories_with,
    show_blob, touch_upload, upload_exists, upload_ids,
};
pub(super) use cache::{
    arrive, awaited_by, find_awaited, find_cached, held_in_daemon, names_part, use_copy, used_at,
};
pub(super) use evict::{HeldCopy, ListedImage, copies, images, needed_elsewhere, remove_copy};
pub(super) use layout::{NamedImage, all_blobs, complete_copies, named};
pub use publish::share_image;
pub(super) use publish::{NewManifest, PartsOf, record};
pub(super) use referrers::{ReferrersOf, referrers};
pub use remove::remove_repository;
pub(super) use remove::{delete_manifest, delete_tag, sweep};

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

/// The manifest under a tag or digest of a repository.
pub(super) fn find(
    tx: &ReadTx<'_>,
    repository: &str,
    reference: &Reference,
) -> Result<Option<StoredManifest>, DbError> {
    const BY_DIGEST: &str = "
        select b.digest, b.size, m.media_type from registry_repository_manifests r
        join registry_manifests m on m.digest = r.digest join blobs b on b.digest = r.digest
        where r.repository = :repository and r.digest = coalesce(
            (select a.digest from registry_digests a where a.alias = :reference), :reference)";
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

/// A blob, if the repository shows it: blobs of other repositories are not readable through this
/// one.
pub(super) fn find_blob(
    tx: &ReadTx<'_>,
    repository: &str,
    digest: &AnyDigest,
) -> Result<Option<Blob>, DbError> {
    const SQL: &str = "
        select b.digest, b.size from registry_blobs l join blobs b on b.digest = l.digest
        where l.repository = :repository and l.digest = coalesce(
            (select a.digest from registry_digests a where a.alias = :digest), :digest)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest, ":repository": repository };
    Ok(statement.query_row(parameters, blob).optional()?)
}

/// Whether the repository has any manifest or blob.
pub(super) fn exists(tx: &ReadTx<'_>, repository: &str) -> Result<bool, DbError> {
    const SQL: &str = "
        select exists (select 1 from registry_repository_manifests where repository = :repository)
            or exists (select 1 from registry_blobs where repository = :repository)";
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
