//! SQL of `router_groups`: the ports that TCP routes may have.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::Timestamp;
use crate::base::guid::RouterGroupGuid;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};
use crate::net::PortRanges;

/// The group of every platform.
pub(crate) const DEFAULT: &str = "default-tcp";

const COLUMNS: &str = "guid, name, type, reservable_ports";

/// A router group.
#[derive(Debug, Clone)]
pub(crate) struct RouterGroup {
    pub guid: RouterGroupGuid,
    pub name: String,
    /// Only `tcp` is there.
    pub kind: String,
    pub reservable_ports: PortRanges,
}

pub(crate) fn find(tx: &ReadTx<'_>, guid: &RouterGroupGuid) -> Result<Option<RouterGroup>> {
    one(tx, "guid = ?1", guid.as_str())
}

pub(crate) fn find_by_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<RouterGroup>> {
    one(tx, "name = ?1", name)
}

fn one(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Option<RouterGroup>> {
    let sql = format!("select {COLUMNS} from router_groups where {condition}");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([value], group).optional()?)
}

/// All groups, by name.
pub(crate) fn list(tx: &ReadTx<'_>) -> Result<Vec<RouterGroup>> {
    let sql = format!("select {COLUMNS} from router_groups order by name");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([], group)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Gives a group other ports. Routes that have one of the old ports keep it.
pub(crate) fn set_ports(
    tx: &WriteTx<'_>,
    guid: &RouterGroupGuid,
    ports: &PortRanges,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update router_groups set reservable_ports = ?2, updated_at = ?3 where guid = ?1",
        )?
        .execute(params![guid, ports.as_str(), now])?;
    Ok(())
}

/// Inserts the default group when there is none.
pub(crate) fn ensure_default(
    tx: &WriteTx<'_>,
    guid: &RouterGroupGuid,
    ports: &PortRanges,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into router_groups (guid, name, type, reservable_ports, configured_ports, created_at, updated_at) \
             values (?1, ?2, 'tcp', ?3, ?3, ?4, ?4) on conflict (name) do nothing",
        )?
        .execute(params![guid, DEFAULT, ports.as_str(), now])?;
    Ok(())
}

/// Gives the default group the configured ports, when the configuration changed since that was done.
pub(crate) fn take_over(tx: &WriteTx<'_>, ports: &PortRanges, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update router_groups set reservable_ports = ?2, configured_ports = ?2, updated_at = ?3 \
             where name = ?1 and configured_ports <> ?2",
        )?
        .execute(params![DEFAULT, ports.as_str(), now])?;
    Ok(())
}

fn group(row: &Row<'_>) -> rusqlite::Result<RouterGroup> {
    let ports: String = row.get(3)?;
    let ports = PortRanges::parse(&ports).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(RouterGroup {
        guid: row.get(0)?,
        name: row.get(1)?,
        kind: row.get(2)?,
        reservable_ports: ports,
    })
}
