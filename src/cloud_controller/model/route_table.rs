//! SQL of the input of the route table, and of the names that DNS knows.

use std::collections::HashMap;

use crate::base::guid::{AppGuid, ProcessGuid, RouteGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::routes::RouteProtocol;
use crate::db::ReadTx;

/// A route with destinations.
pub(crate) struct MappedRoute {
    pub guid: RouteGuid,
    pub host: String,
    pub domain: String,
    pub protocol: RouteProtocol,
    pub path: String,
    /// Of a TCP route.
    pub port: u16,
    pub options: String,
    /// The URL of its route service.
    pub service: Option<String>,
}

/// A destination.
pub(crate) struct Mapping {
    pub app_guid: AppGuid,
    pub process_type: String,
    /// 0 = the default port.
    pub port: u16,
    pub protocol: String,
    /// Of the current droplet; only read for the default port.
    pub execution_metadata: Option<String>,
}

/// App and type of every process that is to run.
pub(crate) fn processes(tx: &ReadTx<'_>) -> Result<HashMap<ProcessGuid, (AppGuid, String)>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select process_guid, app_guid, process_type from desired_processes")?;
    let mut reading = tx.reading("processes with routes");
    let rows = reading.rows(&mut statement, [], |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
    })?;
    reading.finish();
    Ok(rows.into_iter().collect())
}

/// Calls `each` for every destination of a route that the router serves, route by route.
pub(crate) fn each_mapping(
    tx: &ReadTx<'_>,
    mut each: impl FnMut(MappedRoute, Mapping),
) -> Result<()> {
    let mut statement = tx.sql().prepare_cached(
        "select r.guid, r.host, d.name, r.path, r.options, t.app_guid, t.process_type, t.port, t.protocol, \
         r.port, d.router_group_guid is not null, case when t.port = 0 then (select w.execution_metadata from apps a \
         join droplets w on w.guid = a.current_droplet_guid where a.guid = t.app_guid) end, \
         (select b.route_service_url from service_route_bindings b where b.route_guid = r.guid) \
         from destinations t join routes r on r.guid = t.route_guid join domains d on d.guid = r.domain_guid \
         where d.internal = 0 \
         order by t.route_guid, t.created_at, t.guid",
    )?;
    let mut reading = tx.reading("routes");
    reading.rows(&mut statement, [], |row| {
        let route = MappedRoute {
            guid: row.get(0)?,
            host: row.get(1)?,
            domain: row.get(2)?,
            protocol: if row.get(10)? {
                RouteProtocol::Tcp
            } else {
                RouteProtocol::Http
            },
            path: row.get(3)?,
            port: row.get(9)?,
            options: row.get(4)?,
            service: row.get(12)?,
        };
        let mapping = Mapping {
            app_guid: row.get(5)?,
            process_type: row.get(6)?,
            port: row.get(7)?,
            protocol: row.get(8)?,
            execution_metadata: row.get(11)?,
        };
        each(route, mapping);
        Ok(())
    })?;
    reading.finish();
    Ok(())
}

/// The names of all internal domains.
pub(crate) fn internal_domains(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    names(tx, "select name from domains where internal = 1")
}

/// The names of all domains whose routes the HTTP router serves.
pub(crate) fn http_domains(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    const SQL: &str = "select name from domains where internal = 0 and router_group_guid is null";
    names(tx, SQL)
}

fn names(tx: &ReadTx<'_>, sql: &str) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(sql)?;
    let mut reading = tx.reading("domains");
    let rows = reading.rows(&mut statement, [], |row| Ok(row.get(0)?))?;
    reading.finish();
    Ok(rows)
}

/// An internal route's full name, with the app and process type of one of its destinations.
pub(crate) fn internal_routes(tx: &ReadTx<'_>) -> Result<Vec<(String, AppGuid, String)>> {
    // A route to several ports of a process is one name.
    let mut statement = tx.sql().prepare_cached(
        "select distinct iif(r.host = '', d.name, r.host || '.' || d.name), t.app_guid, t.process_type \
         from domains d join routes r on r.domain_guid = d.guid join destinations t on t.route_guid = r.guid \
         where d.internal = 1",
    )?;
    let mut reading = tx.reading("internal routes");
    let rows = reading.rows(&mut statement, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    reading.finish();
    Ok(rows)
}

/// The hosts of routes on public domains that are neither this one nor below it, whether they lead to
/// an app or not.
pub(crate) fn public_hosts(tx: &ReadTx<'_>, except: &str) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select distinct iif(r.host = '', d.name, r.host || '.' || d.name) \
         from domains d join routes r on r.domain_guid = d.guid \
         where d.internal = 0 and d.name <> ?1 \
         and substr(d.name, -length(?1) - 1) <> '.' || ?1",
    )?;
    let mut reading = tx.reading("hosts of routes");
    let rows = reading.rows(&mut statement, [except], |row| Ok(row.get(0)?))?;
    reading.finish();
    Ok(rows)
}
