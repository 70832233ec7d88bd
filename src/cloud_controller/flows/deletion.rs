//! Deleting apps with all that belongs to them, and spaces and organizations with all that is in them.

use serde_json::json;

use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::permits::{MayAdminister, MayChangeDomain, MayManage, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Deletes an app with all that belongs to it; its instances are stopped by the scheduler.
pub(crate) fn app(tx: &WriteTx<'_>, may: &MayWrite, app: &App) -> Result<()> {
    may.covers(&app.space_guid)?;
    model::builds::release_of_app(tx, &app.guid)?;
    for package in model::packages::of_app(tx, &app.guid)? {
        model::packages::delete(tx, &package)?;
        let data = json!({ "package_guid": package });
        actions::apps::record(tx, may, "audit.app.package.delete", app, &data)?;
    }
    for droplet in model::droplets::of_app(tx, &app.guid)? {
        model::droplets::delete(tx, &droplet)?;
        let data = json!({ "droplet_guid": droplet });
        actions::apps::record(tx, may, "audit.app.droplet.delete", app, &data)?;
    }
    for route in model::routes::of_app(tx, &app.guid)? {
        for destination in model::destinations::of_route(tx, &route.guid)? {
            if destination.key.app_guid == app.guid {
                let cause = Cause::Request;
                actions::destinations::unmap(tx, may, &route, &destination, cause)?;
            }
        }
    }
    for binding in model::service_credential_bindings::of_app(tx, &app.guid)? {
        if binding.is_managed {
            actions::service_bindings::forget(tx, may, &binding)?;
        } else {
            actions::service_bindings::delete(tx, may, &binding)?;
        }
    }
    for process in model::processes::of_app(tx, &app.guid)? {
        actions::processes::record_delete(tx, may, app, &process)?;
    }
    super::tasks::delete_of_app(tx, may, &app.guid)?;
    actions::apps::clear_buildpack_cache(tx, may, app)?;
    actions::apps::record(tx, may, "audit.app.delete-request", app, &json!({}))?;
    model::desired::delete_of_app(tx, &app.guid)?;
    model::apps::delete(tx, &app.guid)
}

/// Deletes all apps of a space.
fn apps_in_space(tx: &WriteTx<'_>, may: &MayWrite, space: &SpaceGuid) -> Result<()> {
    model::apps::in_space(tx, space)?
        .iter()
        .try_for_each(|app| self::app(tx, may, app))
}

/// Deletes a space with its apps and routes.
pub(crate) fn space(tx: &WriteTx<'_>, may: &MayManage, space: &Space) -> Result<()> {
    let all = may.all_of(space)?;
    apps_in_space(tx, &all, &space.guid)?;
    super::cascades::services_of_space(tx, may, &space.guid)?;
    actions::routes::delete_in_space(tx, &all, &space.guid)?;
    actions::spaces::record(
        tx,
        may,
        "audit.space.delete-request",
        space,
        &json!({ "request": { "recursive": true } }),
    )?;
    model::spaces::delete(tx, &space.guid)
}

/// Deletes an organization with all its spaces, apps, routes and private domains.
pub(crate) fn organization(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    organization: &Organization,
) -> Result<()> {
    let all = may.all_of(&organization.guid);
    for each in model::spaces::in_organization(tx, &organization.guid)? {
        space(tx, &all, &each)?;
    }
    private_domains_of(tx, &all, &organization.guid)?;
    model::roles::delete_of_organization(tx, &organization.guid)?;
    let data = json!({ "request": { "recursive": true } });
    actions::organizations::record(
        tx,
        may,
        "audit.organization.delete-request",
        organization,
        &data,
    )?;
    model::organizations::delete(tx, &organization.guid)
}

/// Deletes a domain that is shared with nobody, with its routes.
pub(crate) fn domain(tx: &WriteTx<'_>, may: &MayChangeDomain, domain: &Domain) -> Result<()> {
    actions::domains::refuse_shares(tx, domain)?;
    domain_with_shares(tx, may, domain)
}

fn domain_with_shares(tx: &WriteTx<'_>, may: &MayChangeDomain, domain: &Domain) -> Result<()> {
    may.covers(&domain.guid)?;
    actions::routes::delete_of_domain(tx, may, &domain.guid)?;
    model::domains::delete(tx, &domain.guid)
}

/// Deletes the private domains of an organization that is being deleted, with their routes.
pub(crate) fn private_domains_of(
    tx: &WriteTx<'_>,
    may: &MayManage,
    organization: &OrganizationGuid,
) -> Result<()> {
    for each in model::domains::owned_by(tx, organization)? {
        let may = MayChangeDomain::of_organization(may, &each)?;
        domain_with_shares(tx, &may, &each)?;
    }
    Ok(())
}
