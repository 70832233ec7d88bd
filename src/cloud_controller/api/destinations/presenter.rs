//! JSON of destinations.

use serde_json::{Value, json};

use crate::base::guid::RouteGuid;
use crate::cloud_controller::model::destinations::Destination;
use crate::cloud_controller::v3::Urls;

/// One destination inside a route or a list.
pub(crate) fn present(destination: &Destination) -> Value {
    json!({
        "guid": destination.guid,
        "app": {
            "guid": destination.key.app_guid,
            "process": { "type": destination.key.process_type },
        },
        "weight": destination.weight,
        "port": destination.shown_port,
        "protocol": destination.protocol.as_str(),
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
    })
}

/// One destination on its own.
pub(super) fn present_one(destination: &Destination, urls: &Urls) -> Value {
    let mut body = present(destination);
    let path = format!("/v3/routes/{}", destination.route_guid);
    body["links"] = json!({
        "destinations": urls.link(&format!("{path}/destinations")),
        "route": urls.link(&path),
    });
    body
}

/// All destinations of a route.
pub(super) fn present_all(route: &RouteGuid, all: &[Destination], urls: &Urls) -> Value {
    let path = format!("/v3/routes/{route}");
    json!({
        "destinations": all.iter().map(present).collect::<Vec<_>>(),
        "links": {
            "self": urls.link(&format!("{path}/destinations")),
            "route": urls.link(&path),
        },
    })
}
