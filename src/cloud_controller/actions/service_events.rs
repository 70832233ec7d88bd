//! Audit and usage events about services.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Actor, Place, Recorder, Target};
use crate::cloud_controller::model::service_brokers::ServiceBroker;
use crate::cloud_controller::model::service_credential_bindings::CredentialBinding;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::db::WriteTx;

/// `audit.service_instance.create` and the like, of user-provided ones
/// `audit.user_provided_service_instance.create`.
pub(crate) fn of_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    instance: &ServiceInstance,
    request: &Value,
) -> Result<()> {
    let kind = if instance.is_managed() {
        "service_instance"
    } else {
        "user_provided_service_instance"
    };
    instance_event(
        tx,
        by,
        (kind, what),
        instance,
        &json!({ "request": request }),
    )
}

/// The same with other data, always as `service_instance`: shares and purges.
pub(crate) fn about_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    instance: &ServiceInstance,
    data: &Value,
) -> Result<()> {
    instance_event(tx, by, ("service_instance", what), instance, data)
}

fn instance_event(
    tx: &WriteTx<'_>,
    by: &Recorder,
    (kind, what): (&str, &str),
    instance: &ServiceInstance,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: instance.guid.as_str(),
        kind,
        name: &instance.name,
    };
    let event = format!("audit.{kind}.{what}");
    by.record(
        tx,
        &event,
        &target,
        Place::space(&instance.space_guid),
        data,
    )
}

/// `audit.service_binding.create`, of keys `audit.service_key.create`.
pub(crate) fn of_binding(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    binding: &CredentialBinding,
    data: &Value,
) -> Result<()> {
    let kind = if binding.app_guid.is_some() {
        "service_binding"
    } else {
        "service_key"
    };
    let target = Target {
        guid: binding.guid.as_str(),
        kind,
        name: binding.name.as_deref().unwrap_or_default(),
    };
    let event = format!("audit.{kind}.{what}");
    by.record(tx, &event, &target, Place::space(&binding.space_guid), data)
}

/// What events of a deletion say of a binding.
pub(crate) fn deleted(binding: &CredentialBinding) -> Value {
    json!({ "request": {
        "app_guid": binding.app_guid,
        "route_guid": null,
        "service_instance_guid": binding.instance_guid,
    } })
}

/// `audit.service_route_binding.create` and the like.
pub(crate) fn of_route_binding(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    binding: &RouteBinding,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: binding.guid.as_str(),
        kind: "service_route_binding",
        name: "",
    };
    let event = format!("audit.service_route_binding.{what}");
    by.record(tx, &event, &target, Place::space(&binding.space_guid), data)
}

/// What events of a deletion say of a binding to a route.
pub(crate) fn route_deleted(binding: &RouteBinding) -> Value {
    json!({ "request": {
        "app_guid": null,
        "route_guid": binding.route_guid,
        "service_instance_guid": binding.instance_guid,
    } })
}

/// `audit.service_broker.create` and the like.
pub(crate) fn of_broker(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    broker: &ServiceBroker,
    request: &Value,
) -> Result<()> {
    let target = Target {
        guid: broker.guid.as_str(),
        kind: "service_broker",
        name: &broker.name,
    };
    let event = format!("audit.service_broker.{what}");
    let data = json!({ "request": request });
    by.record(tx, &event, &target, Place::default(), &data)
}

/// The broker as the actor of what its catalog brings.
pub(crate) fn by_broker(by: &Recorder, broker: &ServiceBroker) -> Recorder {
    Recorder {
        actor: Actor {
            guid: broker.guid.to_string(),
            kind: "service_broker",
            name: broker.name.clone(),
        },
        ..by.clone()
    }
}

/// `audit.service.create` and the like.
pub(crate) fn of_offering(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    offering: &ServiceOffering,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: offering.guid.as_str(),
        kind: "service",
        name: &offering.name,
    };
    let event = format!("audit.service.{what}");
    by.record(tx, &event, &target, Place::default(), data)
}

/// `audit.service_plan.create` and the like.
pub(crate) fn of_plan(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    plan: &ServicePlan,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: plan.guid.as_str(),
        kind: "service_plan",
        name: &plan.name,
    };
    let event = format!("audit.service_plan.{what}");
    by.record(tx, &event, &target, Place::default(), data)
}

/// `CREATED`, `UPDATED` or `DELETED`, for those who charge.
pub(crate) fn record_use(
    tx: &WriteTx<'_>,
    by: &Recorder,
    state: &str,
    instance: &ServiceInstance,
) -> Result<()> {
    model::service_usage_events::insert(tx, &by.guids.next(), state, &instance.guid, by.now)
}
