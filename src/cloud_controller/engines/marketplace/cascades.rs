//! Work that waits until nothing is bound any more: deleting instances, apps, routes, spaces and
//! organizations, ending shares, and what a manifest binds.

use super::turn::Turn;
use crate::base::guid::{AppGuid, OrganizationGuid, RouteGuid, ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::service_credential_bindings::CredentialBinding;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Operation, Work};
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::cloud_controller::permits::{MayAdminister, MayManage, MaySupport, MayWrite};
use crate::cloud_controller::{actions, flows, model};

/// Takes the next step: what is left is deleted at its brokers first.
pub(super) fn begin(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    if operation.work == Work::ApplyManifest || !operation.faults.is_empty() {
        let result = if operation.faults.is_empty() {
            Ok(())
        } else {
            Err(failure(turn, &operation)?)
        };
        return turn.end(&operation, result);
    }
    match operation.work {
        Work::DeleteApp => app(turn, operation),
        Work::DeleteRoute => route(turn, operation),
        Work::DeleteSpace => space(turn, operation),
        Work::DeleteOrganization => organization(turn, operation),
        _ => unshare(turn, operation),
    }
}

/// What is told when a part could not be deleted.
fn failure(turn: &Turn<'_>, operation: &Operation) -> Result<Error> {
    let all = operation.faults.join("\n\n");
    let failed = |kind, what: &str, name: String| {
        Error::new(
            kind,
            format!(
                "Deletion of {what} {name} failed because one or more resources within could not be deleted.\n\n{all}"
            ),
        )
    };
    Ok(match operation.work {
        Work::DeleteSpace => {
            let guid = SpaceGuid::from(operation.resource.as_str());
            let name = model::spaces::find(turn.tx, &guid)?.map(|space| space.name);
            failed(Kind::SpaceDeletionFailed, "space", name.unwrap_or_default())
        }
        Work::DeleteOrganization => {
            let guid = OrganizationGuid::from(operation.resource.as_str());
            let found = model::organizations::find(turn.tx, &guid)?;
            let name = found.map(|organization| organization.name);
            failed(
                Kind::OrganizationDeletionFailed,
                "organization",
                name.unwrap_or_default(),
            )
        }
        Work::ApplyManifest => Error::unprocessable_all(operation.faults.clone()),
        Work::Unshare => Error::new(
            Kind::ServiceInstanceUnshareFailed,
            format!(
                "Unshare of service instance failed: \n\nUnshare of service instance failed because one or more \
                 bindings could not be deleted.\n\n \t{}",
                operation.faults.join("\n\n\t")
            ),
        ),
        _ => Error::new(Kind::UnableToPerform, all),
    })
}

/// Puts the deletion of bindings on record as part of an operation; whether there was any.
fn unbind(turn: &Turn<'_>, parent: &Operation, bindings: Vec<CredentialBinding>) -> Result<bool> {
    let mut waits = false;
    for binding in bindings.iter().filter(|binding| binding.is_managed) {
        waits = true;
        if adopt(turn, parent, binding.guid.as_str(), Work::Unbind)? {
            continue;
        }
        let instance = instance_of(turn, &binding.instance_guid)?;
        let (tx, by) = (turn.tx, &turn.by);
        actions::service_bindings::start_delete(tx, by, (binding, &instance), Some(parent.id))?;
    }
    Ok(waits)
}

/// The same of bindings to routes.
fn unbind_routes(turn: &Turn<'_>, parent: &Operation, bindings: Vec<RouteBinding>) -> Result<bool> {
    let mut waits = false;
    for binding in bindings.iter().filter(|binding| binding.is_managed) {
        waits = true;
        if adopt(turn, parent, binding.guid.as_str(), Work::UnbindRoute)? {
            continue;
        }
        let instance = instance_of(turn, &binding.instance_guid)?;
        let (tx, by) = (turn.tx, &turn.by);
        let both = (binding, &instance);
        actions::service_route_bindings::start_delete(tx, by, both, Some(parent.id))?;
    }
    Ok(waits)
}

fn instance_of(turn: &Turn<'_>, guid: &ServiceInstanceGuid) -> Result<ServiceInstance> {
    let instance = model::service_instances::find(turn.tx, guid)?;
    instance.ok_or_else(|| Error::internal("a binding without its instance"))
}

/// A deletion that somebody else asked for serves as well; whether there is one.
fn adopt(turn: &Turn<'_>, parent: &Operation, guid: &str, work: Work) -> Result<bool> {
    let all = model::service_operations::of_resource(turn.tx, guid)?;
    let Some(mut other) = all.into_iter().find(|other| other.work == work) else {
        return Ok(false);
    };
    if other.parent.is_none() {
        other.parent = Some(parent.id);
        model::service_operations::update(turn.tx, &other)?;
    }
    Ok(true)
}

/// Whether nothing is bound to an instance any more; else what is bound is deleted first.
pub(super) fn unbind_instance(
    turn: &Turn<'_>,
    operation: &Operation,
    instance: &ServiceInstance,
) -> Result<bool> {
    if let Some(fault) = operation.faults.first() {
        use crate::cloud_controller::model::last_operations::{
            LastOperation, OperationState, OperationType,
        };
        let (delete, failed) = (OperationType::Delete, OperationState::Failed);
        let failed = LastOperation::new(delete, failed, turn.now()).told(fault);
        actions::service_instances::set_operation(turn.tx, instance, failed)?;
        let error = Error::new(Kind::UnableToPerform, fault.clone());
        turn.end(operation, Err(error))?;
        return Ok(false);
    }
    let routes = model::service_route_bindings::of_instance(turn.tx, &instance.guid)?;
    let bindings = model::service_credential_bindings::of_instance(turn.tx, &instance.guid)?;
    let of_routes = unbind_routes(turn, operation, routes)?;
    if unbind(turn, operation, bindings)? || of_routes {
        turn.wait(operation.clone())?;
        return Ok(false);
    }
    Ok(true)
}

fn app(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    let guid = AppGuid::from(operation.resource.as_str());
    let Some(app) = model::apps::find(turn.tx, &guid)? else {
        return turn.end(&operation, Ok(()));
    };
    let bindings = model::service_credential_bindings::of_app(turn.tx, &guid)?;
    if unbind(turn, &operation, bindings)? {
        return turn.wait(operation);
    }
    let may = MayWrite::of_platform(turn.by.clone(), &app.space_guid);
    flows::deletion::app(turn.tx, &may, &app)?;
    turn.end(&operation, Ok(()))
}

fn route(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    let guid = RouteGuid::from(operation.resource.as_str());
    let Some(route) = model::routes::find(turn.tx, &guid)? else {
        return turn.end(&operation, Ok(()));
    };
    let bound = model::service_route_bindings::of_route(turn.tx, &guid)?;
    if unbind_routes(turn, &operation, bound.into_iter().collect())? {
        return turn.wait(operation);
    }
    let may = MaySupport::of_platform(turn.by.clone(), &route.space_guid);
    actions::routes::delete(turn.tx, &may, &route)?;
    turn.end(&operation, Ok(()))
}

/// Puts the deletion of all managed instances of a space on record, and that of the bindings of its
/// apps; whether there was any.
fn empty(turn: &Turn<'_>, parent: &Operation, space: &SpaceGuid) -> Result<bool> {
    let bindings = model::service_credential_bindings::of_apps_in_space(turn.tx, space)?;
    let mut waits = unbind(turn, parent, bindings)?;
    let routes = model::service_route_bindings::in_space(turn.tx, space)?;
    waits |= unbind_routes(turn, parent, routes)?;
    if waits {
        return Ok(true);
    }
    for instance in model::service_instances::in_space(turn.tx, space)? {
        if !instance.is_managed() {
            continue;
        }
        waits = true;
        let guid = instance.guid.as_str();
        if !adopt(turn, parent, guid, Work::DeleteInstance)? {
            let (tx, by) = (turn.tx, &turn.by);
            actions::service_instances::start_delete(tx, by, &instance, Some(parent.id))?;
        }
    }
    Ok(waits)
}

fn space(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    let guid = SpaceGuid::from(operation.resource.as_str());
    let Some(space) = model::spaces::find(turn.tx, &guid)? else {
        return turn.end(&operation, Ok(()));
    };
    if empty(turn, &operation, &guid)? {
        return turn.wait(operation);
    }
    let may = MayManage::of_platform(turn.by.clone(), &space.organization_guid);
    flows::deletion::space(turn.tx, &may, &space)?;
    turn.end(&operation, Ok(()))
}

fn organization(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    let guid = OrganizationGuid::from(operation.resource.as_str());
    let Some(organization) = model::organizations::find(turn.tx, &guid)? else {
        return turn.end(&operation, Ok(()));
    };
    let mut waits = false;
    for space in model::spaces::in_organization(turn.tx, &guid)? {
        waits |= empty(turn, &operation, &space.guid)?;
    }
    if waits {
        return turn.wait(operation);
    }
    if let Some(fault) = actions::organizations::deletion_fault(turn.tx, &organization)? {
        return turn.end(&operation, Err(fault));
    }
    let may = MayAdminister::of_platform(turn.by.clone());
    flows::deletion::organization(turn.tx, &may, &organization)?;
    turn.end(&operation, Ok(()))
}

fn unshare(turn: &Turn<'_>, operation: Operation) -> Result<()> {
    let guid = ServiceInstanceGuid::from(operation.resource.as_str());
    let space = operation.input.space.as_deref().map(SpaceGuid::from);
    let instance = model::service_instances::find(turn.tx, &guid)?;
    let (Some(instance), Some(space)) = (instance, space) else {
        return turn.end(&operation, Ok(()));
    };
    let bindings = actions::service_shares::bindings_of_guest(turn.tx, &instance, &space)?;
    if unbind(turn, &operation, bindings)? {
        return turn.wait(operation);
    }
    actions::service_shares::unshare(turn.tx, &turn.by, &instance, &space)?;
    turn.end(&operation, Ok(()))
}
