//! Which blobs a repository shows, and their other names.

use rusqlite::named_params;

use crate::base::Timestamp;
use crate::blobs::{Digest, Sha512Digest};
use crate::db::{DbError, WriteTx};

/// Notes another name of a blob.
pub(super) fn insert_alias(
    tx: &WriteTx<'_>,
    alias: &Sha512Digest,
    digest: &Digest,
) -> Result<(), DbError> {
    const SQL: &str = "
        insert into registry_digests (alias, digest) values (:alias, :digest)
        on conflict do nothing";
    let parameters = named_params! { ":alias": alias.as_str(), ":digest": digest };
    tx.sql().prepare_cached(SQL)?.execute(parameters)?;
    Ok(())
}

/// Shows a blob in a repository.
pub(super) fn link(
    tx: &WriteTx<'_>,
    repository: &str,
    digest: &Digest,
    now: Timestamp,
) -> Result<(), DbError> {
    const SQL: &str = "
        insert into registry_blobs (repository, digest, linked_at)
        values (:repository, :digest, :now)
        on conflict do update set linked_at = excluded.linked_at";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    statement.execute(named_params! {
        ":repository": repository, ":digest": digest, ":now": now,
    })?;
    Ok(())
}
