//! The manifests that refer to another.

use rusqlite::named_params;
use serde_json::{Value, json};

use crate::db::{DbError, ReadTx};
use crate::registry::digest::AnyDigest;

/// A page ends when its annotations have so many bytes.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_ENTRIES: usize = 1000;

/// Which referrers to list.
pub(in crate::registry) struct ReferrersOf {
    pub(in crate::registry) repository: String,
    pub(in crate::registry) subject: AnyDigest,
    pub(in crate::registry) artifact_type: Option<String>,
    /// Those behind this digest.
    pub(in crate::registry) last: String,
}

/// Descriptors, and the digest to go on behind if there are more.
pub(in crate::registry) struct ReferrersPage {
    pub(in crate::registry) manifests: Vec<Value>,
    pub(in crate::registry) next: Option<String>,
}

/// A page of the manifests in a repository that refer to `subject`, under either of its digests.
pub(in crate::registry) fn referrers(
    tx: &ReadTx<'_>,
    wanted: &ReferrersOf,
) -> Result<ReferrersPage, DbError> {
    const SQL: &str = "
        select m.digest, m.media_type, b.size, m.artifact_type, m.annotations
        from registry_manifests m
        join registry_repository_manifests r on r.digest = m.digest and r.repository = :repository
        join blobs b on b.digest = m.digest
        where m.subject in (
            select :subject
            union select a.digest from registry_digests a where a.alias = :subject
            union select a.alias from registry_digests a where a.digest = :subject)
          and (:artifact_type is null or m.artifact_type = :artifact_type)
          and m.digest > :last
        order by m.digest";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let mut rows = statement.query(named_params! {
        ":repository": wanted.repository, ":subject": wanted.subject,
        ":artifact_type": wanted.artifact_type, ":last": wanted.last,
    })?;
    let (mut manifests, mut bytes, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        if bytes >= MAX_BYTES || manifests.len() >= MAX_ENTRIES {
            return Ok(ReferrersPage {
                manifests,
                next: last,
            });
        }
        let digest: String = row.get(0)?;
        let mut descriptor = json!({
            "mediaType": row.get::<_, String>(1)?,
            "digest": digest,
            "size": row.get::<_, i64>(2)?,
        });
        if let Some(kind) = row.get::<_, Option<String>>(3)? {
            descriptor["artifactType"] = json!(kind);
        }
        if let Some(text) = row.get::<_, Option<String>>(4)? {
            bytes += text.len();
            descriptor["annotations"] = annotations(&text)?;
        }
        manifests.push(descriptor);
        last = Some(digest);
    }
    Ok(ReferrersPage {
        manifests,
        next: None,
    })
}

fn annotations(text: &str) -> Result<Value, DbError> {
    serde_json::from_str(text).map_err(|_| DbError::Inconsistent {
        what: "registry_manifests.annotations",
        value: text.chars().take(100).collect(),
    })
}
