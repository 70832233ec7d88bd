//! What can be done to bindings to routes, each inside the caller's transaction; what needs a broker
//! is put on record for the worker.

use serde_json::{Map, Value, json};

use crate::base::guid::{JobGuid, RouteBindingGuid};
use crate::cloud_controller::actions::service_instances::job;
use crate::cloud_controller::actions::service_operations::{Asked, redacted};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::last_operations::{
    LastOperation, Operated, OperationState, OperationType,
};
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Input, OperationSecret, Work};
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, Vault, WriteTx};

/// A binding that is asked for.
pub(crate) struct NewRouteBinding<'a> {
    pub instance: &'a ServiceInstance,
    pub route: &'a Route,
    pub parameters: Option<Map<String, Value>>,
    pub metadata: MetadataChange,
    pub request: Value,
}

/// What became of a request for a binding.
pub(crate) enum RouteBound {
    /// It is there.
    Done(RouteBinding),
    /// The worker asks the broker.
    Started(JobGuid),
}

/// Stores how far an operation on a binding is.
pub(crate) fn set_operation(
    tx: &WriteTx<'_>,
    binding: &RouteBinding,
    operation: LastOperation,
) -> Result<()> {
    let operation = operation.after(binding.last_operation.as_ref());
    let guid = binding.guid.as_str();
    model::last_operations::save(tx, Operated::RouteBinding, guid, &operation)
}

/// Binds a route to an instance.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    vault: &Vault,
    new: NewRouteBinding<'_>,
) -> Result<RouteBound> {
    may.covers(&new.instance.space_guid)?;
    check(tx, &new)?;
    if let Some(other) = model::service_route_bindings::of_route(tx, &new.route.guid)? {
        replace(tx, may, &other, new.instance)?;
    }
    let (instance, guid) = (new.instance, RouteBindingGuid::generate(&may.guids));
    let binding = RouteBinding {
        guid: guid.clone(),
        route_guid: new.route.guid.clone(),
        instance_guid: instance.guid.clone(),
        route_service_url: instance.route_service_url.clone(),
        last_operation: None,
        created_at: may.now,
        updated_at: may.now,
        space_guid: new.route.space_guid.clone(),
        is_managed: instance.is_managed(),
        instance_name: instance.name.clone(),
    };
    model::service_route_bindings::insert(tx, &binding)?;
    let (create, initial) = (OperationType::Create, OperationState::Initial);
    set_operation(tx, &binding, LastOperation::new(create, initial, may.now))?;
    let resource = ResourceType::ServiceRouteBinding;
    new.metadata.store(tx, resource, guid.as_str())?;
    let request = redacted(new.request);
    let Some(plan) = actions::service_operations::plan_of(tx, instance)? else {
        let done = LastOperation::new(create, OperationState::Succeeded, may.now);
        set_operation(tx, &binding, done)?;
        let data = json!({ "request": request });
        actions::service_events::of_route_binding(tx, may, "create", &binding, &data)?;
        let found = model::service_route_bindings::find(tx, &guid)?;
        let found = found.ok_or_else(|| Error::internal("a binding that was just made"))?;
        return Ok(RouteBound::Done(found));
    };
    let job = job(tx, may, "service_route_bindings.create", guid.as_str())?;
    let asked = Asked {
        work: Work::BindRoute,
        resource: guid.as_str(),
        broker: plan.offering.broker_guid.as_str(),
        parent: None,
        job: Some(&job),
        input: Input {
            request,
            ..Input::default()
        },
    };
    let secret = OperationSecret {
        parameters: new.parameters,
        credentials: None,
    };
    actions::service_operations::enqueue_with(tx, may, vault, &asked, &secret)?;
    Ok(RouteBound::Started(job))
}

fn check(tx: &ReadTx<'_>, new: &NewRouteBinding<'_>) -> Result<()> {
    let refuse = |text: &str| Err(Error::unprocessable(text));
    let plan = actions::service_operations::plan_of(tx, new.instance)?;
    let serves_routes = match &plan {
        Some(plan) => plan.offering.requires("route_forwarding"),
        None => new.instance.route_service_url.is_some(),
    };
    if !serves_routes {
        return refuse("This service instance does not support route binding");
    }
    if plan.as_ref().is_some_and(|plan| !plan.is_bindable()) {
        return refuse("This service instance does not support binding");
    }
    let domain = model::domains::find(tx, &new.route.domain_guid)?;
    if domain.is_some_and(|domain| domain.internal) {
        return refuse("Route services cannot be bound to internal routes");
    }
    if new.route.space_guid != new.instance.space_guid {
        return refuse("The service instance and the route are in different spaces");
    }
    let bound = model::service_route_bindings::of_route(tx, &new.route.guid)?;
    if bound.is_some_and(|bound| bound.instance_guid != new.instance.guid) {
        return refuse("A route may only be bound to a single service instance");
    }
    if plan.is_some() && new.instance.create_failed() {
        return refuse("Service instance not found");
    }
    if new.instance.is_busy() {
        return refuse("There is an operation in progress for the service instance");
    }
    Ok(())
}

/// Another binding of the same route and instance: only one that could not be made is replaced.
fn replace(
    tx: &WriteTx<'_>,
    by: &Recorder,
    other: &RouteBinding,
    instance: &ServiceInstance,
) -> Result<()> {
    if other.is(OperationType::Create, OperationState::Failed) {
        actions::service_operations::mitigate_route_binding(tx, by, other)?;
        return model::service_route_bindings::delete(tx, &other.guid);
    }
    debug_assert_eq!(other.instance_guid, instance.guid);
    if other.create_succeeded() || other.is_being_created() {
        return Err(Error::new(
            Kind::ServiceInstanceAlreadyBoundToSameRoute,
            "The route and service instance are already bound.",
        ));
    }
    Err(Error::unprocessable(
        "The binding is getting deleted or its deletion failed",
    ))
}

/// 422 while a binding cannot be deleted.
pub(crate) fn refuse_blocked(
    tx: &ReadTx<'_>,
    binding: &RouteBinding,
    instance: &ServiceInstance,
) -> Result<()> {
    let initial = binding.is(OperationType::Create, OperationState::Initial);
    let guid = binding.guid.as_str();
    let deleting =
        binding.is_being_deleted() || actions::service_bindings::is_being_deleted(tx, guid)?;
    if binding.is_managed && (initial || deleting) {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service binding.",
        ));
    }
    if instance.is_busy() {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service instance.",
        ));
    }
    Ok(())
}

/// Deletes a binding of a user-provided instance.
pub(crate) fn delete(tx: &WriteTx<'_>, by: &Recorder, binding: &RouteBinding) -> Result<()> {
    let data = actions::service_events::route_deleted(binding);
    actions::service_events::of_route_binding(tx, by, "delete", binding, &data)?;
    model::service_route_bindings::delete(tx, &binding.guid)
}

/// Deletes the binding of a route that is being deleted; its broker is told later.
pub(crate) fn forget(tx: &WriteTx<'_>, by: &Recorder, binding: &RouteBinding) -> Result<()> {
    actions::service_operations::mitigate_route_binding(tx, by, binding)?;
    delete(tx, by, binding)
}

/// Puts the deletion of a binding on record, as part of other work if there is a parent.
pub(crate) fn start_delete(
    tx: &WriteTx<'_>,
    by: &Recorder,
    (binding, instance): (&RouteBinding, &ServiceInstance),
    parent: Option<i64>,
) -> Result<Option<JobGuid>> {
    let operation = "service_route_bindings.delete";
    let what = (Work::UnbindRoute, operation, binding.guid.as_str());
    actions::service_bindings::start_unbind(tx, by, what, instance, parent)
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    binding: &RouteBinding,
    metadata: &MetadataChange,
    request: &Value,
) -> Result<RouteBinding> {
    may.covers(&binding.space_guid)?;
    if binding.is_being_deleted() {
        return Err(Error::unprocessable(
            "The service route binding is being deleted",
        ));
    }
    let guid = binding.guid.as_str();
    metadata.store(tx, ResourceType::ServiceRouteBinding, guid)?;
    let url = binding.route_service_url.as_deref();
    model::service_route_bindings::set_url(tx, &binding.guid, url, may.now)?;
    let data = json!({ "request": request });
    actions::service_events::of_route_binding(tx, may, "update", binding, &data)?;
    let found = model::service_route_bindings::find(tx, &binding.guid)?;
    found.ok_or_else(|| Error::internal("a binding that was just there"))
}
