//! SQL of `console_sessions`.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

/// A stored session.
pub(super) struct Row {
    /// SHA-256 of the cookie's secret.
    pub(super) hash: String,
    /// Where it began: `http://console.cf.localhost:8080`.
    pub(super) origin: String,
    /// Encrypted.
    pub(super) tokens: Vec<u8>,
    pub(super) expires_at: Timestamp,
}

const INSERT: &str = "insert into console_sessions (session_hash, origin, tokens, expires_at)
values (:hash, :origin, :tokens, :expires_at)";

const FIND: &str = "select origin, tokens, expires_at from console_sessions
where session_hash = :hash";

const UPDATE: &str = "update console_sessions set tokens = :tokens where session_hash = :hash";

const DELETE: &str = "delete from console_sessions where session_hash = :hash";

const PRUNE: &str = "delete from console_sessions where expires_at <= :now";

/// Stores a session.
pub(super) fn insert(tx: &WriteTx<'_>, row: &Row) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT)?;
    statement.execute(named_params! {
        ":hash": row.hash,
        ":origin": row.origin,
        ":tokens": row.tokens,
        ":expires_at": row.expires_at,
    })?;
    Ok(())
}

/// The session with this hash, whatever its age.
pub(super) fn find(tx: &ReadTx<'_>, hash: &str) -> Result<Option<Row>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":hash": hash }, |row| {
        Ok(Row {
            hash: hash.to_owned(),
            origin: row.get("origin")?,
            tokens: row.get("tokens")?,
            expires_at: row.get("expires_at")?,
        })
    });
    Ok(found.optional()?)
}

/// Replaces the tokens of a session.
pub(super) fn update(tx: &WriteTx<'_>, hash: &str, tokens: &[u8]) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(UPDATE)?;
    statement.execute(named_params! { ":hash": hash, ":tokens": tokens })?;
    Ok(())
}

/// Deletes a session.
pub(super) fn delete(tx: &WriteTx<'_>, hash: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE)?;
    statement.execute(named_params! { ":hash": hash })?;
    Ok(())
}

/// Deletes expired sessions.
pub(super) fn prune(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(PRUNE)?;
    statement.execute(named_params! { ":now": now })?;
    Ok(())
}
