//! SQL of `development_sessions`: apps whose files `cflite dev` changes while they run.

use rusqlite::OptionalExtension;

use crate::base::Timestamp;
use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};

/// Whether an app has a session.
pub(crate) fn exists(tx: &ReadTx<'_>, app: &AppGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from development_sessions where app_guid = ?1")?;
    Ok(statement.exists([app])?)
}

/// Begins a session, or keeps the one there is.
pub(crate) fn keep(tx: &WriteTx<'_>, app: &AppGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into development_sessions (app_guid, started_at, seen_at) values (?1, ?2, ?2) \
             on conflict (app_guid) do update set seen_at = excluded.seen_at",
        )?
        .execute(rusqlite::params![app, now])?;
    Ok(())
}

/// Ends a session; false when there is none.
pub(crate) fn delete(tx: &WriteTx<'_>, app: &AppGuid) -> Result<bool> {
    let deleted = tx
        .sql()
        .prepare_cached("delete from development_sessions where app_guid = ?1")?
        .execute([app])?;
    Ok(deleted > 0)
}

/// The session that was not kept for the longest time, and when it was kept last.
pub(crate) fn oldest(tx: &ReadTx<'_>) -> Result<Option<(AppGuid, Timestamp)>> {
    let mut statement = tx.sql().prepare_cached(
        "select app_guid, seen_at from development_sessions order by seen_at limit 1",
    )?;
    let row = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}
