//! SQL of `destinations`.

use std::collections::HashMap;

use rusqlite::{Row, params, params_from_iter};

use super::{DEFAULT_PORT, Destination, DestinationKey, Protocol, exposed_port};
use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DestinationGuid, RouteGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::Select;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "t.guid, t.route_guid, t.app_guid, t.process_type, t.port, t.protocol, t.weight, \
                       t.created_at, t.updated_at, a.name, a.space_guid, \
                       case when t.port = 0 then w.execution_metadata end";
const FROM: &str = "destinations t join apps a on a.guid = t.app_guid \
                    left join droplets w on w.guid = a.current_droplet_guid";

/// The destinations of a route.
pub(crate) fn of_route(tx: &ReadTx<'_>, route: &RouteGuid) -> Result<Vec<Destination>> {
    let found = of_routes(tx, std::slice::from_ref(route))?;
    Ok(found.into_values().flatten().collect())
}

/// The destinations of several routes, by route, each list in the order clients see.
pub(crate) fn of_routes(
    tx: &ReadTx<'_>,
    routes: &[RouteGuid],
) -> Result<HashMap<RouteGuid, Vec<Destination>>> {
    let mut select = Select::from(FROM);
    let guids: Vec<&str> = routes.iter().map(RouteGuid::as_str).collect();
    select.and_in("t.route_guid", &guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by t.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), destination)?;
    let mut all: HashMap<RouteGuid, Vec<Destination>> = HashMap::new();
    for row in rows {
        let row = row?;
        all.entry(row.route_guid.clone()).or_default().push(row);
    }
    Ok(all)
}

/// An app as needed to map routes.
#[derive(Debug, Clone)]
pub(crate) struct MappedApp {
    pub name: String,
    pub space_guid: SpaceGuid,
    /// The image determines the default port.
    pub is_docker: bool,
}

/// Apps by guid; unknown ones are missing.
pub(crate) fn apps(tx: &ReadTx<'_>, guids: &[AppGuid]) -> Result<HashMap<AppGuid, MappedApp>> {
    let mut select = Select::from("apps a");
    let guids: Vec<&str> = guids.iter().map(AppGuid::as_str).collect();
    select.and_in("a.guid", &guids);
    let mut statement = tx.sql().prepare_cached(&select.sql(
        "a.guid, a.name, a.space_guid, a.lifecycle_type = 'docker'",
        "",
    ))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| {
        let app = MappedApp {
            name: row.get(1)?,
            space_guid: row.get(2)?,
            is_docker: row.get(3)?,
        };
        Ok((row.get(0)?, app))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Those of the apps that the caller sees.
pub(crate) fn visible_apps(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guids: &[AppGuid],
) -> Result<Vec<AppGuid>> {
    let mut select = Select::from("apps a");
    let guids: Vec<&str> = guids.iter().map(AppGuid::as_str).collect();
    select.and_in("a.guid", &guids);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql("a.guid", ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a new destination.
pub(crate) fn insert(tx: &WriteTx<'_>, destination: &Destination) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into destinations (guid, route_guid, app_guid, process_type, port, protocol, weight, \
             created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )?
        .execute(params![
            destination.guid,
            destination.route_guid,
            destination.key.app_guid,
            destination.key.process_type,
            destination.key.port,
            destination.protocol.as_str(),
            destination.weight,
            destination.created_at,
        ])?;
    Ok(())
}

/// Updates the protocol of a destination.
pub(crate) fn set_protocol(
    tx: &WriteTx<'_>,
    guid: &DestinationGuid,
    protocol: Protocol,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached("update destinations set protocol = ?2, updated_at = ?3 where guid = ?1")?
        .execute(params![guid, protocol.as_str(), now])?;
    Ok(())
}

/// Deletes a destination.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &DestinationGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from destinations where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn destination(row: &Row<'_>) -> rusqlite::Result<Destination> {
    let port: u16 = row.get(4)?;
    let protocol: String = row.get(5)?;
    let metadata: Option<String> = row.get(11)?;
    let of_image = || metadata.as_deref().and_then(exposed_port);
    Ok(Destination {
        guid: row.get(0)?,
        route_guid: row.get(1)?,
        key: DestinationKey {
            app_guid: row.get(2)?,
            process_type: row.get(3)?,
            port,
        },
        protocol: Protocol::parse(&protocol).unwrap_or_default(),
        weight: row.get(6)?,
        shown_port: if port == 0 {
            of_image().unwrap_or(DEFAULT_PORT)
        } else {
            port
        },
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        app_name: row.get(9)?,
        app_space_guid: row.get(10)?,
    })
}
