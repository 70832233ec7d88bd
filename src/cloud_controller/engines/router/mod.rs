//! The router's input: every route that leads to an app, with the instances that may serve it
//! now. The counterpart of [`super::scheduler`] for the router.
//!
//! - Built completely from one query and the scheduler's routable instances, after every change.
//! - A route whose apps have no routable instance is left out, as the last endpoint takes its pool
//!   along in Cloud Foundry: the name is unknown (404), or a wildcard's or shorter path's.
//! - A TCP route is its port alone: one without a routable instance has no listener.
//! - A route whose route service has no valid URL is left out: nothing may pass the service by.
//! - Routes of internal domains are not served by the router.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::destinations::{DEFAULT_PORT, exposed_port};
use crate::cloud_controller::model::route_table::{MappedRoute, Mapping};
use crate::cloud_controller::model::routes::RouteProtocol;
use crate::db::ReadTx;
use crate::router::{
    Endpoint, Hashing, LoadBalancing, Protocol, Route, RouteOptions, RouteService, TcpRoute,
};
use crate::scheduler::RoutableInstance;

/// What the router serves.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub http: Vec<Route>,
    pub tcp: Vec<TcpRoute>,
}

/// The routes with their endpoints.
pub(crate) fn routes(tx: &ReadTx<'_>, routable: &[RoutableInstance]) -> Result<Routes> {
    let processes = model::route_table::processes(tx)?;
    let mut running: HashMap<(&AppGuid, &str), Vec<&RoutableInstance>> = HashMap::new();
    for instance in routable {
        if let Some((app, kind)) = processes.get(&instance.process_guid) {
            running.entry((app, kind)).or_default().push(instance);
        }
    }
    let mut routes = Routes::default();
    let mut last = None;
    model::route_table::each_mapping(tx, |route, mapping| {
        let service = match route.service.as_deref().map(RouteService::parse) {
            Some(None) => return,
            Some(service) => service,
            None => None,
        };
        let found = running.get(&(&mapping.app_guid, &*mapping.process_type));
        let found = found.map(Vec::as_slice).unwrap_or_default();
        let reached = { found.iter() }.filter_map(|instance| endpoint(instance, &mapping));
        let is_next = last.as_ref() != Some(&route.guid);
        last = Some(route.guid.clone());
        routes.add(is_next.then_some(service), route, &mapping, reached);
    })?;
    routes.http.retain(|route| !route.endpoints.is_empty());
    routes.tcp.retain(|route| !route.endpoints.is_empty());
    Ok(routes)
}

impl Routes {
    /// Adds what a destination reaches to its route: the last one, unless it is the `next`, which
    /// may have a route service.
    fn add(
        &mut self,
        next: Option<Option<RouteService>>,
        route: MappedRoute,
        mapping: &Mapping,
        reached: impl Iterator<Item = Endpoint>,
    ) {
        match route.protocol {
            RouteProtocol::Http => {
                if let Some(service) = next {
                    self.http.push(without_endpoints(route, mapping, service));
                }
                if let Some(route) = self.http.last_mut() {
                    route.endpoints.extend(reached);
                }
            }
            RouteProtocol::Tcp => {
                if next.is_some() {
                    let (port, endpoints) = (route.port, Vec::new());
                    self.tcp.push(TcpRoute { port, endpoints });
                }
                if let Some(route) = self.tcp.last_mut() {
                    route.endpoints.extend(reached);
                }
            }
        }
    }
}

fn without_endpoints(
    route: MappedRoute,
    mapping: &Mapping,
    service: Option<RouteService>,
) -> Route {
    let host = if route.host.is_empty() {
        route.domain
    } else {
        format!("{}.{}", route.host, route.domain)
    };
    Route {
        host,
        path: route.path,
        app_guid: mapping.app_guid.clone(),
        options: options(&route.options),
        service: service.map(Arc::new),
        endpoints: Vec::new(),
    }
}

fn options(json: &str) -> RouteOptions {
    let options: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |name: &str| options.get(name).and_then(|value| value.as_str());
    let load_balancing = match text("loadbalancing") {
        Some("least-connection") => LoadBalancing::LeastConnection,
        Some("hash") => hashing(text("hash_header"), text("hash_balance")),
        _ => LoadBalancing::RoundRobin,
    };
    RouteOptions { load_balancing }
}

/// A header that cannot be one is in no request: then requests rotate.
fn hashing(header: Option<&str>, balance: Option<&str>) -> LoadBalancing {
    let tenths = |balance: &str| {
        let (whole, tenths) = balance.split_once('.')?;
        Some(whole.parse::<u32>().ok()? * 10 + tenths.parse::<u32>().ok()?)
    };
    match header.and_then(|header| header.parse().ok()) {
        Some(header) => LoadBalancing::Hash(Hashing {
            header,
            balance: balance.and_then(tenths).unwrap_or(0),
        }),
        None => LoadBalancing::RoundRobin,
    }
}

/// `None` while the instance has no such port: a port that a new route names needs a restart.
fn endpoint(instance: &RoutableInstance, mapping: &Mapping) -> Option<Endpoint> {
    let ports = &instance.address.ports;
    let address = if mapping.port == 0 {
        let of_image = mapping.execution_metadata.as_deref().and_then(exposed_port);
        let known = [of_image, Some(DEFAULT_PORT)];
        let mut known = known.into_iter().flatten();
        known
            .find_map(|port| ports.get(&port))
            .or_else(|| ports.values().next())
    } else {
        ports.get(&mapping.port)
    };
    Some(Endpoint {
        address: *address?,
        app_guid: instance.app_guid.clone(),
        process_guid: instance.process_guid.clone(),
        instance_guid: instance.instance_guid.clone(),
        index: instance.index,
        protocol: Protocol::from_destination(&mapping.protocol),
    })
}
