//! JSON of a service offering.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::payload::service_fields::Fields;
use crate::cloud_controller::v3::{Included, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// Many at once.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    offerings: &[ServiceOffering],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = offerings.iter().map(|offering| offering.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServiceOffering, guids)?;
    let shown = offerings
        .iter()
        .map(|offering| present(offering, metadata.of(offering.guid.as_str()), urls));
    Ok(shown.collect())
}

/// With its metadata.
pub(super) fn present_from(
    tx: &ReadTx<'_>,
    offering: &ServiceOffering,
    urls: &Urls,
) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::ServiceOffering, offering.guid.as_str())?;
    Ok(present(offering, &metadata, urls))
}

/// What `fields[…]` asks of the brokers of these offerings; `resource` is how they are named there.
pub(crate) fn included_brokers<'a>(
    tx: &ReadTx<'_>,
    offerings: impl Iterator<Item = &'a ServiceOffering>,
    fields: &Fields,
    resource: &str,
    urls: &Urls,
) -> Result<Included> {
    if !fields.asks(resource) {
        return Ok(Vec::new());
    }
    let guids = unique(offerings.map(|offering| offering.broker_guid.to_string()));
    let brokers = model::service_brokers::by_guids(tx, &guids)?;
    let shown = api::service_brokers::presenter::present_all(tx, &brokers, urls)?;
    let picked = shown.iter().map(|broker| fields.pick(resource, broker));
    Ok(vec![(fields.key(resource), picked.collect())])
}

/// Each once.
pub(crate) fn unique(guids: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = guids.collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn present(offering: &ServiceOffering, metadata: &Metadata, urls: &Urls) -> Value {
    let guid = &offering.guid;
    let of_broker = offering.metadata.clone().unwrap_or_default();
    let documentation = of_broker.get("documentationUrl").cloned();
    json!({
        "guid": guid,
        "created_at": offering.created_at,
        "updated_at": offering.updated_at,
        "name": offering.name,
        "description": offering.description,
        "available": offering.available,
        "tags": offering.tags,
        "requires": offering.requires,
        "shareable": offering.is_shareable(),
        "documentation_url": documentation.filter(|url| !url.is_null()).unwrap_or_else(|| json!("")),
        "broker_catalog": {
            "id": offering.catalog_id,
            "metadata": of_broker,
            "features": {
                "plan_updateable": offering.plan_updateable,
                "bindable": offering.bindable,
                "instances_retrievable": offering.instances_retrievable,
                "bindings_retrievable": offering.bindings_retrievable,
                "allow_context_updates": offering.allow_context_updates,
            },
        },
        "relationships": { "service_broker": { "data": { "guid": offering.broker_guid } } },
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&format!("/v3/service_offerings/{guid}")),
            "service_plans": urls.link(&format!("/v3/service_plans?service_offering_guids={guid}")),
            "service_broker": urls.link(&format!("/v3/service_brokers/{}", offering.broker_guid)),
        },
    })
}
