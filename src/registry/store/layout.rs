//! Images with all that they consist of, to carry them to another machine.

use rusqlite::{OptionalExtension, named_params};

use crate::blobs::{Blob, Digest};
use crate::db::{DbError, ReadTx};
use crate::registry::name::{Reference, RepositoryName};

use super::{StoredManifest, blob, find};

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct NamedImage {
    pub(in crate::registry) repository: String,
    pub(in crate::registry) tag: Option<String>,
    pub(in crate::registry) manifest: StoredManifest,
}

/// An image by its name there; `None` if it is not in the repository, or only in part.
pub(in crate::registry) fn named(
    tx: &ReadTx<'_>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<NamedImage>, DbError> {
    let found = find(tx, repository.as_str(), reference)?;
    let Some(manifest) = found else {
        return Ok(None);
    };
    if !is_complete(tx, &manifest.blob.digest)? {
        return Ok(None);
    }
    Ok(Some(NamedImage {
        repository: repository.to_string(),
        tag: match reference {
            Reference::Tag(tag) => Some(tag.as_str().to_owned()),
            Reference::Digest(_) => None,
        },
        manifest,
    }))
}

/// All tagged copies of other registries' images that are complete.
pub(in crate::registry) fn complete_copies(tx: &ReadTx<'_>) -> Result<Vec<NamedImage>, DbError> {
    const SQL: &str = "
        select t.repository, t.name, b.digest, b.size, m.media_type from registry_tags t
        join registry_manifests m on m.digest = t.digest join blobs b on b.digest = t.digest
        where t.repository >= 'cache/' and t.repository < 'cache0'
        order by t.repository, t.name";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| {
        Ok(NamedImage {
            repository: row.get(0)?,
            tag: row.get(1)?,
            manifest: StoredManifest {
                blob: Blob {
                    digest: row.get(2)?,
                    size: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                },
                media_type: row.get(4)?,
            },
        })
    })?;
    let mut complete = Vec::new();
    for image in rows {
        let image = image?;
        if is_complete(tx, &image.manifest.blob.digest)? {
            complete.push(image);
        }
    }
    Ok(complete)
}

/// The manifests of an image that are here: its own, and those of an index.
const FAMILY: &str = "
    with family (member) as (
        select :digest union
        select c.child from registry_children c join registry_manifests m on m.digest = c.child
        where c.parent = :digest)";

/// Whether nothing of an image is still to come; of an index, at least one image must be here.
fn is_complete(tx: &ReadTx<'_>, digest: &Digest) -> Result<bool, DbError> {
    let sql = format!(
        "{FAMILY} select not exists (
            select 1 from family f join registry_missing x on x.manifest = f.member)
          and ((select count(*) from family) > 1 or not exists (
            select 1 from registry_children where parent = :digest))"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let found = statement.query_row(named_params! { ":digest": digest }, |row| row.get(0));
    Ok(found.optional()?.unwrap_or(false))
}

/// All blobs of an image, manifests included.
pub(in crate::registry) fn all_blobs(
    tx: &ReadTx<'_>,
    digest: &Digest,
) -> Result<Vec<Blob>, DbError> {
    let sql = format!(
        "{FAMILY} select distinct b.digest, b.size from family f
        join blob_references r on r.owner_kind = 'manifest' and r.owner_name = f.member
        join blobs b on b.digest = r.digest order by b.digest"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":digest": digest }, blob)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
