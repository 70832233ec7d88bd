//! JSON of a service credential binding.

use serde_json::{Map, Value, json};

use crate::cloud_controller::api::service_offerings::presenter::unique;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::last_operations::LastOperation;
use crate::cloud_controller::model::service_credential_bindings::{CredentialBinding, Secrets};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{Included, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// Many at once.
pub(super) fn present_all(
    tx: &ReadTx<'_>,
    bindings: &[CredentialBinding],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = bindings.iter().map(|binding| binding.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServiceCredentialBinding, guids)?;
    let shown = bindings
        .iter()
        .map(|binding| present(binding, metadata.of(binding.guid.as_str()), urls));
    Ok(shown.collect())
}

/// One.
pub(super) fn present_from(
    tx: &ReadTx<'_>,
    binding: &CredentialBinding,
    urls: &Urls,
) -> Result<Value> {
    let one = present_all(tx, std::slice::from_ref(binding), urls)?.pop();
    Ok(one.unwrap_or_default())
}

fn present(binding: &CredentialBinding, metadata: &Metadata, urls: &Urls) -> Value {
    let (guid, instance) = (&binding.guid, &binding.instance_guid);
    let path = format!("/v3/service_credential_bindings/{guid}");
    let mut relationships = json!({ "service_instance": { "data": { "guid": instance } } });
    let mut links = json!({
        "self": urls.link(&path),
        "details": urls.link(&format!("{path}/details")),
        "service_instance": urls.link(&format!("/v3/service_instances/{instance}")),
    });
    if binding.is_managed {
        links["parameters"] = urls.link(&format!("{path}/parameters"));
    }
    if let Some(app) = &binding.app_guid {
        relationships["app"] = json!({ "data": { "guid": app } });
        links["app"] = urls.link(&format!("/v3/apps/{app}"));
    }
    json!({
        "guid": guid,
        "created_at": binding.created_at,
        "updated_at": binding.updated_at,
        "name": binding.name,
        "type": binding.kind(),
        "last_operation": LastOperation::present(binding.last_operation.as_ref()),
        "metadata": metadata.present(),
        "relationships": relationships,
        "links": links,
    })
}

/// What `include` asks for of these bindings.
pub(super) fn included(
    tx: &ReadTx<'_>,
    query: &ListQuery,
    bindings: &[CredentialBinding],
    urls: &Urls,
) -> Result<Included> {
    let mut included = Vec::new();
    if query.includes("app") {
        let guids = bindings
            .iter()
            .filter_map(|binding| binding.app_guid.as_ref());
        let found = model::apps::by_guids(tx, &unique(guids.map(ToString::to_string)))?;
        let shown = api::apps::presenter::present_all(tx, &found, urls)?;
        included.push(("apps", shown));
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

/// What a binding gives.
pub(super) fn details(binding: &CredentialBinding, secrets: Secrets) -> Value {
    let mut shown = Map::new();
    let credentials = secrets.credentials.map(Value::Object);
    let drain = binding.syslog_drain_url.clone().map(Value::String);
    let mounts = secrets.volume_mounts.map(Value::Array);
    for (name, value) in [
        ("credentials", credentials),
        ("syslog_drain_url", drain),
        ("volume_mounts", mounts),
    ] {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    }
    Value::Object(shown)
}
