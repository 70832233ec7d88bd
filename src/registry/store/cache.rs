//! Manifests whose parts are still to come: copies of other registries' in the repositories `cache/…`,
//! with when somebody last needed them, and images whose layers the Docker daemon has.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::blobs::{self, Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::registry::digest::AnyDigest;
use crate::registry::name::RepositoryName;

use super::links::link;
use super::{OWNER, blob};

/// The parts that a manifest names: those of the list are still to come, all others are here.
pub(super) fn await_parts(
    tx: &WriteTx<'_>,
    manifest: &Digest,
    awaited: &[Blob],
) -> Result<(), DbError> {
    const CLEAR: &str = "delete from registry_missing where manifest = :manifest";
    const INSERT: &str = "
        insert into registry_missing (blob, manifest, size) values (:blob, :manifest, :size)
        on conflict do nothing";
    let mut clear = tx.sql().prepare_cached(CLEAR)?;
    clear.execute(named_params! { ":manifest": manifest })?;
    let mut insert = tx.sql().prepare_cached(INSERT)?;
    for blob in awaited {
        insert.execute(named_params! {
            ":blob": blob.digest, ":manifest": manifest,
            ":size": i64::try_from(blob.size).unwrap_or(i64::MAX),
        })?;
    }
    Ok(())
}

/// The stored name of a blob that a cache shows: everybody may have it.
pub(in crate::registry) fn find_cached(
    tx: &ReadTx<'_>,
    digest: &AnyDigest,
) -> Result<Option<Digest>, DbError> {
    const SQL: &str = "
        select b.digest from registry_blobs l join blobs b on b.digest = l.digest
        where l.digest = coalesce(
            (select a.digest from registry_digests a where a.alias = :digest), :digest)
          and l.repository >= 'cache/' and l.repository < 'cache0' limit 1";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest };
    Ok(statement
        .query_row(parameters, |row| row.get(0))
        .optional()?)
}

/// Whether a manifest names a blob that is here.
pub(in crate::registry) fn names_part(
    tx: &ReadTx<'_>,
    manifest: &Digest,
    blob: &Digest,
) -> Result<bool, DbError> {
    const SQL: &str = "
        select exists (select 1 from blob_references
                       where digest = :blob and owner_kind = :owner and owner_name = :manifest)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":blob": blob, ":owner": OWNER, ":manifest": manifest };
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}

/// A part that a manifest of the repository waits for, with the size that the manifest says.
pub(in crate::registry) fn find_awaited(
    tx: &ReadTx<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Blob>, DbError> {
    const SQL: &str = "
        select x.blob, x.size from registry_missing x
        join registry_repository_manifests m on m.digest = x.manifest
        where x.blob = :digest and m.repository = :repository limit 1";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest, ":repository": repository.as_str() };
    Ok(statement.query_row(parameters, blob).optional()?)
}

/// Manifests of images in the Docker daemon that wait for a blob: those of the platform's own images.
pub(in crate::registry) fn held_in_daemon(
    tx: &ReadTx<'_>,
    digest: &Digest,
) -> Result<Vec<Digest>, DbError> {
    const SQL: &str = "
        select distinct x.manifest from registry_missing x
        join registry_repository_manifests m on m.digest = x.manifest
        where x.blob = :digest and m.repository >= 'cflite/' and m.repository < 'cflite0'";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map(named_params! { ":digest": digest }, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The blobs that a manifest waits for.
pub(in crate::registry) fn awaited_by(
    tx: &ReadTx<'_>,
    manifest: &Digest,
) -> Result<Vec<Digest>, DbError> {
    const SQL: &str = "select blob from registry_missing where manifest = :manifest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map(named_params! { ":manifest": manifest }, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Shows a blob that came from another registry in its cache, and ends the waiting of all manifests
/// that name it; false if it is not in the store.
pub(in crate::registry) fn arrive(
    tx: &WriteTx<'_>,
    cache: &RepositoryName,
    digest: &Digest,
    now: Timestamp,
) -> Result<bool, DbError> {
    const REFERENCES: &str = "
        insert into blob_references (digest, owner_kind, owner_name)
        select :digest, :owner, x.manifest from registry_missing x where x.blob = :digest
        on conflict do nothing";
    const LINKS: &str = "
        insert into registry_blobs (repository, digest, linked_at)
        select distinct m.repository, :digest, :now from registry_missing x
        join registry_repository_manifests m on m.digest = x.manifest where x.blob = :digest
        on conflict do nothing";
    const ARRIVED: &str = "delete from registry_missing where blob = :digest";
    if !blobs::touch(tx, digest, now)? {
        return Ok(false);
    }
    link(tx, cache.as_str(), digest, now)?;
    let mut references = tx.sql().prepare_cached(REFERENCES)?;
    references.execute(named_params! { ":digest": digest, ":owner": OWNER })?;
    let mut links = tx.sql().prepare_cached(LINKS)?;
    links.execute(named_params! { ":digest": digest, ":now": now })?;
    let mut arrived = tx.sql().prepare_cached(ARRIVED)?;
    arrived.execute(named_params! { ":digest": digest })?;
    Ok(true)
}

/// Notes that a copy is needed now. A copy without a tag is
/// then kept until it is evicted, if no index needs it.
pub(in crate::registry) fn use_copy(
    tx: &WriteTx<'_>,
    cache: &RepositoryName,
    digest: &Digest,
    now: Timestamp,
) -> Result<(), DbError> {
    const SQL: &str = "
        update registry_repository_manifests as m set used_at = :now,
            untagged_at = case when exists (
                select 1 from registry_children c
                join registry_repository_manifests p on p.digest = c.parent
                where p.repository = m.repository and c.child = m.digest)
              then untagged_at else null end
        where m.repository = :cache and m.digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! {
        ":cache": cache.as_str(), ":digest": digest, ":now": now,
    })?;
    Ok(())
}

/// When somebody last needed a copy.
pub(in crate::registry) fn used_at(
    tx: &ReadTx<'_>,
    cache: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Timestamp>, DbError> {
    const SQL: &str = "
        select used_at from registry_repository_manifests
        where repository = :cache and digest = :digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":cache": cache.as_str(), ":digest": digest };
    let found = statement.query_row(parameters, |row| row.get(0));
    Ok(found.optional()?.flatten())
}
