//! Deleting what service instances are bound to, when their brokers have to be asked first: the
//! deletion is put on record, and the worker ends it when nothing is bound any more. Purging asks
//! nobody.

use serde_json::{Value, json};

use crate::base::guid::{JobGuid, SpaceGuid};
use crate::cloud_controller::actions::service_instances::job;
use crate::cloud_controller::actions::service_operations::Asked;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::model::service_operations::{Input, Work};
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::permits::{
    MayAdminister, MayChangeBroker, MayManage, MaySupport, MayWrite,
};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};

fn start(
    tx: &WriteTx<'_>,
    by: &Recorder,
    work: Work,
    operation: &str,
    resource: &str,
) -> Result<JobGuid> {
    let job = job(tx, by, operation, resource)?;
    let asked = Asked {
        work,
        resource,
        broker: "",
        parent: None,
        job: Some(&job),
        input: Input::default(),
    };
    actions::service_operations::enqueue(tx, by, &asked)?;
    Ok(job)
}

/// Puts the deletion of an app on record; `None` = no broker has to be asked.
pub(crate) fn start_app(tx: &WriteTx<'_>, may: &MayWrite, app: &App) -> Result<Option<JobGuid>> {
    may.covers(&app.space_guid)?;
    let bindings = model::service_credential_bindings::of_app(tx, &app.guid)?;
    if !bindings.iter().any(|binding| binding.is_managed) {
        return Ok(None);
    }
    start(tx, may, Work::DeleteApp, "app.delete", app.guid.as_str()).map(Some)
}

/// The same of a route.
pub(crate) fn start_route(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
) -> Result<Option<JobGuid>> {
    may.covers(&route.space_guid)?;
    let bound = model::service_route_bindings::of_route(tx, &route.guid)?;
    if !bound.is_some_and(|binding| binding.is_managed) {
        return Ok(None);
    }
    let guid = route.guid.as_str();
    start(tx, may, Work::DeleteRoute, "route.delete", guid).map(Some)
}

/// Whether a broker has to be asked before a space is deleted.
fn asks_brokers(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<bool> {
    let instances = model::service_instances::in_space(tx, space)?;
    let bindings = model::service_credential_bindings::of_apps_in_space(tx, space)?;
    Ok(instances.iter().any(ServiceInstance::is_managed)
        || bindings.iter().any(|binding| binding.is_managed))
}

/// The same of a space.
pub(crate) fn start_space(
    tx: &WriteTx<'_>,
    may: &MayManage,
    space: &Space,
) -> Result<Option<JobGuid>> {
    may.covers(&space.organization_guid)?;
    if !asks_brokers(tx, &space.guid)? {
        return Ok(None);
    }
    let guid = space.guid.as_str();
    start(tx, may, Work::DeleteSpace, "space.delete", guid).map(Some)
}

/// The same of an organization.
pub(crate) fn start_organization(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    organization: &Organization,
) -> Result<Option<JobGuid>> {
    for space in model::spaces::in_organization(tx, &organization.guid)? {
        if asks_brokers(tx, &space.guid)? {
            let guid = organization.guid.as_str();
            let job = start(
                tx,
                may,
                Work::DeleteOrganization,
                "organization.delete",
                guid,
            )?;
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// Ends the share of a space; with bindings there, when they are deleted.
pub(crate) fn start_unshare(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    instance: &ServiceInstance,
    space: &SpaceGuid,
) -> Result<Option<JobGuid>> {
    may.covers(&instance.space_guid)?;
    if actions::service_shares::bindings_of_guest(tx, instance, space)?.is_empty() {
        actions::service_shares::unshare(tx, may, instance, space)?;
        return Ok(None);
    }
    let guid = instance.guid.as_str();
    let job = job(tx, may, "service_instance.unshare", guid)?;
    let asked = Asked {
        work: Work::Unshare,
        resource: guid,
        broker: "",
        parent: None,
        job: Some(&job),
        input: Input {
            space: Some(space.to_string()),
            ..Input::default()
        },
    };
    actions::service_operations::enqueue(tx, may, &asked)?;
    Ok(Some(job))
}

/// Deletes a user-provided instance with its bindings.
pub(crate) fn provided_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
) -> Result<()> {
    unbind_all(tx, by, instance)?;
    actions::service_events::of_instance(tx, by, "delete", instance, &Value::Null)?;
    actions::service_instances::remove(tx, by, instance)
}

fn unbind_all(tx: &WriteTx<'_>, by: &Recorder, instance: &ServiceInstance) -> Result<()> {
    for binding in model::service_route_bindings::of_instance(tx, &instance.guid)? {
        actions::service_route_bindings::delete(tx, by, &binding)?;
    }
    for binding in model::service_credential_bindings::of_instance(tx, &instance.guid)? {
        actions::service_bindings::delete(tx, by, &binding)?;
    }
    Ok(())
}

/// Forgets an instance with its bindings, whatever its broker has.
pub(crate) fn purge_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
) -> Result<()> {
    unbind_all(tx, by, instance)?;
    actions::service_shares::unshare_all(tx, by, instance)?;
    let data = json!({ "request": null });
    actions::service_events::about_instance(tx, by, "purge", instance, &data)?;
    actions::service_instances::remove(tx, by, instance)
}

/// The same, and its broker is told later: for what is left over when a space is deleted.
pub(crate) fn forget_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
) -> Result<()> {
    for binding in model::service_credential_bindings::of_instance(tx, &instance.guid)? {
        actions::service_operations::mitigate_binding(tx, by, &binding)?;
    }
    actions::service_operations::mitigate_instance(tx, by, instance)?;
    purge_instance(tx, by, instance)
}

/// Forgets an offering with its plans and their instances, whatever its broker has.
pub(crate) fn purge_offering(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    offering: &ServiceOffering,
) -> Result<()> {
    may.covers(offering.broker_space.as_ref())?;
    for instance in model::service_instances::of_offering(tx, offering.guid.as_str())? {
        purge_instance(tx, may, &instance)?;
    }
    let data = json!({ "request": { "purge": true } });
    actions::service_events::of_offering(tx, may, "delete", offering, &data)?;
    model::service_offerings::delete(tx, &offering.guid)
}

/// Deletes the service instances and brokers of a space that is being deleted.
pub(crate) fn services_of_space(tx: &WriteTx<'_>, by: &Recorder, space: &SpaceGuid) -> Result<()> {
    for instance in model::service_instances::in_space(tx, space)? {
        if instance.is_managed() {
            forget_instance(tx, by, &instance)?;
        } else {
            provided_instance(tx, by, &instance)?;
        }
    }
    for broker in model::service_brokers::in_space(tx, space)? {
        if !model::service_brokers::has_instances(tx, &broker.guid)? {
            let request = json!({});
            actions::service_events::of_broker(tx, by, "delete", &broker, &request)?;
            actions::service_brokers::remove(tx, &broker)?;
        }
    }
    Ok(())
}
