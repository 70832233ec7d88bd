//! Requests to brokers, composed from the rows they are about.

use serde_json::{Map, Value, json};

use super::{brokers, stand_ins};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{InstanceChange, Operation};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::db::{ReadTx, Vault};
use crate::marketplace::request::{
    Aim, Context, Declared, PlanIds, PreviousValues, Provision, Update,
};
use crate::marketplace::{Request, Step};

/// A request to the broker of an operation, on behalf of who asked for it.
pub(super) fn step(
    tx: &ReadTx<'_>,
    vault: &Vault,
    operation: &Operation,
    request: Request,
) -> Result<Step> {
    let broker = brokers::find(tx, vault, &operation.broker)?;
    let redirected = stand_ins::redirected(tx, vault, broker, request)?;
    let (broker, request) =
        redirected.ok_or_else(|| Error::internal("a service instance without its broker"))?;
    Ok(Step {
        broker,
        request,
        user: Some(operation.actor.guid.clone()),
    })
}

/// The broker's ids of a plan.
pub(super) fn ids(plan: &ServicePlan) -> PlanIds {
    PlanIds {
        service_id: plan.offering.catalog_id.clone(),
        plan_id: plan.catalog_id.clone(),
    }
}

/// What the answer to a binding may have.
pub(super) fn declared(plan: &ServicePlan) -> Declared {
    Declared {
        syslog_drain: plan.offering.requires("syslog_drain"),
        volume_mount: plan.offering.requires("volume_mount"),
        retrievable: plan.offering.bindings_retrievable,
    }
}

/// The annotations with a prefix: the others are nobody else's business.
pub(super) fn public_annotations(
    tx: &ReadTx<'_>,
    resource: ResourceType,
    guid: &str,
) -> Result<Map<String, Value>> {
    let metadata = Metadata::load(tx, resource, guid)?;
    let all = metadata.annotations().iter();
    let public = all.filter(|(key, _)| key.contains('/'));
    Ok(public
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect())
}

/// Where an instance is.
pub(super) fn context(tx: &ReadTx<'_>, instance: &ServiceInstance) -> Result<Context> {
    let space = model::spaces::find(tx, &instance.space_guid)?;
    let space = space.ok_or_else(|| Error::internal("an instance without its space"))?;
    let organization = space.organization_guid.as_str();
    Ok(Context {
        platform: "cloudfoundry",
        organization_annotations: public_annotations(tx, ResourceType::Organization, organization)?,
        space_annotations: public_annotations(tx, ResourceType::Space, space.guid.as_str())?,
        organization_guid: organization.to_owned(),
        space_guid: space.guid.to_string(),
        organization_name: space.organization_name,
        space_name: space.name,
        instance_name: None,
        instance_annotations: None,
    })
}

/// `PUT /v2/service_instances/:id`.
pub(super) fn provision(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    plan: &ServicePlan,
    parameters: Option<Map<String, Value>>,
) -> Result<Request> {
    let mut context = context(tx, instance)?;
    context.instance_name = Some(instance.name.clone());
    let resource = ResourceType::ServiceInstance;
    let annotations = public_annotations(tx, resource, instance.guid.as_str())?;
    context.instance_annotations = Some(annotations);
    Ok(Request::Provision {
        instance: instance.guid.to_string(),
        body: Box::new(Provision {
            ids: ids(plan),
            organization_guid: context.organization_guid.clone(),
            space_guid: context.space_guid.clone(),
            context,
            parameters: parameters.filter(|map| !map.is_empty()),
            maintenance_info: plan.maintenance_info.clone(),
        }),
    })
}

/// `PATCH /v2/service_instances/:id`.
pub(super) fn update(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    (old, new): (&ServicePlan, &ServicePlan),
    change: &InstanceChange,
    parameters: Option<Map<String, Value>>,
) -> Result<Request> {
    let mut context = context(tx, instance)?;
    let name = change.name.clone();
    context.instance_name = Some(name.unwrap_or_else(|| instance.name.clone()));
    let version = if new.guid == old.guid {
        change.version.as_deref()
    } else {
        new.version()
    };
    let maintenance_info = version.map(|version| json!({ "version": version }));
    Ok(Request::Update {
        instance: instance.guid.to_string(),
        body: Box::new(Update {
            ids: ids(new),
            previous_values: PreviousValues {
                ids: ids(old),
                organization_id: context.organization_guid.clone(),
                space_id: context.space_guid.clone(),
                maintenance_info: instance.maintenance_info.clone(),
            },
            context,
            parameters,
            maintenance_info: maintenance_info.and_then(|value| value.as_object().cloned()),
        }),
    })
}

/// How far an operation is.
pub(super) fn last_operation(
    operation: &Operation,
    instance: &ServiceInstance,
    binding: Option<&str>,
    plan: &ServicePlan,
    aim: Aim,
) -> Request {
    Request::LastOperation {
        instance: instance.guid.to_string(),
        binding: binding.map(str::to_owned),
        ids: ids(plan),
        operation: operation.handle.clone(),
        aim,
    }
}
