//! What the caches of other registries hold, and removing it.

use std::collections::HashSet;

use rusqlite::named_params;

use crate::base::Timestamp;
use crate::blobs::{Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};

use super::remove::delete_manifest;

/// A copy of another registry's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct HeldCopy {
    pub(in crate::registry) repository: String,
    pub(in crate::registry) digest: Digest,
    /// Itself and its parts, as far as they are here.
    pub(in crate::registry) blobs: Vec<Blob>,
    /// The manifests of an index that are in the same repository.
    pub(in crate::registry) children: Vec<Digest>,
}

/// All copies; those that nobody needed for the longest time come first. An index and its manifests
/// are as old as the youngest of them: daemons ask for one or the other. The index comes last.
pub(in crate::registry) fn copies(tx: &ReadTx<'_>) -> Result<Vec<HeldCopy>, DbError> {
    const SQL: &str = "
        select m.repository, m.digest, b.digest, b.size
        from registry_repository_manifests m
        join registry_manifests d on d.digest = m.digest
        join blob_references r on r.owner_kind = 'manifest' and r.owner_name = m.digest
        join blobs b on b.digest = r.digest
        where m.repository >= 'cache/' and m.repository < 'cache0'
        order by max(coalesce(m.used_at, d.created_at),
                coalesce((select max(p.used_at) from registry_children c
                          join registry_repository_manifests p on p.digest = c.parent
                          where c.child = m.digest and p.repository = m.repository), 0),
                coalesce((select max(k.used_at) from registry_children c
                          join registry_repository_manifests k on k.digest = c.child
                          where c.parent = m.digest and k.repository = m.repository), 0)),
            exists (select 1 from registry_children c where c.parent = m.digest),
            m.repository, m.digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut copies: Vec<HeldCopy> = Vec::new();
    while let Some(row) = rows.next()? {
        let (repository, digest): (String, Digest) = (row.get(0)?, row.get(1)?);
        let blob = Blob {
            digest: row.get(2)?,
            size: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        };
        match copies.last_mut() {
            Some(last) if last.repository == repository && last.digest == digest => {
                last.blobs.push(blob);
            }
            _ => copies.push(HeldCopy {
                repository,
                digest,
                blobs: vec![blob],
                children: Vec::new(),
            }),
        }
    }
    for copy in &mut copies {
        copy.children = children(tx, copy)?;
    }
    Ok(copies)
}

fn children(tx: &ReadTx<'_>, copy: &HeldCopy) -> Result<Vec<Digest>, DbError> {
    const SQL: &str = "
        select k.digest from registry_children c
        join registry_repository_manifests k on k.digest = c.child
        where c.parent = :digest and k.repository = :repository";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let parameters = named_params! { ":digest": copy.digest, ":repository": copy.repository };
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The blobs of the caches that something else needs, too: a droplet, a stack, what users pushed.
pub(in crate::registry) fn needed_elsewhere(tx: &ReadTx<'_>) -> Result<HashSet<Digest>, DbError> {
    const SQL: &str = "
        select distinct r.digest from registry_blobs l
        join blob_references r on r.digest = l.digest
        where l.repository >= 'cache/' and l.repository < 'cache0' and (
            r.owner_kind <> 'manifest' or exists (
                select 1 from registry_repository_manifests m
                where m.digest = r.owner_name
                  and not (m.repository >= 'cache/' and m.repository < 'cache0')))";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a copy with its tags.
pub(in crate::registry) fn remove_copy(tx: &WriteTx<'_>, copy: &HeldCopy) -> Result<(), DbError> {
    delete_manifest(tx, &copy.repository, &copy.digest.clone().into())?;
    Ok(())
}

/// An image as the registry's list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(in crate::registry) struct ListedImage {
    pub(in crate::registry) repository: String,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) tags: Vec<String>,
    pub(in crate::registry) media_type: String,
    /// Its bytes that are here, with those of its children.
    pub(in crate::registry) size: u64,
    /// Whether parts of it are still in its own registry.
    pub(in crate::registry) complete: bool,
    /// When a copy was last used, or the image was published.
    pub(in crate::registry) used_at: Timestamp,
}

/// Images that have a tag or that no index needs, at most `limit`.
pub(in crate::registry) fn images(
    tx: &ReadTx<'_>,
    limit: u32,
) -> Result<Vec<ListedImage>, DbError> {
    const SQL: &str = "
        with family (parent, member) as (
            select digest, digest from registry_manifests
            union select parent, child from registry_children)
        select m.repository, m.digest, d.media_type, coalesce(m.used_at, d.created_at),
            (select group_concat(t.name, ' ') from registry_tags t
             where t.repository = m.repository and t.digest = m.digest),
            (select coalesce(sum(s.size), 0) from (
                select distinct b.digest, b.size from family f
                join blob_references r on r.owner_kind = 'manifest' and r.owner_name = f.member
                join blobs b on b.digest = r.digest where f.parent = m.digest) s),
            not exists (
                select 1 from family f join registry_missing x on x.manifest = f.member
                where f.parent = m.digest)
            and (not exists (select 1 from registry_children c where c.parent = m.digest)
                or exists (select 1 from registry_children c
                           join registry_manifests k on k.digest = c.child
                           where c.parent = m.digest))
        from registry_repository_manifests m
        join registry_manifests d on d.digest = m.digest
        where exists (select 1 from registry_tags t
                      where t.repository = m.repository and t.digest = m.digest)
           or not exists (select 1 from registry_children c
                          join registry_repository_manifests p on p.digest = c.parent
                          where p.repository = m.repository and c.child = m.digest)
        order by m.repository, 5, m.digest limit :limit";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map(named_params! { ":limit": limit }, |row| {
        let tags: Option<String> = row.get(4)?;
        let tags = tags.unwrap_or_default();
        Ok(ListedImage {
            repository: row.get(0)?,
            digest: row.get(1)?,
            tags: tags.split_whitespace().map(str::to_owned).collect(),
            media_type: row.get(2)?,
            size: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
            complete: row.get(6)?,
            used_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
