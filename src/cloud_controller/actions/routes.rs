//! What can be done to routes, each inside the caller's transaction, with its audit event.

use serde_json::{Map, Value, json};

use crate::base::guid::{DomainGuid, RouteGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::audit_events::{Cause, Place, Recorder, Target};
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::routes::{Route, RoutePlace};
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::route_options::{Hashing, OptionsChange};
use crate::cloud_controller::payload::routes::RequestedPort;
use crate::cloud_controller::permits::{MayChangeDomain, MaySupport, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};

/// A route that is asked for.
pub(crate) struct NewRoute<'a> {
    pub space: &'a Space,
    pub domain: &'a Domain,
    pub host: String,
    pub path: String,
    pub port: RequestedPort,
    pub options: OptionsChange,
    pub metadata: MetadataChange,
    /// What the audit event says was asked.
    pub request: Value,
}

impl<'a> NewRoute<'a> {
    /// A route without options and metadata.
    pub(crate) fn at(space: &'a Space, domain: &'a Domain, host: &str, path: &str) -> Self {
        Self {
            space,
            domain,
            host: host.to_owned(),
            path: path.to_owned(),
            port: RequestedPort::Exactly(0),
            options: OptionsChange::default(),
            metadata: MetadataChange::default(),
            request: json!({ "host": host, "path": path }),
        }
    }
}

impl NewRoute<'_> {
    /// Where it is to be, with this port.
    pub(crate) fn place(&self, port: u16) -> RoutePlace<'_> {
        RoutePlace {
            host: &self.host,
            path: &self.path,
            port,
        }
    }
}

/// What creating a route needs to know beside the route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteContext<'a> {
    /// Routes cannot take the platform's own names below it.
    pub system_domain: &'a str,
    /// For the audit event.
    pub cause: Cause,
}

/// Makes a route. Who may is the caller's concern.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    new: NewRoute<'_>,
    context: RouteContext<'_>,
) -> Result<Route> {
    may.covers(&new.space.guid)?;
    let options = new.options.clone().apply(&Map::new(), hashing(tx)?)?;
    let port = actions::routes_checks::check(tx, &new, context.system_domain)?;
    let route = Route {
        guid: RouteGuid::generate(&may.guids),
        space_guid: new.space.guid.clone(),
        domain_guid: new.domain.guid.clone(),
        domain_name: new.domain.name.clone(),
        protocol: new.domain.protocol(),
        host: new.host,
        path: new.path,
        port,
        options,
        created_at: may.now,
        updated_at: may.now,
    };
    model::routes::insert(tx, &route)?;
    new.metadata
        .store(tx, ResourceType::Route, route.guid.as_str())?;
    let data = context.cause.mark(json!({ "request": new.request }));
    record(tx, may, "audit.route.create", &route, &data)?;
    Ok(route)
}

/// The route at this place, made if there is none; options are applied to one that is there, also
/// when it is shared with the space from another one. For manifests and default routes.
pub(crate) fn find_or_create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    caller: &Caller,
    new: NewRoute<'_>,
    context: RouteContext<'_>,
) -> Result<Route> {
    if let RequestedPort::Exactly(port) = new.port
        && let Some(route) = model::routes::find_at(tx, &new.domain.guid, new.place(port))?
    {
        if !model::routes::is_available_in(tx, &route, &new.space.guid)? {
            return Err(Error::unprocessable(
                "Routes cannot be mapped to destinations in different spaces",
            ));
        }
        if new.options.is_empty() {
            return Ok(route);
        }
        may.covers(&new.space.guid)?;
        return change(tx, may, route, new.options, &new.metadata);
    }
    may_create(tx, caller, new.domain, &new.host)?;
    create(tx, may, new, context)
}

/// Shares a route with spaces.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    guests: &[MayWrite],
) -> Result<()> {
    may.covers(&route.space_guid)?;
    let guests: Vec<&SpaceGuid> = guests.iter().map(|guest| guest.space()).collect();
    for space in &guests {
        model::routes::share(tx, &route.guid, space)?;
    }
    let data = json!({ "target_space_guids": guests });
    record(tx, may, "audit.route.share", route, &data)
}

/// Ends a space's share of a route.
pub(crate) fn unshare(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    guest: &MaySupport,
) -> Result<()> {
    may.covers(&route.space_guid)?;
    let space = guest.space();
    model::routes::unshare(tx, &route.guid, space)?;
    let data = json!({ "target_space_guid": space });
    record(tx, may, "audit.route.unshare", route, &data)
}

/// Makes another space the owner of a route, which stays shared with the space it had.
pub(crate) fn transfer(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    mut route: Route,
    owner: &MaySupport,
) -> Result<()> {
    may.covers(&route.space_guid)?;
    let space = owner.space();
    let data = json!({ "target_space_guid": space });
    record(tx, may, "audit.route.transfer-owner", &route, &data)?;
    model::routes::unshare(tx, &route.guid, space)?;
    model::routes::share(tx, &route.guid, &route.space_guid)?;
    route.space_guid = space.clone();
    route.updated_at = may.now;
    model::routes::update(tx, &route)
}

/// 403 when the feature flag stops this caller, or a wildcard would catch what is others'.
pub(crate) fn may_create(
    tx: &WriteTx<'_>,
    caller: &Caller,
    domain: &Domain,
    host: &str,
) -> Result<()> {
    if caller.is_admin() {
        return Ok(());
    }
    actions::feature_flags::require(tx, caller, "route_creation")?;
    if domain.is_shared() && host == "*" {
        return Err(Error::forbidden());
    }
    Ok(())
}

/// Changes options and metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: Route,
    options: OptionsChange,
    metadata: &MetadataChange,
) -> Result<Route> {
    may.covers(&route.space_guid)?;
    change(tx, may, route, options, metadata)
}

fn change(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut route: Route,
    options: OptionsChange,
    metadata: &MetadataChange,
) -> Result<Route> {
    route.options = options.apply(&route.options, hashing(tx)?)?;
    route.updated_at = recorder.now;
    model::routes::update(tx, &route)?;
    metadata.store(tx, ResourceType::Route, route.guid.as_str())?;
    let data = json!({ "request": { "options": route.options } });
    record(tx, recorder, "audit.route.update", &route, &data)?;
    Ok(route)
}

/// Deletes a route with its destinations.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MaySupport, route: &Route) -> Result<()> {
    may.covers(&route.space_guid)?;
    for destination in model::destinations::of_route(tx, &route.guid)? {
        actions::destinations::unmap(tx, may, route, &destination, Cause::Request)?;
    }
    if let Some(binding) = model::service_route_bindings::of_route(tx, &route.guid)? {
        if binding.is_managed {
            actions::service_route_bindings::forget(tx, may, &binding)?;
        } else {
            actions::service_route_bindings::delete(tx, may, &binding)?;
        }
    }
    let data = json!({ "request": { "recursive": true } });
    record(tx, may, "audit.route.delete-request", route, &data)?;
    model::routes::delete(tx, &route.guid)
}

/// Deletes all routes of a space that is being deleted.
pub(crate) fn delete_in_space(tx: &WriteTx<'_>, may: &MaySupport, space: &SpaceGuid) -> Result<()> {
    for route in model::routes::in_space(tx, space)? {
        delete(tx, may, &route)?;
    }
    Ok(())
}

/// Deletes all routes of a domain that is being deleted.
pub(crate) fn delete_of_domain(
    tx: &WriteTx<'_>,
    may: &MayChangeDomain,
    domain: &DomainGuid,
) -> Result<()> {
    for route in model::routes::of_domain(tx, domain)? {
        delete(tx, &may.all_of(&route)?, &route)?;
    }
    Ok(())
}

/// Deletes the routes of a space that lead nowhere.
pub(crate) fn delete_unmapped(tx: &WriteTx<'_>, may: &MaySupport, space: &SpaceGuid) -> Result<()> {
    for route in model::routes::unmapped_in_space(tx, space)? {
        delete(tx, may, &route)?;
    }
    Ok(())
}

/// Writes an event about a route.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    route: &Route,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: route.guid.as_str(),
        kind: "route",
        name: &route.host,
    };
    recorder.record(tx, kind, &target, Place::space(&route.space_guid), data)
}

/// Whether routes may be spread by a hash.
fn hashing(tx: &ReadTx<'_>) -> Result<Hashing> {
    actions::feature_flags::enabled(tx, "hash_based_routing").map(Into::into)
}
