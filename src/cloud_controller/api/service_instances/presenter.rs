//! JSON of a service instance.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::base::guid::ServicePlanGuid;
use crate::cloud_controller::api::service_offerings::presenter::unique;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::last_operations::LastOperation;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::service_fields::Fields;
use crate::cloud_controller::v3::{Included, Urls};
use crate::cloud_controller::{api, model};
use crate::db::ReadTx;

/// Many at once.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    instances: &[ServiceInstance],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = instances.iter().map(|instance| instance.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::ServiceInstance, guids)?;
    let plans = plans_of(tx, instances)?;
    let plans: HashMap<&ServicePlanGuid, &ServicePlan> =
        plans.iter().map(|plan| (&plan.guid, plan)).collect();
    let shown = instances.iter().map(|instance| {
        let plan = instance.plan_guid.as_ref();
        let plan = plan.and_then(|guid| plans.get(guid).copied());
        present(instance, plan, metadata.of(instance.guid.as_str()), urls)
    });
    Ok(shown.collect())
}

fn plans_of(tx: &ReadTx<'_>, instances: &[ServiceInstance]) -> Result<Vec<ServicePlan>> {
    let guids = instances
        .iter()
        .filter_map(|instance| instance.plan_guid.as_ref());
    model::service_plans::by_guids(tx, &unique(guids.map(ToString::to_string)))
}

/// One.
pub(super) fn present_from(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    urls: &Urls,
) -> Result<Value> {
    let one = present_all(tx, std::slice::from_ref(instance), urls)?.pop();
    Ok(one.unwrap_or_default())
}

fn present(
    instance: &ServiceInstance,
    plan: Option<&ServicePlan>,
    metadata: &Metadata,
    urls: &Urls,
) -> Value {
    let (guid, space) = (&instance.guid, &instance.space_guid);
    let path = format!("/v3/service_instances/{guid}");
    let below = |name: &str| urls.link(&format!("{path}/{name}"));
    let bindings = |kind: &str| urls.link(&format!("/v3/{kind}?service_instance_guids={guid}"));
    let mut shown = json!({
        "guid": guid,
        "created_at": instance.created_at,
        "updated_at": instance.updated_at,
        "name": instance.name,
        "tags": instance.tags,
        "last_operation": LastOperation::present(instance.last_operation.as_ref()),
        "type": instance.kind(),
    });
    let mut relationships = json!({ "space": { "data": { "guid": space } } });
    let mut links = json!({
        "self": urls.link(&path),
        "space": urls.link(&format!("/v3/spaces/{space}")),
        "service_credential_bindings": bindings("service_credential_bindings"),
        "service_route_bindings": bindings("service_route_bindings"),
    });
    if let Some(plan_guid) = &instance.plan_guid {
        let offered = plan.and_then(ServicePlan::version);
        shown["maintenance_info"] = json!(instance.maintenance_info.clone().unwrap_or_default());
        shown["upgrade_available"] = json!(instance.version() != offered);
        shown["dashboard_url"] = json!(instance.dashboard_url);
        if let Some(told) = instance
            .broker_metadata
            .as_ref()
            .filter(|map| !map.is_empty())
        {
            shown["broker_provided_metadata"] = json!(told);
        }
        relationships["service_plan"] = json!({ "data": { "guid": plan_guid } });
        links["service_plan"] = urls.link(&format!("/v3/service_plans/{plan_guid}"));
        links["parameters"] = below("parameters");
        links["shared_spaces"] = below("relationships/shared_spaces");
    } else {
        shown["syslog_drain_url"] = json!(instance.syslog_drain_url);
        shown["route_service_url"] = json!(instance.route_service_url);
        links["credentials"] = below("credentials");
    }
    shown["relationships"] = relationships;
    shown["metadata"] = metadata.present();
    shown["links"] = links;
    shown
}

/// What `fields[…]` asks for of these instances.
pub(super) fn included(
    tx: &ReadTx<'_>,
    fields: &Fields,
    instances: &[ServiceInstance],
    urls: &Urls,
) -> Result<Included> {
    const OFFERING: &str = "service_plan.service_offering";
    const BROKER: &str = "service_plan.service_offering.service_broker";

    let spaces = instances
        .iter()
        .map(|instance| instance.space_guid.to_string());
    let spaces = model::spaces::by_guids(tx, &unique(spaces))?;
    let mut included = included_spaces(tx, fields, &spaces, urls)?;
    if !["service_plan", OFFERING, BROKER]
        .iter()
        .any(|name| fields.asks(name))
    {
        return Ok(included);
    }
    let plans = plans_of(tx, instances)?;
    if fields.asks("service_plan") {
        let shown = api::service_plans::presenter::present_all(tx, &plans, urls)?;
        included.push(picked(fields, "service_plan", &shown));
    }
    let mut offerings: Vec<ServiceOffering> = Vec::new();
    for plan in &plans {
        if offerings
            .iter()
            .all(|known| known.guid != plan.offering.guid)
        {
            offerings.push(plan.offering.clone());
        }
    }
    if fields.asks(OFFERING) {
        let shown = api::service_offerings::presenter::present_all(tx, &offerings, urls)?;
        included.push(picked(fields, OFFERING, &shown));
    }
    let brokers = api::service_offerings::presenter::included_brokers(
        tx,
        offerings.iter(),
        fields,
        BROKER,
        urls,
    )?;
    included.extend(brokers);
    Ok(included)
}

/// The spaces and organizations that `fields[…]` asks for.
pub(super) fn included_spaces(
    tx: &ReadTx<'_>,
    fields: &Fields,
    spaces: &[Space],
    urls: &Urls,
) -> Result<Included> {
    let mut included = Vec::new();
    if fields.asks("space") {
        let shown = api::spaces::presenter::present_all(tx, spaces, urls)?;
        included.push(picked(fields, "space", &shown));
    }
    if fields.asks("space.organization") {
        let guids = spaces
            .iter()
            .map(|space| space.organization_guid.to_string());
        let found = model::organizations::by_guids(tx, &unique(guids))?;
        let shown = api::organizations::presenter::present_all(tx, &found, urls)?;
        included.push(picked(fields, "space.organization", &shown));
    }
    Ok(included)
}

fn picked(fields: &Fields, resource: &str, shown: &[Value]) -> (&'static str, Vec<Value>) {
    let picked = shown.iter().map(|one| fields.pick(resource, one));
    (fields.key(resource), picked.collect())
}
