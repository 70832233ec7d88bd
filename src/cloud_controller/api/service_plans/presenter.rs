//! JSON of a service plan.

use serde_json::{Map, Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::payload::service_fields::Fields;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{Included, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// Many at once.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    plans: &[ServicePlan],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = plans.iter().map(|plan| plan.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServicePlan, guids)?;
    let shown = plans
        .iter()
        .map(|plan| present(plan, metadata.of(plan.guid.as_str()), urls));
    Ok(shown.collect())
}

/// With its metadata.
pub(super) fn present_from(tx: &ReadTx<'_>, plan: &ServicePlan, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::ServicePlan, plan.guid.as_str())?;
    Ok(present(plan, &metadata, urls))
}

/// What `include` and `fields[…]` ask for of these plans.
pub(super) fn included(
    tx: &ReadTx<'_>,
    query: &ListQuery,
    fields: &Fields,
    plans: &[ServicePlan],
    urls: &Urls,
) -> Result<Included> {
    use api::service_offerings::presenter::{included_brokers, unique};

    let mut included = Vec::new();
    if query.includes("space.organization") {
        let spaces = plans
            .iter()
            .filter_map(|plan| plan.offering.broker_space.as_ref());
        let spaces = model::spaces::by_guids(tx, &unique(spaces.map(ToString::to_string)))?;
        let organizations = spaces
            .iter()
            .map(|space| space.organization_guid.to_string());
        let organizations = model::organizations::by_guids(tx, &unique(organizations))?;
        let shown = api::spaces::presenter::present_all(tx, &spaces, urls)?;
        included.push(("spaces", shown));
        let shown = api::organizations::presenter::present_all(tx, &organizations, urls)?;
        included.push(("organizations", shown));
    }
    if query.includes("service_offering") {
        let guids = unique(plans.iter().map(|plan| plan.offering.guid.to_string()));
        let offerings = model::service_offerings::by_guids(tx, &guids)?;
        let shown = api::service_offerings::presenter::present_all(tx, &offerings, urls)?;
        included.push(("service_offerings", shown));
    }
    let offerings = plans.iter().map(|plan| &plan.offering);
    let broker = "service_offering.service_broker";
    included.extend(included_brokers(tx, offerings, fields, broker, urls)?);
    Ok(included)
}

fn present(plan: &ServicePlan, metadata: &Metadata, urls: &Urls) -> Value {
    let guid = &plan.guid;
    let offering = &plan.offering.guid;
    let of_broker = plan.metadata.clone().unwrap_or_default();
    let schema = |schema: &Option<Value>| schema.clone().unwrap_or_else(|| json!({}));
    let mut relationships = json!({ "service_offering": { "data": { "guid": offering } } });
    let mut links = json!({
        "self": urls.link(&format!("/v3/service_plans/{guid}")),
        "service_offering": urls.link(&format!("/v3/service_offerings/{offering}")),
        "visibility": urls.link(&format!("/v3/service_plans/{guid}/visibility")),
    });
    if let Some(space) = &plan.offering.broker_space {
        relationships["space"] = json!({ "data": { "guid": space } });
        links["space"] = urls.link(&format!("/v3/spaces/{space}"));
    }
    json!({
        "guid": guid,
        "created_at": plan.created_at,
        "updated_at": plan.updated_at,
        "name": plan.name,
        "visibility_type": plan.visibility_type(),
        "available": plan.available,
        "free": plan.free,
        "costs": costs(&of_broker),
        "description": plan.description,
        "maintenance_info": plan.maintenance_info.clone().unwrap_or_default(),
        "broker_catalog": {
            "id": plan.catalog_id,
            "metadata": of_broker,
            "maximum_polling_duration": plan.maximum_polling_duration,
            "features": {
                "bindable": plan.is_bindable(),
                "plan_updateable": plan.is_plan_updateable(),
            },
        },
        "schemas": {
            "service_instance": {
                "create": { "parameters": schema(&plan.create_instance_schema) },
                "update": { "parameters": schema(&plan.update_instance_schema) },
            },
            "service_binding": { "create": { "parameters": schema(&plan.create_binding_schema) } },
        },
        "relationships": relationships,
        "metadata": metadata.present(),
        "links": links,
    })
}

/// What a plan costs, as its broker tells; one entry that cannot be read empties the list.
fn costs(metadata: &Map<String, Value>) -> Vec<Value> {
    let of = |cost: &Value| -> Option<Vec<Value>> {
        let unit = cost.get("unit")?.as_str().filter(|unit| !unit.is_empty())?;
        let amounts = cost
            .get("amount")?
            .as_object()
            .filter(|all| !all.is_empty())?;
        let entries = amounts.iter().map(|(currency, amount)| {
            let amount = amount.as_f64().filter(|_| !currency.is_empty())?;
            Some(json!({ "currency": currency.to_uppercase(), "amount": amount, "unit": unit }))
        });
        entries.collect()
    };
    let all = metadata.get("costs").and_then(Value::as_array);
    let entries: Option<Vec<Vec<Value>>> =
        all.map_or(Some(Vec::new()), |all| all.iter().map(of).collect());
    entries.unwrap_or_default().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_per_currency_or_not_at_all() {
        let told = |costs: Value| {
            let metadata = json!({ "costs": costs });
            super::costs(metadata.as_object().expect("an object"))
        };
        let good = json!({ "amount": { "usd": 649, "eur": 1.5 }, "unit": "MONTHLY" });
        assert_eq!(
            told(json!([good])),
            [
                json!({ "currency": "USD", "amount": 649.0, "unit": "MONTHLY" }),
                json!({ "currency": "EUR", "amount": 1.5, "unit": "MONTHLY" }),
            ]
        );
        for bad in [
            json!({ "amount": {}, "unit": "x" }),
            json!({ "amount": { "usd": "1" }, "unit": "x" }),
            json!({ "amount": { "": 1 }, "unit": "x" }),
            json!({ "amount": { "usd": 1 } }),
            json!("x"),
        ] {
            assert_eq!(told(json!([good, bad])), Vec::<Value>::new(), "{bad}");
        }
        assert_eq!(told(json!("free")), Vec::<Value>::new());
    }
}
