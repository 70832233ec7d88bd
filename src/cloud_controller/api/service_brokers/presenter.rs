//! JSON of a service broker.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::service_brokers::ServiceBroker;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// Many at once.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    brokers: &[ServiceBroker],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = brokers.iter().map(|broker| broker.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServiceBroker, guids)?;
    let shown = brokers
        .iter()
        .map(|broker| present(broker, metadata.of(broker.guid.as_str()), urls));
    Ok(shown.collect())
}

/// With its metadata.
pub(super) fn present_from(tx: &ReadTx<'_>, broker: &ServiceBroker, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::ServiceBroker, broker.guid.as_str())?;
    Ok(present(broker, &metadata, urls))
}

fn present(broker: &ServiceBroker, metadata: &Metadata, urls: &Urls) -> Value {
    let guid = &broker.guid;
    let mut relationships = json!({});
    let mut links = json!({
        "self": urls.link(&format!("/v3/service_brokers/{guid}")),
        "service_offerings": urls.link(&format!("/v3/service_offerings?service_broker_guids={guid}")),
    });
    if let Some(space) = &broker.space_guid {
        relationships = json!({ "space": { "data": { "guid": space } } });
        links["space"] = urls.link(&format!("/v3/spaces/{space}"));
    }
    json!({
        "guid": guid,
        "created_at": broker.created_at,
        "updated_at": broker.updated_at,
        "name": broker.name,
        "url": broker.url,
        "relationships": relationships,
        "metadata": metadata.present(),
        "links": links,
    })
}
