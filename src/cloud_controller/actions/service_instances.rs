//! What can be done to service instances, each inside the caller's transaction, with its audit event;
//! what needs a broker is put on record for the worker.

use serde_json::{Map, Value, json};

use crate::base::guid::{JobGuid, ServiceInstanceGuid};
use crate::cloud_controller::actions::service_instances_checks::{busy, name_is_free};
use crate::cloud_controller::actions::service_operations::{Asked, redacted};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::last_operations::{
    LastOperation, Operated, OperationState, OperationType,
};
use crate::cloud_controller::model::service_credential_bindings::Secrets;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{
    Input, InstanceChange, OperationSecret, Work,
};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::service_instances::{
    CreateInstance, NewKind, Provided, UpdateManaged, UpdateProvided,
};
use crate::cloud_controller::permits::MayWrite;
use crate::cloud_controller::{actions, model};
use crate::db::{Vault, WriteTx};

/// Stores how far an operation on an instance is.
pub(crate) fn set_operation(
    tx: &WriteTx<'_>,
    instance: &ServiceInstance,
    operation: LastOperation,
) -> Result<()> {
    let operation = operation.after(instance.last_operation.as_ref());
    let guid = instance.guid.as_str();
    model::last_operations::save(tx, Operated::Instance, guid, &operation)
}

fn new_instance(may: &MayWrite, space: &Space, wanted: &CreateInstance) -> ServiceInstance {
    ServiceInstance {
        guid: ServiceInstanceGuid::generate(&may.guids),
        name: wanted.name.trim().to_owned(),
        space_guid: space.guid.clone(),
        plan_guid: None,
        tags: wanted.tags.clone(),
        syslog_drain_url: None,
        route_service_url: None,
        dashboard_url: None,
        maintenance_info: None,
        broker_metadata: None,
        last_operation: None,
        created_at: may.now,
        updated_at: may.now,
    }
}

/// Makes a user-provided instance.
pub(crate) fn create_provided(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    space: &Space,
    wanted: CreateInstance,
) -> Result<ServiceInstance> {
    may.covers(&space.guid)?;
    let mut instance = new_instance(may, space, &wanted);
    name_is_free(tx, &space.guid, &instance.name, &instance.guid)?;
    let NewKind::UserProvided(provided) = wanted.kind else {
        return Err(Error::internal("a managed instance is made by its broker"));
    };
    instance.syslog_drain_url = provided.syslog_drain_url.flatten();
    instance.route_service_url = provided.route_service_url.flatten();
    model::service_instances::insert(tx, &instance)?;
    let credentials = provided.credentials.flatten().unwrap_or_default();
    model::service_instances::set_credentials(tx, vault, &instance.guid, &credentials)?;
    let done = OperationState::Succeeded;
    let operation = LastOperation::new(OperationType::Create, done, may.now);
    set_operation(tx, &instance, operation.told("Operation succeeded"))?;
    let guid = instance.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::ServiceInstance, guid)?;
    let request = redacted(wanted.request);
    actions::service_events::of_instance(tx, may, "create", &instance, &request)?;
    actions::service_events::record_use(tx, may, "CREATED", &instance)?;
    again(tx, &instance.guid)
}

fn again(tx: &WriteTx<'_>, guid: &ServiceInstanceGuid) -> Result<ServiceInstance> {
    let found = model::service_instances::find(tx, guid)?;
    found.ok_or_else(|| Error::internal("an instance that was just there"))
}

/// Changes a user-provided instance; its bindings follow.
pub(crate) fn update_provided(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    mut instance: ServiceInstance,
    wanted: UpdateProvided,
) -> Result<ServiceInstance> {
    may.covers(&instance.space_guid)?;
    let before = instance.clone();
    if let Some(name) = wanted.name {
        name_is_free(tx, &instance.space_guid, &name, &instance.guid)?;
        instance.name = name;
    }
    if let Some(tags) = wanted.tags {
        instance.tags = tags;
    }
    let Provided {
        credentials,
        syslog_drain_url,
        route_service_url,
    } = wanted.provided;
    let follows = credentials.is_some() || syslog_drain_url.is_some();
    if let Some(url) = syslog_drain_url {
        instance.syslog_drain_url = url;
    }
    if let Some(url) = &route_service_url {
        instance.route_service_url.clone_from(url);
    }
    instance.updated_at = may.now;
    model::service_instances::update(tx, &instance)?;
    if let Some(credentials) = credentials {
        let credentials = credentials.unwrap_or_default();
        model::service_instances::set_credentials(tx, vault, &instance.guid, &credentials)?;
    }
    if follows {
        bindings_follow(tx, vault, &instance)?;
    }
    if let Some(Some(url)) = &route_service_url {
        for binding in model::service_route_bindings::of_instance(tx, &instance.guid)? {
            model::service_route_bindings::set_url(tx, &binding.guid, Some(url), may.now)?;
        }
    }
    let done = OperationState::Succeeded;
    let operation = LastOperation::new(OperationType::Update, done, may.now);
    set_operation(tx, &instance, operation.told("Operation succeeded"))?;
    let guid = instance.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::ServiceInstance, guid)?;
    let request = redacted(wanted.request);
    actions::service_events::of_instance(tx, may, "update", &before, &request)?;
    if before.name != instance.name {
        actions::service_events::record_use(tx, may, "UPDATED", &instance)?;
    }
    again(tx, &instance.guid)
}

/// The bindings of a user-provided instance give what it gives.
fn bindings_follow(tx: &WriteTx<'_>, vault: &Vault, instance: &ServiceInstance) -> Result<()> {
    let secrets = Secrets {
        credentials: Some(model::service_instances::credentials(
            tx,
            vault,
            &instance.guid,
        )?),
        volume_mounts: None,
    };
    let drain = instance.syslog_drain_url.as_deref();
    for binding in model::service_credential_bindings::of_instance(tx, &instance.guid)? {
        model::service_credential_bindings::set_details(tx, vault, &binding.guid, drain, &secrets)?;
    }
    Ok(())
}

/// Puts a new managed instance on record; the worker asks its broker.
pub(crate) fn create_managed(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    (space, plan): (&Space, &ServicePlan),
    wanted: CreateInstance,
) -> Result<JobGuid> {
    may.covers(&space.guid)?;
    let mut instance = new_instance(may, space, &wanted);
    replace_failed(tx, may, space, &instance.name)?;
    name_is_free(tx, &space.guid, &instance.name, &instance.guid)?;
    actions::service_instances_checks::fits(tx, &space.guid, plan)?;
    instance.plan_guid = Some(plan.guid.clone());
    instance.maintenance_info.clone_from(&plan.maintenance_info);
    model::service_instances::insert(tx, &instance)?;
    let operation = LastOperation::new(OperationType::Create, OperationState::Initial, may.now);
    set_operation(tx, &instance, operation)?;
    let guid = instance.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::ServiceInstance, guid)?;
    actions::service_events::record_use(tx, may, "CREATED", &instance)?;
    let parameters = match wanted.kind {
        NewKind::Managed { parameters, .. } => parameters,
        NewKind::UserProvided(_) => None,
    };
    let job = job(tx, may, "service_instance.create", guid)?;
    let asked = Asked {
        work: Work::CreateInstance,
        resource: guid,
        broker: plan.offering.broker_guid.as_str(),
        parent: None,
        job: Some(&job),
        input: Input {
            request: redacted(wanted.request),
            ..Input::default()
        },
    };
    let secret = with_parameters(parameters);
    actions::service_operations::enqueue_with(tx, may, vault, &asked, &secret)?;
    Ok(job)
}

fn with_parameters(parameters: Option<Map<String, Value>>) -> OperationSecret {
    OperationSecret {
        parameters,
        credentials: None,
    }
}

/// An instance that could not be made gives its name to a new one, and is deleted at its broker in
/// case something was left.
fn replace_failed(tx: &WriteTx<'_>, may: &MayWrite, space: &Space, name: &str) -> Result<()> {
    let found = model::service_instances::find_named(tx, &space.guid, name)?;
    let failed = found.filter(|found| found.create_failed() && found.space_guid == space.guid);
    let Some(failed) = failed else {
        return Ok(());
    };
    actions::service_operations::mitigate_instance(tx, may, &failed)?;
    remove(tx, may, &failed)
}

/// A job about a resource that the worker will do.
pub(crate) fn job(
    tx: &WriteTx<'_>,
    by: &Recorder,
    operation: &str,
    resource: &str,
) -> Result<JobGuid> {
    let work = model::jobs::Work {
        operation,
        resource,
    };
    actions::jobs::enqueue(tx, work, &json!({}), by.now, &by.guids)
}

/// Changes a managed instance without its broker.
pub(crate) fn update_managed(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    instance: ServiceInstance,
    wanted: UpdateManaged,
) -> Result<ServiceInstance> {
    may.covers(&instance.space_guid)?;
    if !wanted.is_metadata_only() {
        refuse_busy(tx, &instance)?;
    } else if instance.is(OperationType::Delete, OperationState::InProgress) {
        return Err(busy(&instance));
    }
    let request = redacted(wanted.request.clone());
    let is_metadata_only = wanted.is_metadata_only();
    let change = InstanceChange {
        name: wanted.name,
        tags: wanted.tags,
        plan: None,
        version: None,
        metadata: wanted.metadata,
    };
    let changed = change_instance(tx, may, instance.clone(), &change)?;
    if !is_metadata_only {
        let done = OperationState::Succeeded;
        let operation = LastOperation::new(OperationType::Update, done, may.now);
        set_operation(tx, &changed, operation)?;
    }
    actions::service_events::of_instance(tx, may, "update", &instance, &request)?;
    again(tx, &changed.guid)
}

/// Stores what is to change of a managed instance.
pub(crate) fn change_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    mut instance: ServiceInstance,
    change: &InstanceChange,
) -> Result<ServiceInstance> {
    let before = (instance.name.clone(), instance.plan_guid.clone());
    if let Some(name) = &change.name {
        instance.name.clone_from(name);
    }
    if let Some(tags) = &change.tags {
        instance.tags.clone_from(tags);
    }
    if let Some(guid) = &change.plan {
        let plan = model::service_plans::find(tx, guid)?;
        let plan = plan.ok_or_else(|| {
            Error::unprocessable(format!("The service plan could not be found: {guid}"))
        })?;
        if instance.plan_guid.as_ref() != Some(guid) {
            instance.maintenance_info.clone_from(&plan.maintenance_info);
        }
        instance.plan_guid = Some(plan.guid);
    }
    if let Some(version) = &change.version {
        let info = json!({ "version": version });
        instance.maintenance_info = info.as_object().cloned();
    }
    instance.updated_at = by.now;
    model::service_instances::update(tx, &instance)?;
    let guid = instance.guid.as_str();
    change
        .metadata
        .store(tx, ResourceType::ServiceInstance, guid)?;
    if before != (instance.name.clone(), instance.plan_guid.clone()) {
        actions::service_events::record_use(tx, by, "UPDATED", &instance)?;
    }
    Ok(instance)
}

/// Puts a change of a managed instance on record; the worker asks its broker.
pub(crate) fn start_update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    (instance, plan): (&ServiceInstance, &ServicePlan),
    wanted: UpdateManaged,
) -> Result<JobGuid> {
    may.covers(&instance.space_guid)?;
    refuse_busy(tx, instance)?;
    let state = OperationState::InProgress;
    set_operation(
        tx,
        instance,
        LastOperation::new(OperationType::Update, state, may.now),
    )?;
    let job = job(tx, may, "service_instance.update", instance.guid.as_str())?;
    let asked = Asked {
        work: Work::UpdateInstance,
        resource: instance.guid.as_str(),
        broker: plan.offering.broker_guid.as_str(),
        parent: None,
        job: Some(&job),
        input: Input {
            request: redacted(wanted.request),
            instance: Some(InstanceChange {
                name: wanted.name,
                tags: wanted.tags,
                plan: wanted.plan,
                version: wanted.version,
                metadata: wanted.metadata,
            }),
            ..Input::default()
        },
    };
    let secret = with_parameters(wanted.parameters);
    actions::service_operations::enqueue_with(tx, may, vault, &asked, &secret)?;
    Ok(job)
}

/// 409 while something is being done with an instance or one of its bindings.
fn refuse_busy(tx: &WriteTx<'_>, instance: &ServiceInstance) -> Result<()> {
    if instance.is_busy() {
        return Err(busy(instance));
    }
    for binding in model::service_credential_bindings::of_instance(tx, &instance.guid)? {
        let last = binding.last_operation.as_ref();
        if let Some(app) = &binding.app_name
            && last.is_some_and(LastOperation::is_open)
        {
            return Err(Error::new(
                Kind::AsyncServiceBindingOperationInProgress,
                format!(
                    "An operation for the service binding between app {app} and service instance {} is in progress.",
                    instance.name
                ),
            ));
        }
    }
    Ok(())
}

/// 422 while an instance cannot be deleted.
pub(crate) fn refuse_blocked(instance: &ServiceInstance) -> Result<()> {
    let blocked = [
        (OperationType::Create, OperationState::Initial),
        (OperationType::Update, OperationState::InProgress),
        (OperationType::Delete, OperationState::InProgress),
    ];
    let is_blocked = blocked
        .iter()
        .any(|(kind, state)| instance.is(*kind, *state));
    if instance.is_managed() && is_blocked {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service instance.",
        ));
    }
    Ok(())
}

/// Puts the deletion of a managed instance on record, as part of other work if there is a parent.
pub(crate) fn start_delete(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
    parent: Option<i64>,
) -> Result<Option<JobGuid>> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let plan = plan.ok_or_else(|| Error::internal("a managed instance without a plan"))?;
    let job = match parent {
        Some(_) => None,
        None => Some(job(
            tx,
            by,
            "service_instance.delete",
            instance.guid.as_str(),
        )?),
    };
    let operation = LastOperation::new(OperationType::Delete, OperationState::InProgress, by.now);
    set_operation(tx, instance, operation)?;
    let asked = Asked {
        work: Work::DeleteInstance,
        resource: instance.guid.as_str(),
        broker: plan.offering.broker_guid.as_str(),
        parent,
        job: job.as_ref(),
        input: Input::default(),
    };
    actions::service_operations::enqueue(tx, by, &asked)?;
    Ok(job)
}

/// Deletes the row of an instance without bindings, and ends its shares.
pub(crate) fn remove(tx: &WriteTx<'_>, by: &Recorder, instance: &ServiceInstance) -> Result<()> {
    actions::service_events::record_use(tx, by, "DELETED", instance)?;
    model::service_instances::delete(tx, &instance.guid)
}
