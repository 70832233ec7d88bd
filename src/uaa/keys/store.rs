//! SQL of `signing_keys`.

use rusqlite::named_params;

use super::KeyId;
use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

const LIST: &str = "select kid, private_key from signing_keys order by created_at, kid";

const INSERT: &str = "insert into signing_keys (kid, private_key, created_at)
values (:kid, :private_key, :now)";

/// All keys, still encrypted, the newest last.
pub(super) fn list(tx: &ReadTx<'_>) -> Result<Vec<(KeyId, Vec<u8>)>, DbError> {
    let mut statement = tx.sql().prepare_cached(LIST)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps an encrypted key.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    id: &KeyId,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT)?;
    statement.execute(named_params! { ":kid": id, ":private_key": sealed, ":now": now })?;
    Ok(())
}
