//! Publishing manifests.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::blobs::{self, Blob, Digest, Sha512Digest};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::registry::RegistryError;
use crate::registry::digest::AnyDigest;
use crate::registry::manifest::{Contents, Held};

use super::links::{insert_alias, link};
use super::{OWNER, cache, find_blob};

/// A manifest to publish in a repository. Its bytes are a blob of the store.
pub(in crate::registry) struct NewManifest {
    pub(in crate::registry) repository: String,
    /// The tags that move to it; without any it is listed by its digest only.
    pub(in crate::registry) tags: Vec<String>,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) alias: Sha512Digest,
    pub(in crate::registry) media_type: String,
    pub(in crate::registry) contents: Contents,
}

/// Where the parts of a new manifest must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum PartsOf {
    /// Anywhere in the store: the platform composes the image.
    Store,
    /// In the same repository: who knows the digest of a blob may still not be allowed to read it.
    Repository,
    /// In any cache of other registries, or not here yet.
    Upstream,
    /// In the Docker daemon, which has the image.
    Daemon,
}

/// The parts of a new manifest.
#[derive(Default)]
struct Parts {
    held: Vec<Digest>,
    /// They come when they are first read.
    awaited: Vec<Blob>,
}

/// Publishes a manifest in a repository and moves the tags to it. A manifest that loses its last tag
/// by this, or has none from the start, is removed by a later sweep, unless another needs it.
/// Nothing is written if a part is missing.
pub(in crate::registry) fn record(
    tx: &WriteTx<'_>,
    manifest: &NewManifest,
    parts_of: PartsOf,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let parts = find_parts(tx, manifest, parts_of)?;
    insert(tx, manifest, now)?;
    for part in std::iter::once(&manifest.digest).chain(&parts.held) {
        blobs::reference(tx, part, OWNER, manifest.digest.as_str())?;
        link(tx, &manifest.repository, part, now)?;
    }
    cache::await_parts(tx, &manifest.digest, &parts.awaited)?;
    let NewManifest {
        repository, tags, ..
    } = manifest;
    show(tx, repository, &manifest.digest, tags, now)?;
    Ok(())
}

/// The stored names of the parts; nothing of others that need not be held.
fn find_parts(
    tx: &ReadTx<'_>,
    manifest: &NewManifest,
    parts_of: PartsOf,
) -> Result<Parts, RegistryError> {
    let (mut parts, mut missing) = (Parts::default(), Vec::new());
    for part in &manifest.contents.parts {
        let found = match parts_of {
            PartsOf::Store | PartsOf::Daemon => find_stored(tx, &part.digest)?,
            PartsOf::Repository => {
                find_blob(tx, &manifest.repository, &part.digest)?.map(|blob| blob.digest)
            }
            PartsOf::Upstream => cache::find_cached(tx, &part.digest)?,
        };
        match (found, part.held, &part.digest) {
            (Some(digest), ..) => parts.held.push(digest),
            (None, Held::IfPushed, _) => {}
            (None, Held::Always, AnyDigest::Sha256(digest)) if may_wait(tx, parts_of, digest)? => {
                let (digest, size) = (digest.clone(), part.size.unwrap_or(0));
                parts.awaited.push(Blob { digest, size });
            }
            (None, Held::Always, digest) => missing.push(digest.to_string()),
        }
    }
    if missing.is_empty() {
        Ok(parts)
    } else {
        Err(RegistryError::MissingParts(missing))
    }
}

/// Whether a part that is not here can come later.
fn may_wait(tx: &ReadTx<'_>, parts_of: PartsOf, digest: &Digest) -> Result<bool, DbError> {
    match parts_of {
        PartsOf::Upstream | PartsOf::Daemon => Ok(true),
        // The base of an image that the platform composes may be one of the daemon's.
        PartsOf::Store => Ok(!cache::held_in_daemon(tx, digest)?.is_empty()),
        PartsOf::Repository => Ok(false),
    }
}

/// The stored name of a blob, in any repository or none.
fn find_stored(tx: &ReadTx<'_>, digest: &AnyDigest) -> Result<Option<Digest>, DbError> {
    const SQL: &str = "
        select b.digest from blobs b where b.digest = coalesce(
            (select a.digest from registry_digests a where a.alias = :digest), :digest)";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": digest };
    Ok(statement
        .query_row(parameters, |row| row.get(0))
        .optional()?)
}

/// The manifest's own rows. What depends on its bytes only may be there already.
fn insert(tx: &WriteTx<'_>, manifest: &NewManifest, now: Timestamp) -> Result<(), DbError> {
    const MANIFEST: &str = "
        insert into registry_manifests
            (digest, media_type, created_at, subject, artifact_type, annotations)
        values (:digest, :media_type, :now, :subject, :artifact_type, :annotations)
        on conflict do update set subject = excluded.subject,
            artifact_type = excluded.artifact_type, annotations = excluded.annotations";
    const CHILD: &str = "
        insert into registry_children (parent, child) values (:parent, :child)
        on conflict do nothing";
    let NewManifest {
        digest, contents, ..
    } = manifest;
    tx.sql().prepare_cached(MANIFEST)?.execute(named_params! {
        ":digest": digest, ":media_type": manifest.media_type, ":now": now,
        ":subject": contents.subject, ":artifact_type": contents.artifact_type,
        ":annotations": contents.annotations,
    })?;
    let mut insert_child = tx.sql().prepare_cached(CHILD)?;
    for child in &contents.children {
        insert_child.execute(named_params! { ":parent": digest, ":child": child })?;
    }
    insert_alias(tx, &manifest.alias, digest)
}

/// Shows a manifest in a repository and moves the tags to it.
fn show(
    tx: &WriteTx<'_>,
    repository: &str,
    digest: &Digest,
    tags: &[String],
    now: Timestamp,
) -> Result<(), DbError> {
    // Without a tag, a tagged manifest stays tagged, and another's time begins again.
    const UNTAGGED: &str = "
        insert into registry_repository_manifests (repository, digest, untagged_at)
        values (:repository, :digest, :now)
        on conflict do update set untagged_at = excluded.untagged_at
            where untagged_at is not null";
    const TAGGED: &str = "
        insert into registry_repository_manifests (repository, digest)
        values (:repository, :digest) on conflict do update set untagged_at = null";
    if tags.is_empty() {
        let mut statement = tx.sql().prepare_cached(UNTAGGED)?;
        statement.execute(named_params! {
            ":repository": repository, ":digest": digest, ":now": now,
        })?;
        return Ok(());
    }
    let mut statement = tx.sql().prepare_cached(TAGGED)?;
    statement.execute(named_params! { ":repository": repository, ":digest": digest })?;
    for tag in tags {
        move_tag(tx, repository, digest, tag, now)?;
    }
    Ok(())
}

fn move_tag(
    tx: &WriteTx<'_>,
    repository: &str,
    digest: &Digest,
    tag: &str,
    now: Timestamp,
) -> Result<(), DbError> {
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
    for sql in [UNTAGGED, TAG] {
        tx.sql().prepare_cached(sql)?.execute(named_params! {
            ":repository": repository, ":tag": tag, ":digest": digest, ":now": now,
        })?;
    }
    Ok(())
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
    const EXISTS: &str = "
        select exists (select 1 from registry_manifests where digest = :digest)";
    const LINKS: &str = "
        insert into registry_blobs (repository, digest, linked_at)
        select :repository, r.digest, :now from blob_references r
        where r.owner_kind = :owner and r.owner_name = :digest
        on conflict do update set linked_at = excluded.linked_at";
    let mut statement = tx.sql().prepare_cached(EXISTS)?;
    let exists: bool =
        statement.query_row(named_params! { ":digest": digest }, |row| row.get(0))?;
    if !exists {
        return Ok(false);
    }
    tx.sql().prepare_cached(LINKS)?.execute(named_params! {
        ":repository": repository, ":digest": digest, ":owner": OWNER, ":now": now,
    })?;
    show(tx, repository, digest, &[tag.to_owned()], now)?;
    Ok(true)
}
