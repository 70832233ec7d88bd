//! Deleting apps with all that belongs to them, and spaces and organizations with all that is in them.

use serde_json::json;

use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::{Cause, Recorder};
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Deletes an app with all that belongs to it; its instances are stopped by the scheduler.
pub(crate) fn app(tx: &WriteTx<'_>, recorder: &Recorder, app: &App) -> Result<()> {
    model::builds::release_of_app(tx, &app.guid)?;
    for package in model::packages::of_app(tx, &app.guid)? {
        model::packages::delete(tx, &package)?;
        let data = json!({ "package_guid": package });
        actions::apps::record(tx, recorder, "audit.app.package.delete", app, &data)?;
    }
    for droplet in model::droplets::of_app(tx, &app.guid)? {
        model::droplets::delete(tx, &droplet)?;
        let data = json!({ "droplet_guid": droplet });
        actions::apps::record(tx, recorder, "audit.app.droplet.delete", app, &data)?;
    }
    for route in model::routes::of_app(tx, &app.guid)? {
        for destination in model::destinations::of_route(tx, &route.guid)? {
            if destination.key.app_guid == app.guid {
                let cause = Cause::Request;
                actions::destinations::unmap(tx, recorder, &route, &destination, cause)?;
            }
        }
    }
    for process in model::processes::of_app(tx, &app.guid)? {
        actions::processes::record_delete(tx, recorder, app, &process)?;
    }
    super::tasks::delete_of_app(tx, recorder, &app.guid)?;
    actions::apps::clear_buildpack_cache(tx, app)?;
    actions::apps::record(tx, recorder, "audit.app.delete-request", app, &json!({}))?;
    model::desired::delete_of_app(tx, &app.guid)?;
    model::apps::delete(tx, &app.guid)
}

/// Deletes all apps of a space.
fn apps_in_space(tx: &WriteTx<'_>, recorder: &Recorder, space: &SpaceGuid) -> Result<()> {
    model::apps::in_space(tx, space)?
        .iter()
        .try_for_each(|app| self::app(tx, recorder, app))
}

/// Deletes a space with its apps and routes.
pub(crate) fn space(tx: &WriteTx<'_>, recorder: &Recorder, space: &Space) -> Result<()> {
    apps_in_space(tx, recorder, &space.guid)?;
    actions::routes::delete_in_space(tx, recorder, &space.guid)?;
    actions::spaces::record(
        tx,
        recorder,
        "audit.space.delete-request",
        space,
        &json!({ "request": { "recursive": true } }),
    )?;
    model::spaces::delete(tx, &space.guid)
}

/// Deletes an organization with all its spaces, apps, routes and private domains.
pub(crate) fn organization(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    organization: &Organization,
) -> Result<()> {
    for each in model::spaces::in_organization(tx, &organization.guid)? {
        space(tx, recorder, &each)?;
    }
    private_domains_of(tx, recorder, &organization.guid)?;
    model::roles::delete_of_organization(tx, &organization.guid)?;
    let data = json!({ "request": { "recursive": true } });
    actions::organizations::record(
        tx,
        recorder,
        "audit.organization.delete-request",
        organization,
        &data,
    )?;
    model::organizations::delete(tx, &organization.guid)
}

/// Deletes a domain with its routes.
pub(crate) fn domain(tx: &WriteTx<'_>, recorder: &Recorder, domain: &Domain) -> Result<()> {
    actions::routes::delete_of_domain(tx, recorder, &domain.guid)?;
    model::domains::delete(tx, &domain.guid)
}

/// Deletes the private domains of an organization that is being deleted, with their routes.
pub(crate) fn private_domains_of(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    organization: &OrganizationGuid,
) -> Result<()> {
    for each in model::domains::owned_by(tx, organization)? {
        domain(tx, recorder, &each)?;
    }
    Ok(())
}
