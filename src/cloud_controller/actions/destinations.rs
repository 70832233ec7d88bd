//! Mapping and unmapping, each inside the caller's transaction, with its audit event.

use std::collections::HashMap;

use serde_json::json;

use crate::base::guid::{AppGuid, DestinationGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Cause, Place, Recorder, Target};
use crate::cloud_controller::model::destinations::{
    DEFAULT_PORT, Destination, DestinationKey, MappedApp, NewDestination, Protocol,
};
use crate::cloud_controller::model::routes::{Route, RouteProtocol};
use crate::cloud_controller::permits::MaySupport;
use crate::db::{ReadTx, WriteTx};

const MOST: usize = 100;

/// Adds destinations; those that are there already stay as they are.
pub(crate) fn map(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    wanted: &[NewDestination],
    cause: Cause,
) -> Result<()> {
    let wanted = prepare(tx, may, route, wanted)?;
    for new in &wanted {
        covers(may, route, new)?;
    }
    let existing = model::destinations::of_route(tx, &route.guid)?;
    refuse_too_many(existing.len() + wanted.len())?;
    refuse_duplicates(&wanted)?;
    if existing
        .iter()
        .any(|destination| destination.weight.is_some())
    {
        return Err(Error::unprocessable(
            "Destinations cannot be inserted when there are weighted destinations already configured.",
        ));
    }
    for new in wanted {
        match existing.iter().find(|known| known.key == new.key) {
            None => add(tx, may, route, &new, cause)?,
            Some(known) if known.protocol == new.protocol => {}
            Some(known) => return Err(other_protocol(route, &new, known.protocol)),
        }
    }
    Ok(())
}

/// Makes these the only destinations; those that are there already stay as they are.
pub(crate) fn replace(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    wanted: &[NewDestination],
    cause: Cause,
) -> Result<()> {
    may.covers(&route.space_guid)?;
    let wanted = prepare(tx, may, route, wanted)?;
    refuse_too_many(wanted.len())?;
    refuse_duplicates(&wanted)?;
    let existing = model::destinations::of_route(tx, &route.guid)?;
    for known in &existing {
        if !wanted.iter().any(|new| is_same(new, known)) {
            unmap(tx, may, route, known, cause)?;
        }
    }
    for new in &wanted {
        if !existing.iter().any(|known| is_same(new, known)) {
            add(tx, may, route, new, cause)?;
        }
    }
    Ok(())
}

/// Removes a destination.
pub(crate) fn unmap(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    destination: &Destination,
    cause: Cause,
) -> Result<()> {
    covers(may, route, destination)?;
    model::destinations::delete(tx, &destination.guid)?;
    record(
        tx,
        may,
        "audit.app.unmap-route",
        (route, destination),
        cause,
    )
}

/// Changes what a destination speaks.
pub(crate) fn set_protocol(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    route: &Route,
    mut destination: Destination,
    protocol: Protocol,
) -> Result<Destination> {
    covers(may, route, &destination)?;
    let fault = match (route.protocol, protocol) {
        (RouteProtocol::Http, Protocol::Tcp) => Some(
            "Destination protocol must be 'http1' or 'http2' if the parent route's protocol is 'http'",
        ),
        (RouteProtocol::Tcp, Protocol::Http1 | Protocol::Http2) => {
            Some("Destination protocol must be 'tcp' if the parent route's protocol is 'tcp'")
        }
        (RouteProtocol::Http, Protocol::Http1 | Protocol::Http2)
        | (RouteProtocol::Tcp, Protocol::Tcp) => None,
    };
    if let Some(fault) = fault {
        return Err(Error::unprocessable(fault));
    }
    destination.protocol = protocol;
    destination.updated_at = may.now;
    model::destinations::set_protocol(tx, &destination.guid, protocol, may.now)?;
    Ok(destination)
}

/// Who may support a route's space decides about all its destinations; who may support an app's
/// space maps it to routes that are shared with that space, and unmaps it.
fn covers(may: &MaySupport, route: &Route, destination: &Destination) -> Result<()> {
    may.covers(&route.space_guid)
        .or_else(|_| may.covers(&destination.app_space_guid))
}

/// Fills in defaults; 422 for apps that do not exist or live where the route is not available.
fn prepare(
    tx: &ReadTx<'_>,
    recorder: &Recorder,
    route: &Route,
    wanted: &[NewDestination],
) -> Result<Vec<Destination>> {
    let guids: Vec<AppGuid> = wanted.iter().map(|new| new.app_guid.clone()).collect();
    let apps = model::destinations::apps(tx, &guids)?;
    refuse_missing(&guids, &apps)?;
    for app in apps.values() {
        if !model::routes::is_available_in(tx, route, &app.space_guid)? {
            return Err(Error::unprocessable(
                "Routes destinations must be in either the route's space or the route's shared spaces",
            ));
        }
    }
    let prepared = wanted
        .iter()
        .filter_map(|new| Some(destination(recorder, route, new, apps.get(&new.app_guid)?)));
    Ok(prepared.collect())
}

fn destination(
    recorder: &Recorder,
    route: &Route,
    new: &NewDestination,
    app: &MappedApp,
) -> Destination {
    let default = if app.is_docker { 0 } else { DEFAULT_PORT };
    let port = new.port.unwrap_or(default);
    Destination {
        guid: DestinationGuid::generate(&recorder.guids),
        route_guid: route.guid.clone(),
        key: DestinationKey {
            app_guid: new.app_guid.clone(),
            process_type: new.process_type.clone(),
            port,
        },
        protocol: new.protocol.unwrap_or(Protocol::usual(route.protocol)),
        weight: new.weight,
        shown_port: if port == 0 { DEFAULT_PORT } else { port },
        app_name: app.name.clone(),
        app_space_guid: app.space_guid.clone(),
        created_at: recorder.now,
        updated_at: recorder.now,
    }
}

fn add(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    route: &Route,
    new: &Destination,
    cause: Cause,
) -> Result<()> {
    let allowed = match route.protocol {
        RouteProtocol::Http => "http1, http2",
        RouteProtocol::Tcp => "tcp",
    };
    if (new.protocol == Protocol::Tcp) != (route.protocol == RouteProtocol::Tcp) {
        return Err(Error::unprocessable(format!(
            "Cannot use '{}' protocol for {} routes; valid options are: [{allowed}].",
            new.protocol.as_str(),
            route.protocol.as_str()
        )));
    }
    model::destinations::insert(tx, new)?;
    record(tx, recorder, "audit.app.map-route", (route, new), cause)
}

fn refuse_missing(guids: &[AppGuid], apps: &HashMap<AppGuid, MappedApp>) -> Result<()> {
    let missing = guids.iter().filter(|guid| !apps.contains_key(guid));
    let missing: Vec<&str> = missing.map(AppGuid::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::unprocessable(format!(
        "App(s) with guid(s) \"{}\" do not exist.",
        missing.join("\", \"")
    )))
}

fn refuse_too_many(count: usize) -> Result<()> {
    if count > MOST {
        return Err(Error::unprocessable(
            "Routes can be mapped to at most 100 destinations.",
        ));
    }
    Ok(())
}

fn refuse_duplicates(wanted: &[Destination]) -> Result<()> {
    for (i, new) in wanted.iter().enumerate() {
        if wanted[..i].iter().any(|other| other.key == new.key) {
            return Err(Error::unprocessable(
                "Destinations cannot contain duplicate entries",
            ));
        }
    }
    Ok(())
}

fn is_same(a: &Destination, b: &Destination) -> bool {
    a.key == b.key && a.protocol == b.protocol && a.weight == b.weight
}

fn other_protocol(route: &Route, new: &Destination, known: Protocol) -> Error {
    Error::unprocessable(format!(
        "Cannot add destination with protocol: {}. Destination already exists for route: {}, app: {}, process: {}, \
         and protocol: {}.",
        new.protocol.as_str(),
        route.url(),
        new.key.app_guid,
        new.key.process_type,
        known.as_str()
    ))
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    (route, destination): (&Route, &Destination),
    cause: Cause,
) -> Result<()> {
    let mut data = cause.mark(json!({
        "route_guid": route.guid,
        "app_port": destination.shown_port,
        "route_mapping_guid": destination.guid,
        "destination_guid": destination.guid,
        "process_type": destination.key.process_type,
        "weight": destination.weight,
        "protocol": destination.protocol.as_str(),
    }));
    if !route.options.is_empty() {
        data["route_options"] = json!(route.options);
    }
    let target = Target {
        guid: destination.key.app_guid.as_str(),
        kind: "app",
        name: &destination.app_name,
    };
    let place = Place::space(&destination.app_space_guid);
    recorder.record(tx, kind, &target, place, &data)
}
