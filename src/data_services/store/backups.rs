//! The table of dumps.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

const BACKUP: &str = "guid, instance_guid, instance_name, space_guid, offering_name, version, extension, digest, size, \
    tag, reason, created_at, expires_at";

/// A dump.
#[derive(Debug, Clone)]
pub(in crate::data_services) struct BackupRow {
    pub(in crate::data_services) guid: String,
    pub(in crate::data_services) instance_guid: String,
    pub(in crate::data_services) instance_name: String,
    pub(in crate::data_services) space_guid: String,
    pub(in crate::data_services) offering_name: String,
    pub(in crate::data_services) version: String,
    pub(in crate::data_services) extension: String,
    pub(in crate::data_services) digest: String,
    pub(in crate::data_services) size: u64,
    pub(in crate::data_services) tag: String,
    pub(in crate::data_services) reason: String,
    pub(in crate::data_services) created_at: Timestamp,
    pub(in crate::data_services) expires_at: Option<Timestamp>,
}

fn backup(row: &Row<'_>) -> rusqlite::Result<BackupRow> {
    Ok(BackupRow {
        guid: row.get(0)?,
        instance_guid: row.get(1)?,
        instance_name: row.get(2)?,
        space_guid: row.get(3)?,
        offering_name: row.get(4)?,
        version: row.get(5)?,
        extension: row.get(6)?,
        digest: row.get(7)?,
        size: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
        tag: row.get(9)?,
        reason: row.get(10)?,
        created_at: row.get(11)?,
        expires_at: row.get(12)?,
    })
}

pub(in crate::data_services) fn insert_backup(
    tx: &WriteTx<'_>,
    row: &BackupRow,
) -> Result<(), DbError> {
    let sql = format!(
        "insert into data_service_backups ({BACKUP}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    tx.sql().prepare_cached(&sql)?.execute(params![
        row.guid,
        row.instance_guid,
        row.instance_name,
        row.space_guid,
        row.offering_name,
        row.version,
        row.extension,
        row.digest,
        i64::try_from(row.size).unwrap_or(i64::MAX),
        row.tag,
        row.reason,
        row.created_at,
        row.expires_at,
    ])?;
    Ok(())
}

pub(in crate::data_services) fn find_backup(
    tx: &ReadTx<'_>,
    guid: &str,
) -> Result<Option<BackupRow>, DbError> {
    let sql = format!("select {BACKUP} from data_service_backups where guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], backup).optional()?)
}

/// All backups, oldest first.
pub(in crate::data_services) fn backups(tx: &ReadTx<'_>) -> Result<Vec<BackupRow>, DbError> {
    let sql = format!("select {BACKUP} from data_service_backups order by created_at, guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([], backup)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The backups of an instance that is removed stay until then.
pub(in crate::data_services) fn expire_backups(
    tx: &WriteTx<'_>,
    instance: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached("update data_service_backups set expires_at = ?2 where instance_guid = ?1")?
        .execute(params![instance, at])?;
    Ok(())
}

pub(in crate::data_services) fn remove_backup(tx: &WriteTx<'_>, guid: &str) -> Result<(), DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("delete from data_service_backups where guid = ?1")?;
    statement.execute([guid])?;
    Ok(())
}
