//! Taking a broker's catalog over: what it offers becomes offerings and plans.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::base::guid::{ServiceOfferingGuid, ServicePlanGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::service_brokers::ServiceBroker;
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, Vault, WriteTx};
use crate::marketplace::catalog::{Faults, Plan, Service};

/// What contradicts the offerings and plans that are stored.
pub(crate) fn conflicts(
    tx: &ReadTx<'_>,
    broker: &ServiceBroker,
    catalog: &[Service],
) -> Result<Faults> {
    let mut faults = Faults::default();
    let mut taken = Vec::new();
    let stored = model::service_offerings::of_broker(tx, &broker.guid)?;
    for service in catalog {
        let other = stored
            .iter()
            .find(|old| old.name == service.name && old.catalog_id != service.id);
        if let Some(other) = other
            && !model::service_instances::of_offering(tx, other.guid.as_str())?.is_empty()
        {
            taken.push(service.name.as_str());
        }
        if let Some(client) = &service.dashboard_client
            && actions::dashboard_clients::is_taken(tx, &broker.guid, client)?
        {
            let mut fault = Faults::default();
            fault.add("Service dashboard client id must be unique".to_owned());
            faults.nest(format!("Service {}", service.name), fault);
        }
    }
    if !taken.is_empty() {
        faults.add(format!(
            "Service names must be unique within a broker. Services with names {taken:?} already exist"
        ));
    }
    for plan in model::service_plans::of_broker(tx, &broker.guid)? {
        for service in catalog {
            let same = service.plans.iter().find(|one| one.id == plan.catalog_id);
            if let Some(new) = same.filter(|_| service.id != plan.offering.catalog_id) {
                faults.add(format!(
                    "Plan ids must be unique. Unable to register plan with id '{}' (plan name '{}', service name \
                     '{}') because it uses the same id as an existing plan (plan name '{}', service name '{}', \
                     broker name '{}')",
                    plan.catalog_id,
                    new.name,
                    service.name,
                    plan.name,
                    plan.offering.name,
                    plan.offering.broker_name
                ));
            }
        }
    }
    Ok(faults)
}

/// Stores a catalog; gives what its broker's operator should know. New plans are for administrators
/// only; what is no longer offered is deleted, or only deactivated while it has instances.
pub(crate) fn synchronize(
    tx: &WriteTx<'_>,
    vault: &Vault,
    by: &Recorder,
    broker: &ServiceBroker,
    catalog: &[Service],
) -> Result<Vec<String>> {
    let actor = actions::service_events::by_broker(by, broker);
    // Lists are in the order of creation: that of the catalog.
    let mut at = by.now;
    let mut next = || {
        at = Timestamp::from_micros(at.as_micros() + 1);
        at
    };
    let known = model::service_offerings::of_broker(tx, &broker.guid)?;
    let known_plans = model::service_plans::of_broker(tx, &broker.guid)?;
    for service in catalog {
        let old = known.iter().find(|old| old.catalog_id == service.id);
        let offering = offering_of(&actor, broker, service, old, next());
        model::service_offerings::save(tx, &offering)?;
        let what = if old.is_some() { "update" } else { "create" };
        actions::service_events::of_offering(tx, &actor, what, &offering, &json!({}))?;
        for plan in &service.plans {
            let same = |old: &&ServicePlan| {
                old.offering.guid == offering.guid && old.catalog_id == plan.id
            };
            let old = known_plans.iter().find(same);
            let stored = plan_of(&actor, &offering, plan, old, next());
            model::service_plans::save(tx, &stored)?;
            let what = if old.is_some() { "update" } else { "create" };
            actions::service_events::of_plan(tx, &actor, what, &stored, &json!({}))?;
        }
    }
    actions::dashboard_clients::synchronize(tx, vault, &broker.guid, catalog, by.now)?;
    retire(tx, &actor, broker, catalog)
}

fn offering_of(
    by: &Recorder,
    broker: &ServiceBroker,
    service: &Service,
    old: Option<&ServiceOffering>,
    at: Timestamp,
) -> ServiceOffering {
    ServiceOffering {
        guid: old.map_or_else(
            || ServiceOfferingGuid::generate(&by.guids),
            |old| old.guid.clone(),
        ),
        broker_guid: broker.guid.clone(),
        catalog_id: service.id.clone(),
        name: service.name.clone(),
        description: service.description.clone(),
        available: true,
        bindable: service.bindable,
        plan_updateable: service.plan_updateable,
        instances_retrievable: service.instances_retrievable,
        bindings_retrievable: service.bindings_retrievable,
        allow_context_updates: service.allow_context_updates,
        tags: service.tags.clone(),
        requires: service.requires.clone(),
        metadata: service.metadata.clone(),
        created_at: old.map_or(at, |old| old.created_at),
        updated_at: at,
        broker_name: broker.name.clone(),
        broker_space: broker.space_guid.clone(),
    }
}

fn plan_of(
    by: &Recorder,
    offering: &ServiceOffering,
    plan: &Plan,
    old: Option<&ServicePlan>,
    at: Timestamp,
) -> ServicePlan {
    ServicePlan {
        guid: old.map_or_else(
            || ServicePlanGuid::generate(&by.guids),
            |old| old.guid.clone(),
        ),
        offering: offering.clone(),
        catalog_id: plan.id.clone(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        public: old.is_some_and(|old| old.public),
        available: true,
        free: plan.free,
        bindable: plan.bindable,
        plan_updateable: plan.plan_updateable,
        maximum_polling_duration: plan.maximum_polling_duration,
        maintenance_info: plan.maintenance_info.clone(),
        metadata: plan.metadata.clone(),
        create_instance_schema: plan.create_instance_schema.clone(),
        update_instance_schema: plan.update_instance_schema.clone(),
        create_binding_schema: plan.create_binding_schema.clone(),
        created_at: old.map_or(at, |old| old.created_at),
        updated_at: at,
        in_organizations: old.is_some_and(|old| old.in_organizations),
    }
}

/// Ends what a catalog does not offer any more.
fn retire(
    tx: &WriteTx<'_>,
    by: &Recorder,
    broker: &ServiceBroker,
    catalog: &[Service],
) -> Result<Vec<String>> {
    let mut deactivated: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut plan in model::service_plans::of_broker(tx, &broker.guid)? {
        let offered = catalog.iter().any(|service| {
            service.id == plan.offering.catalog_id
                && service.plans.iter().any(|one| one.id == plan.catalog_id)
        });
        if offered {
            continue;
        }
        if model::service_plans::has_instances(tx, &plan.guid)? {
            plan.available = false;
            model::service_plans::save(tx, &plan)?;
            let names = deactivated.entry(plan.offering.name).or_default();
            names.push(plan.name);
        } else {
            model::service_plans::delete(tx, &plan.guid)?;
            actions::service_events::of_plan(tx, by, "delete", &plan, &json!({}))?;
        }
    }
    for mut offering in model::service_offerings::of_broker(tx, &broker.guid)? {
        if catalog
            .iter()
            .any(|service| service.id == offering.catalog_id)
        {
            continue;
        }
        if model::service_plans::of_offering(tx, offering.guid.as_str())?.is_empty() {
            model::service_offerings::delete(tx, &offering.guid)?;
            actions::service_events::of_offering(tx, by, "delete", &offering, &json!({}))?;
        } else {
            offering.available = false;
            model::service_offerings::save(tx, &offering)?;
        }
    }
    Ok(deactivation(broker, &deactivated).into_iter().collect())
}

fn deactivation(
    broker: &ServiceBroker,
    deactivated: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    if deactivated.is_empty() {
        return None;
    }
    let mut text = format!(
        "Warning: Service plans are missing from the broker's catalog ({}/v2/catalog) but can not be removed from \
         Cloud Foundry while instances exist. The plans have been deactivated to prevent users from attempting to \
         provision new instances of these plans. The broker should continue to support bind, unbind, and delete for \
         existing instances; if these operations fail contact your broker provider.\n",
        broker.url
    );
    for (offering, plans) in deactivated {
        let mut plans = plans.clone();
        plans.sort();
        let plans = plans.join(", ");
        text += &[
            "\nService Offering: ",
            offering,
            "\nPlans deactivated: ",
            &plans,
            "\n",
        ]
        .concat();
    }
    Some(text)
}

/// Warnings as jobs have them.
pub(crate) fn as_job_has_them(warnings: &[String]) -> Value {
    warnings
        .iter()
        .map(|detail| json!({ "detail": detail }))
        .collect()
}
