//! SQL of `service_dashboard_clients`: which OAuth clients belong to a broker.

use rusqlite::OptionalExtension;

use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};

/// The broker that a client belongs to.
pub(crate) fn owner(tx: &ReadTx<'_>, client_id: &str) -> Result<Option<ServiceBrokerGuid>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select broker_guid from service_dashboard_clients where client_id = ?1")?;
    Ok(statement
        .query_row([client_id], |row| row.get(0))
        .optional()?)
}

/// The clients of a broker.
pub(crate) fn of_broker(tx: &ReadTx<'_>, broker: &ServiceBrokerGuid) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select client_id from service_dashboard_clients where broker_guid = ?1 order by client_id",
    )?;
    let rows = statement.query_map([broker], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a client belongs to a broker.
pub(crate) fn claim(tx: &WriteTx<'_>, client_id: &str, broker: &ServiceBrokerGuid) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_dashboard_clients (client_id, broker_guid) values (?1, ?2)
             on conflict (client_id) do nothing",
        )?
        .execute(rusqlite::params![client_id, broker])?;
    Ok(())
}

/// Forgets a client.
pub(crate) fn release(tx: &WriteTx<'_>, client_id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_dashboard_clients where client_id = ?1")?
        .execute([client_id])?;
    Ok(())
}
