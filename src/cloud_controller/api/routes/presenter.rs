//! JSON of a route.

use serde_json::{Value, json};

use crate::base::guid::RouteGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::destinations::Destination;
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{Included, ListBody, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// With its destinations and metadata read from the database.
pub(crate) fn present_from(tx: &ReadTx<'_>, route: &Route, urls: &Urls) -> Result<Value> {
    let destinations = model::destinations::of_route(tx, &route.guid)?;
    let metadata = Metadata::load(tx, ResourceType::Route, route.guid.as_str())?;
    Ok(present(route, &destinations, &metadata, urls))
}

/// A page of routes; their destinations are read at once.
pub(super) fn present_list(
    tx: &ReadTx<'_>,
    found: &Listed<Route>,
    query: &ListQuery,
    urls: &Urls,
    path: &str,
) -> Result<ListBody> {
    let guids: Vec<RouteGuid> = found.rows.iter().map(|route| route.guid.clone()).collect();
    let all = model::destinations::of_routes(tx, &guids)?;
    let texts = guids.iter().map(RouteGuid::as_str);
    let metadata = Metadata::of_all(tx, ResourceType::Route, texts)?;
    found.present(query, urls, path, |route| {
        let of_route = all.get(&route.guid).map_or(&[][..], Vec::as_slice);
        present(route, of_route, metadata.of(route.guid.as_str()), urls)
    })
}

/// What `include` asks for of these routes.
pub(super) fn included(
    tx: &ReadTx<'_>,
    caller: &Caller,
    urls: &Urls,
    query: &ListQuery,
    routes: &[Route],
) -> Result<Included> {
    let mut included = Vec::new();
    if query.includes("domain") {
        let guids = unique(routes.iter().map(|route| route.domain_guid.to_string()));
        let found = model::domains::by_guids(tx, &guids)?;
        let all = api::domains::presenter::present_all(tx, caller, &found, urls)?;
        included.push(("domains", all));
    }
    let (with_spaces, with_organizations) = (
        query.includes("space"),
        query.includes("space.organization"),
    );
    if with_spaces || with_organizations {
        let guids = unique(routes.iter().map(|route| route.space_guid.to_string()));
        let found = model::spaces::by_guids(tx, &guids)?;
        if with_spaces {
            included.push((
                "spaces",
                api::spaces::presenter::present_all(tx, &found, urls)?,
            ));
        }
        if with_organizations {
            let guids = unique(
                found
                    .iter()
                    .map(|space| space.organization_guid.to_string()),
            );
            let found = model::organizations::by_guids(tx, &guids)?;
            let all = api::organizations::presenter::present_all(tx, &found, urls)?;
            included.push(("organizations", all));
        }
    }
    Ok(included)
}

fn unique(guids: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = guids.collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn present(route: &Route, all: &[Destination], metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/routes/{}", route.guid);
    json!({
        "guid": route.guid,
        "created_at": route.created_at,
        "updated_at": route.updated_at,
        "protocol": route.protocol.as_str(),
        "host": route.host,
        "path": route.path,
        "port": (route.port > 0).then_some(route.port),
        "url": route.url(),
        "destinations": all.iter().map(api::destinations::presenter::present).collect::<Vec<_>>(),
        "options": route.options,
        "metadata": metadata.present(),
        "relationships": {
            "space": { "data": { "guid": route.space_guid } },
            "domain": { "data": { "guid": route.domain_guid } },
        },
        "links": {
            "self": urls.link(&path),
            "space": urls.link(&format!("/v3/spaces/{}", route.space_guid)),
            "destinations": urls.link(&format!("{path}/destinations")),
            "domain": urls.link(&format!("/v3/domains/{}", route.domain_guid)),
        },
    })
}
