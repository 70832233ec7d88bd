//! SQL of `signing_keys`.

use std::time::Duration;

use rusqlite::named_params;

use super::KeyId;
use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

const LIST: &str = "select kid, private_key, created_at from signing_keys order by created_at, kid";

const NEWEST: &str = "select max(created_at) from signing_keys";

// A key signs until the next one is created, and a little longer for requests in flight.
const DELETE_UNUSED: &str = "delete from signing_keys as old
where exists (select 1 from signing_keys where created_at > old.created_at
        and created_at <= :settled)
    and not exists (select 1 from access_tokens where expires_at > :now and issued_at <= :slack
        + (select min(created_at) from signing_keys where created_at > old.created_at))
returning kid";

const INSERT: &str = "insert into signing_keys (kid, private_key, created_at)
values (:kid, :private_key, :now)";

/// A key as stored.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: KeyId,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Timestamp,
}

/// All keys, still encrypted, the newest last.
pub(super) fn list(tx: &ReadTx<'_>) -> Result<Vec<Stored>, DbError> {
    let mut statement = tx.sql().prepare_cached(LIST)?;
    let rows = statement.query_map([], |row| {
        Ok(Stored {
            id: row.get(0)?,
            sealed: row.get(1)?,
            created_at: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the newest key was created.
pub(super) fn newest(tx: &ReadTx<'_>) -> Result<Option<Timestamp>, DbError> {
    let mut statement = tx.sql().prepare_cached(NEWEST)?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Deletes keys whose last token has expired; returns their ids.
pub(super) fn delete_unused(
    tx: &WriteTx<'_>,
    settled: Timestamp,
    slack: Duration,
    now: Timestamp,
) -> Result<Vec<KeyId>, DbError> {
    let slack = i64::try_from(slack.as_micros()).unwrap_or(i64::MAX);
    let mut statement = tx.sql().prepare_cached(DELETE_UNUSED)?;
    let rows = statement.query_map(
        named_params! { ":settled": settled, ":slack": slack, ":now": now },
        |row| row.get(0),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores an encrypted key.
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
