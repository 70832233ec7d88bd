//! The ports of this machine that services have.

use std::collections::BTreeMap;

use rusqlite::params;

use super::broken;
use crate::db::{DbError, ReadTx, WriteTx};

/// Gives an instance that was never ready other ports of this machine.
pub(in crate::data_services) fn set_ports(
    tx: &WriteTx<'_>,
    guid: &str,
    ports: &BTreeMap<String, u16>,
) -> Result<(), DbError> {
    let written = serde_json::to_string(ports).map_err(broken)?;
    tx.sql()
        .prepare_cached("update data_service_instances set ports = ?2 where guid = ?1")?
        .execute([guid, &written])?;
    tx.sql()
        .prepare_cached("delete from data_service_ports where instance_guid = ?1")?
        .execute([guid])?;
    for port in ports.values() {
        tx.sql()
            .prepare_cached("insert into data_service_ports (port, instance_guid) values (?1, ?2)")?
            .execute(params![port, guid])?;
    }
    Ok(())
}

/// Ports of this machine that services have.
pub(in crate::data_services) fn ports(tx: &ReadTx<'_>) -> Result<Vec<u16>, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select port from data_service_ports order by port")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
