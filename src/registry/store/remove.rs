//! Removing what nobody needs: at once when it is asked for, the rest by the sweep.

use rusqlite::named_params;

use crate::base::Timestamp;
use crate::blobs;
use crate::db::{DbError, WriteTx};
use crate::registry::digest::AnyDigest;
use crate::registry::name::{Reference, Tag};

use super::{OWNER, find};

/// Removes a repository with its tags, its links to blobs, and the manifests that are in no other
/// repository. The next sweep removes their blobs. A missing repository is not an error.
pub fn remove_repository(tx: &WriteTx<'_>, repository: &str) -> Result<(), DbError> {
    const TAGS: &str = "delete from registry_tags where repository = :repository";
    const MANIFESTS: &str = "
        delete from registry_repository_manifests where repository = :repository";
    const BLOBS: &str = "delete from registry_blobs where repository = :repository";
    const UPLOADS: &str = "delete from registry_uploads where repository = :repository";
    for sql in [TAGS, MANIFESTS, BLOBS, UPLOADS] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":repository": repository })?;
    }
    remove_orphans(tx)
}

/// Removes a tag; false if there is none.
pub(in crate::registry) fn delete_tag(
    tx: &WriteTx<'_>,
    repository: &str,
    tag: &Tag,
    now: Timestamp,
) -> Result<bool, DbError> {
    const TAG: &str = "
        delete from registry_tags where repository = :repository and name = :name
        returning digest";
    const UNTAGGED: &str = "
        update registry_repository_manifests as m set untagged_at = :now
        where m.repository = :repository and m.digest = :digest
          and not exists (select 1 from registry_tags t
                          where t.repository = m.repository and t.digest = m.digest)";
    let mut statement = tx.sql().prepare_cached(TAG)?;
    let parameters = named_params! { ":repository": repository, ":name": tag.as_str() };
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    let digests: Vec<String> = rows.collect::<Result<_, _>>()?;
    for digest in &digests {
        tx.sql().prepare_cached(UNTAGGED)?.execute(named_params! {
            ":repository": repository, ":digest": digest, ":now": now,
        })?;
    }
    Ok(!digests.is_empty())
}

/// Removes a manifest from a repository, with all its tags there; false if it has none such. Its
/// blobs stay visible until a sweep finds that no other manifest needs them.
pub(in crate::registry) fn delete_manifest(
    tx: &WriteTx<'_>,
    repository: &str,
    digest: &AnyDigest,
) -> Result<bool, DbError> {
    const TAGS: &str = "
        delete from registry_tags where repository = :repository and digest = :digest";
    const MANIFEST: &str = "
        delete from registry_repository_manifests
        where repository = :repository and digest = :digest";
    const LINK: &str = "
        delete from registry_blobs where repository = :repository and digest = :digest";
    let reference = Reference::Digest(digest.clone());
    let Some(found) = find(tx, repository, &reference)? else {
        return Ok(false);
    };
    for sql in [TAGS, MANIFEST, LINK] {
        tx.sql().prepare_cached(sql)?.execute(named_params! {
            ":repository": repository, ":digest": found.blob.digest,
        })?;
    }
    remove_orphans(tx)?;
    Ok(true)
}

/// Removes manifests that lost their last tag before `before` and that no other needs, links to
/// blobs that no manifest needed since, and what is left of removed blobs.
pub(in crate::registry) fn sweep(tx: &WriteTx<'_>, before: Timestamp) -> Result<(), DbError> {
    remove_untagged(tx, before)?;
    remove_orphans(tx)?;
    remove_links(tx, before)?;
    remove_aliases(tx)
}

/// A manifest is needed by an index that names it, and as long as the manifest that it refers to
/// exists in its repository. An index that goes releases its children, so this is repeated; no
/// manifest can name itself, so it ends.
fn remove_untagged(tx: &WriteTx<'_>, before: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        delete from registry_repository_manifests as m where m.untagged_at < :before
          and not exists (
            select 1 from registry_tags t
            where t.repository = m.repository and t.digest = m.digest)
          and not exists (
            select 1 from registry_children c
            join registry_repository_manifests p on p.digest = c.parent
            where p.repository = m.repository and c.child in (
                select m.digest union all
                select a.alias from registry_digests a where a.digest = m.digest))
          and not exists (
            select 1 from registry_manifests own
            join registry_repository_manifests s on s.repository = m.repository
            where own.digest = m.digest and s.digest = coalesce(
                (select a.digest from registry_digests a where a.alias = own.subject),
                own.subject))";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    while statement.execute(named_params! { ":before": before })? > 0 {}
    Ok(())
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

fn remove_links(tx: &WriteTx<'_>, before: Timestamp) -> Result<(), DbError> {
    const SQL: &str = "
        delete from registry_blobs as l
        where not exists (select 1 from blobs b where b.digest = l.digest)
           or (l.linked_at < :before and not exists (
                select 1 from blob_references r
                join registry_repository_manifests m on m.digest = r.owner_name
                where r.digest = l.digest and r.owner_kind = :owner
                  and m.repository = l.repository))";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! { ":before": before, ":owner": OWNER })?;
    Ok(())
}

fn remove_aliases(tx: &WriteTx<'_>) -> Result<(), DbError> {
    const SQL: &str = "
        delete from registry_digests where not exists (
            select 1 from blobs b where b.digest = registry_digests.digest)";
    tx.sql().prepare_cached(SQL)?.execute([])?;
    Ok(())
}
