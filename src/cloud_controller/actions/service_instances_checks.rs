//! What is asked before an instance is made or changed, in Cloud Controller's words.

use crate::base::guid::{ServiceInstanceGuid, ServicePlanGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::quotas::{Owner, quota};
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::service_instances::UpdateManaged;
use crate::db::ReadTx;

/// The plan a caller may make instances of in a space.
pub(crate) fn usable_plan(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &ServicePlanGuid,
    space: &Space,
) -> Result<ServicePlan> {
    let plan = model::service_plans::find_visible(tx, Some(caller), guid)?;
    let plan = plan.ok_or_else(|| {
        Error::unprocessable(
            "Invalid service plan. Ensure that the service plan exists, is available, and you have access to it.",
        )
    })?;
    let (name, guid) = (&plan.name, &plan.guid);
    if !plan.available {
        return Err(Error::unprocessable(format!(
            "Invalid service plan. The service plan '{name}' with guid '{guid}' has been removed from the service \
             broker's catalog. It is not possible to create new service instances using this plan."
        )));
    }
    if !model::service_plans::is_visible_in(tx, &plan, space)? {
        return Err(Error::unprocessable(format!(
            "Invalid service plan. This could be due to a space-scoped broker which is offering the service plan \
             '{name}' with guid '{guid}' in another space or that the plan is not enabled in this organization. \
             Ensure that the service plan is visible in your current space '{}' with guid '{}'.",
            space.name, space.guid
        )));
    }
    Ok(plan)
}

/// 422 when the quotas leave no room for a new instance of a plan.
pub(crate) fn fits(tx: &ReadTx<'_>, space: &SpaceGuid, plan: &ServicePlan) -> Result<()> {
    let (in_space, in_organization) = model::service_instances::counts(tx, space)?;
    for (owner, used, text) in [
        (
            Owner::Space,
            in_space,
            "You have exceeded your space's services limit.",
        ),
        (
            Owner::Organization,
            in_organization,
            "You have exceeded your organization's services limit.",
        ),
    ] {
        let limits = quota(tx, owner, space)?;
        let most = limits.and_then(|(_, limits)| limits.total_service_instances);
        if most.is_some_and(|most| used >= most) {
            return Err(Error::unprocessable(text));
        }
    }
    may_be_paid(tx, space, plan)
}

/// 422 when the quotas forbid plans that cost something.
fn may_be_paid(tx: &ReadTx<'_>, space: &SpaceGuid, plan: &ServicePlan) -> Result<()> {
    if plan.free {
        return Ok(());
    }
    for (owner, text) in [
        (
            Owner::Space,
            "The service instance cannot be created because paid service plans are not allowed for your space.",
        ),
        (
            Owner::Organization,
            "The service instance cannot be created because paid service plans are not allowed.",
        ),
    ] {
        if quota(tx, owner, space)?.is_some_and(|(_, limits)| !limits.paid_services_allowed) {
            return Err(Error::unprocessable(text));
        }
    }
    Ok(())
}

/// 422 when an instance of the space, or one shared with it, has the name; the same of the spaces it
/// is shared with.
pub(crate) fn name_is_free(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
    name: &str,
    except: &ServiceInstanceGuid,
) -> Result<()> {
    if model::service_instances::is_taken(tx, space, name, except)? {
        return Err(model::service_instances::taken(name));
    }
    Ok(())
}

/// Whether an instance may be changed as asked; `plan` is the one it has.
pub(crate) fn may_update(
    tx: &ReadTx<'_>,
    caller: &Caller,
    instance: &ServiceInstance,
    plan: &ServicePlan,
    wanted: &UpdateManaged,
) -> Result<()> {
    let new_plan = new_plan(tx, caller, instance, plan, wanted)?;
    if instance.create_failed() {
        return Err(gone(instance));
    }
    if let Some(name) = &wanted.name
        && *name != instance.name
        && model::service_instances::is_taken(tx, &instance.space_guid, name, &instance.guid)?
    {
        return Err(Error::unprocessable(format!(
            "The service instance name is taken: {name}"
        )));
    }
    if let Some(new) = new_plan.as_ref().filter(|new| new.guid != plan.guid) {
        may_be_paid(tx, &instance.space_guid, new)?;
    }
    if wanted.name.is_some()
        && !model::service_instances::shared_spaces(tx, &instance.guid)?.is_empty()
    {
        return Err(Error::unprocessable(
            "Service instances that have been shared cannot be renamed",
        ));
    }
    if let Some(new) = &new_plan {
        may_change_plan(tx, instance, plan, new)?;
    }
    may_maintain(instance, plan, wanted)?;
    while_unavailable(instance, plan, wanted)
}

/// An instance that could not be made is as good as not there.
pub(crate) fn gone(instance: &ServiceInstance) -> Error {
    Error::new(
        Kind::ServiceInstanceNotFound,
        format!("The service instance could not be found: {}", instance.name),
    )
}

fn new_plan(
    tx: &ReadTx<'_>,
    caller: &Caller,
    instance: &ServiceInstance,
    plan: &ServicePlan,
    wanted: &UpdateManaged,
) -> Result<Option<ServicePlan>> {
    let Some(guid) = &wanted.plan else {
        return Ok(None);
    };
    let space = model::spaces::find(tx, &instance.space_guid)?;
    let space = space.ok_or_else(|| Error::internal("an instance without its space"))?;
    let new = usable_plan(tx, caller, guid, &space)?;
    if new.offering.guid != plan.offering.guid {
        return Err(Error::new(
            Kind::InvalidRelation,
            "service plan relates to a different service offering",
        ));
    }
    Ok(Some(new))
}

fn may_change_plan(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    plan: &ServicePlan,
    new: &ServicePlan,
) -> Result<()> {
    if !plan.is_plan_updateable() {
        return Err(Error::unprocessable(
            "The service does not support changing plans.",
        ));
    }
    let bindings = model::service_credential_bindings::of_instance(tx, &instance.guid)?;
    let bound = bindings.iter().any(|binding| binding.app_guid.is_some());
    if bound && !new.is_bindable() {
        return Err(Error::unprocessable(
            "The service plan is invalid: cannot switch to non-bindable plan when service bindings exist",
        ));
    }
    Ok(())
}

fn may_maintain(
    instance: &ServiceInstance,
    plan: &ServicePlan,
    wanted: &UpdateManaged,
) -> Result<()> {
    let Some(version) = wanted.version.as_deref() else {
        return Ok(());
    };
    if wanted.plan.as_ref().is_some_and(|guid| *guid != plan.guid) {
        return Err(Error::unprocessable(
            "maintenance_info should not be changed when switching to different plan.",
        ));
    }
    if plan.maintenance_info.is_none() {
        return Err(Error::unprocessable(
            "The service broker does not support upgrades for service instances created from this plan.",
        ));
    }
    if plan.version() != Some(version) && instance.version() != Some(version) {
        return Err(Error::unprocessable(
            "maintenance_info.version requested is invalid. Please ensure the catalog is up to date and you are \
             providing a version supported by this service plan.",
        ));
    }
    Ok(())
}

/// What brokers no longer offer stays as it is.
fn while_unavailable(
    instance: &ServiceInstance,
    plan: &ServicePlan,
    wanted: &UpdateManaged,
) -> Result<()> {
    if plan.available {
        return Ok(());
    }
    let what = if wanted.parameters.is_some() {
        "parameters"
    } else if plan.offering.allow_context_updates && wanted.name.is_some() {
        "name"
    } else if wanted.maintains && wanted.version.as_deref() != instance.version() {
        "maintenance_info"
    } else {
        return Ok(());
    };
    Err(Error::unprocessable(format!(
        "Cannot update {what} of a service instance that belongs to inaccessible plan"
    )))
}

/// Whether the broker has to be asked for a change.
pub(crate) fn needs_broker(
    instance: &ServiceInstance,
    plan: &ServicePlan,
    wanted: &UpdateManaged,
) -> bool {
    let renamed = wanted.name.is_some() && plan.offering.allow_context_updates;
    let other_plan = wanted.plan.as_ref().is_some_and(|guid| *guid != plan.guid);
    let version = wanted.version.as_deref();
    let other_version = version.is_some() && version != instance.version();
    renamed || wanted.parameters.is_some() || other_plan || other_version
}

/// 409: something else is being done with an instance.
pub(crate) fn busy(instance: &ServiceInstance) -> Error {
    Error::new(
        Kind::AsyncServiceInstanceOperationInProgress,
        format!(
            "An operation for service instance {} is in progress.",
            instance.name
        ),
    )
}
