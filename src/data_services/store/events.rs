//! What happened to services, for their developers.

use rusqlite::params;

use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

/// The most events of one instance that are kept.
const EVENTS: i64 = 200;

/// Notes what happened to an instance.
pub(in crate::data_services) fn note(
    tx: &WriteTx<'_>,
    instance: &str,
    text: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached(
            "insert into data_service_events (instance_guid, at, text) values (?1, ?2, ?3)",
        )?
        .execute(params![instance, now, text])?;
    tx.sql()
        .prepare_cached(
            "delete from data_service_events where instance_guid = ?1 and id <= (select max(id) from \
             data_service_events where instance_guid = ?1) - ?2",
        )?
        .execute(params![instance, EVENTS])?;
    Ok(())
}

/// What happened to an instance, oldest first.
pub(in crate::data_services) fn events(
    tx: &ReadTx<'_>,
    instance: &str,
) -> Result<Vec<(Timestamp, String)>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select at, text from data_service_events where instance_guid = ?1 order by id",
    )?;
    let rows = statement.query_map([instance], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
