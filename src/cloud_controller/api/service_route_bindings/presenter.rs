//! JSON of a service route binding.

use serde_json::{Value, json};

use crate::base::guid::RouteGuid;
use crate::cloud_controller::api::service_offerings::presenter::unique;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::last_operations::LastOperation;
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{Included, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// Many at once.
pub(super) fn present_all(
    tx: &ReadTx<'_>,
    bindings: &[RouteBinding],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = bindings.iter().map(|binding| binding.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServiceRouteBinding, guids)?;
    let shown = bindings
        .iter()
        .map(|binding| present(binding, metadata.of(binding.guid.as_str()), urls));
    Ok(shown.collect())
}

/// One.
pub(super) fn present_from(tx: &ReadTx<'_>, binding: &RouteBinding, urls: &Urls) -> Result<Value> {
    let one = present_all(tx, std::slice::from_ref(binding), urls)?.pop();
    Ok(one.unwrap_or_default())
}

fn present(binding: &RouteBinding, metadata: &Metadata, urls: &Urls) -> Value {
    let (instance, route) = (&binding.instance_guid, &binding.route_guid);
    let path = format!("/v3/service_route_bindings/{}", binding.guid);
    let mut links = json!({
        "self": urls.link(&path),
        "service_instance": urls.link(&format!("/v3/service_instances/{instance}")),
        "route": urls.link(&format!("/v3/routes/{route}")),
    });
    if binding.is_managed {
        links["parameters"] = urls.link(&format!("{path}/parameters"));
    }
    json!({
        "guid": binding.guid,
        "route_service_url": binding.route_service_url,
        "created_at": binding.created_at,
        "updated_at": binding.updated_at,
        "last_operation": LastOperation::present(binding.last_operation.as_ref()),
        "metadata": metadata.present(),
        "relationships": {
            "service_instance": { "data": { "guid": instance } },
            "route": { "data": { "guid": route } },
        },
        "links": links,
    })
}

/// What `include` asks for of these bindings.
pub(super) fn included(
    tx: &ReadTx<'_>,
    query: &ListQuery,
    bindings: &[RouteBinding],
    urls: &Urls,
) -> Result<Included> {
    let mut included = Vec::new();
    if query.includes("route") {
        let mut shown = Vec::new();
        for guid in unique(
            bindings
                .iter()
                .map(|binding| binding.route_guid.to_string()),
        ) {
            if let Some(route) = model::routes::find(tx, &RouteGuid::from(guid))? {
                shown.push(api::routes::presenter::present_from(tx, &route, urls)?);
            }
        }
        included.push(("routes", shown));
    }
    if query.includes("service_instance") {
        let guids = unique(
            bindings
                .iter()
                .map(|binding| binding.instance_guid.to_string()),
        );
        let found = model::service_instances::by_guids(tx, &guids)?;
        let shown = api::service_instances::presenter::present_all(tx, &found, urls)?;
        included.push(("service_instances", shown));
    }
    Ok(included)
}
