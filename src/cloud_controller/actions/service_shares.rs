//! Sharing service instances with other spaces, inside the caller's transaction.

use serde_json::json;

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::actions::service_instances_checks::gone;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::last_operations::OperationType;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::permits::MayWrite;
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};

/// Shares an instance with spaces its sharer may write in.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    instance: &ServiceInstance,
    guests: &[(Space, MayWrite)],
) -> Result<()> {
    may.covers(&instance.space_guid)?;
    let plan = shareable(tx, instance)?;
    for (space, guest) in guests {
        guest.covers(&space.guid)?;
        if space.guid == instance.space_guid {
            return Err(Error::unprocessable(format!(
                "Unable to share service instance '{}' with space '{}'. Service instances cannot be shared into the \
                 space where they were created.",
                instance.name, space.guid
            )));
        }
    }
    if !plan.available {
        return Err(Error::unprocessable(format!(
            "The service instance could not be shared as the {} plan is inactive.",
            plan.name
        )));
    }
    for (space, _) in guests {
        check_guest(tx, instance, &plan, space)?;
    }
    let last = instance.last_operation.as_ref();
    let open = last.filter(|last| last.is_open()).map(|last| last.kind);
    if instance.create_failed() {
        return Err(gone(instance));
    } else if open == Some(OperationType::Create) {
        return Err(Error::unprocessable(
            "Service instance is currently being created. It can be shared after its creation succeeded.",
        ));
    } else if open == Some(OperationType::Delete) {
        return Err(Error::unprocessable(
            "The service instance is getting deleted.",
        ));
    }
    for (space, _) in guests {
        model::service_instances::share(tx, &instance.guid, &space.guid, may.now)?;
    }
    let guids: Vec<&SpaceGuid> = guests.iter().map(|(space, _)| &space.guid).collect();
    let data = json!({ "target_space_guids": guids });
    actions::service_events::about_instance(tx, may, "share", instance, &data)
}

/// The plan of an instance that can be shared at all.
fn shareable(tx: &ReadTx<'_>, instance: &ServiceInstance) -> Result<ServicePlan> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let serves_routes = match &plan {
        Some(plan) => plan.offering.requires("route_forwarding"),
        None => instance.route_service_url.is_some(),
    };
    if serves_routes {
        return Err(Error::unprocessable("Route services cannot be shared."));
    }
    let plan =
        plan.ok_or_else(|| Error::unprocessable("User-provided services cannot be shared."))?;
    if !plan.offering.is_shareable() {
        return Err(Error::unprocessable(format!(
            "The {} service does not support service instance sharing.",
            plan.offering.name
        )));
    }
    Ok(plan)
}

fn check_guest(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    plan: &ServicePlan,
    space: &Space,
) -> Result<()> {
    if !model::service_plans::is_visible_in(tx, plan, space)? {
        return Err(Error::unprocessable(format!(
            "Access to service {} and plan {} is not enabled in {}/{}.",
            plan.offering.name, plan.name, space.organization_name, space.name
        )));
    }
    let Some(other) = model::service_instances::find_named(tx, &space.guid, &instance.name)? else {
        return Ok(());
    };
    Err(Error::unprocessable(if other.space_guid == space.guid {
        format!(
            "A service instance called {} already exists in {}.",
            instance.name, space.name
        )
    } else {
        format!(
            "A service instance called {} has already been shared with {}.",
            instance.name, space.name
        )
    }))
}

/// The bindings that end with a share.
pub(crate) fn bindings_of_guest(
    tx: &ReadTx<'_>,
    instance: &ServiceInstance,
    space: &SpaceGuid,
) -> Result<Vec<model::service_credential_bindings::CredentialBinding>> {
    let mut all = model::service_credential_bindings::of_instance(tx, &instance.guid)?;
    all.retain(|binding| binding.app_guid.is_some() && binding.space_guid == *space);
    Ok(all)
}

/// Ends the share of a space without bindings.
pub(crate) fn unshare(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
    space: &SpaceGuid,
) -> Result<()> {
    model::service_instances::unshare(tx, &instance.guid, space)?;
    let data = json!({ "target_space_guid": space });
    actions::service_events::about_instance(tx, by, "unshare", instance, &data)
}

/// Ends all shares of an instance.
pub(crate) fn unshare_all(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
) -> Result<()> {
    for space in model::service_instances::shared_spaces(tx, &instance.guid)? {
        unshare(tx, by, instance, &space)?;
    }
    Ok(())
}
