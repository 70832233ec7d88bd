//! Small builders for the router's own tests.

use super::endpoint::{Endpoint, Protocol};
use super::table::{Route, RouteOptions};

/// An endpoint on loopback whose names come from its port.
pub(crate) fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        address: ([127, 0, 0, 1], port).into(),
        app_guid: "app-guid".into(),
        process_guid: "process-guid".into(),
        instance_guid: format!("instance-{port}").as_str().into(),
        index: 0,
        protocol: Protocol::Http1,
    }
}

/// A route with these endpoints.
pub(crate) fn route(host: &str, path: &str, endpoints: Vec<Endpoint>) -> Route {
    Route {
        host: host.to_owned(),
        path: path.to_owned(),
        app_guid: "app-guid".into(),
        options: RouteOptions::default(),
        service: None,
        endpoints,
    }
}
