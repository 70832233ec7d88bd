//! Addresses that lead to an app: mapped, unmapped, made.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AppHead, TABS, named};
use crate::web::Console;
use crate::web::api::models::{App, Named, Route, ToOne};
use crate::web::api::{Api, Failure};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::links;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

/// Routes of a space that the page offers, in pages of the API.
const MOST_PAGES: usize = 1;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/routes";
    Router::new()
        .route(PAGE, get(list))
        .route(&format!("{PAGE}/map"), post(map))
        .route(&format!("{PAGE}/create"), post(create))
        .route(
            &format!("{PAGE}/{{route}}/unmap/{{destination}}"),
            post(unmap),
        )
        .route(&format!("{PAGE}/{{route}}/delete"), post(delete))
}

#[derive(Debug, Clone, Deserialize)]
struct Domain {
    guid: String,
    name: String,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    supported_protocols: Vec<String>,
    relationships: OfDomain,
}

#[derive(Debug, Clone, Deserialize)]
struct OfDomain {
    #[serde(default)]
    organization: ToOne,
}

impl Domain {
    fn is_tcp(&self) -> bool {
        self.supported_protocols.iter().any(|one| one == "tcp")
    }

    /// What a person has to know to choose it.
    fn kind(&self) -> &'static str {
        match (self.internal, self.is_tcp()) {
            (true, _) => "internal",
            (_, true) => "tcp",
            _ if self.relationships.organization.data.is_some() => "private",
            _ => "shared",
        }
    }
}

/// A way from an address to a process.
struct Row {
    route: String,
    url: String,
    /// Where a browser finds it; empty for what is no HTTP address.
    link: String,
    destination: String,
    process: String,
    port: String,
    protocol: String,
    /// Other apps that the same address leads to.
    others: usize,
}

#[derive(Template)]
#[template(path = "console/app/routes.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    rows: Vec<Row>,
    /// Routes of the space that do not lead to the app.
    free: Vec<Route>,
    domains: Vec<Domain>,
}

impl Page {
    fn at(&self, change: &str) -> String {
        format!("{}/{change}", self.head.path("routes"))
    }
}

async fn list(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "routes").await?;
    let api = &visitor.api;
    let app = head.app.guid.as_str();
    let space = format!("/v3/routes?space_guids={}", head.space.guid);
    let mapped = format!("/v3/routes?app_guids={app}");
    let domains = format!("/v3/organizations/{}/domains?", head.organization.guid);
    let (mapped, in_space, domains) = tokio::try_join!(
        api.all::<Route>(&mapped, 1),
        api.all::<Route>(&space, MOST_PAGES),
        domains_of(api, &domains),
    )?;
    let internal: HashMap<&str, bool> = domains
        .iter()
        .map(|domain| (domain.guid.as_str(), domain.internal))
        .collect();
    let base = visitor.base();
    let link = |route: &Route| {
        let known = internal.get(route.relationships.domain.guid());
        links::of(route, known == Some(&true), base)
    };
    let mut rows = Vec::new();
    for route in &mapped.resources {
        let to_others = route.destinations.iter().filter(|one| one.app.guid != app);
        let others = to_others.count();
        let to_app = route.destinations.iter().filter(|one| one.app.guid == app);
        rows.extend(to_app.map(|one| Row {
            route: route.guid.clone(),
            url: route.shown(),
            link: link(route),
            destination: one.guid.clone().unwrap_or_default(),
            process: one.app.process.kind.clone(),
            port: one.port.map(|port| port.to_string()).unwrap_or_default(),
            protocol: one.protocol.clone().unwrap_or_default(),
            others,
        }));
    }
    let mut free = in_space.resources;
    free.retain(|route| !route.destinations.iter().any(|one| one.app.guid == app));
    free.sort_by(|a, b| a.url.cmp(&b.url));
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        head,
        rows,
        free,
        domains,
    })
}

async fn domains_of(api: &Api, path: &str) -> Result<Vec<Domain>, Failure> {
    let mut domains = api.all::<Domain>(path, 1).await?.resources;
    domains.sort_by_key(|domain| (domain.internal, domain.is_tcp(), domain.name.clone()));
    Ok(domains)
}

/// The destination that a form describes.
fn destination(change: &Change, app: &str) -> Result<Value, Refused> {
    let fields = &change.fields;
    let process = fields.text("process").unwrap_or("web");
    let mut one = json!({ "app": { "guid": app, "process": { "type": process } } });
    if let Some(port) = fields.number("app_port", "App port")? {
        one["port"] = json!(port);
    }
    if let Some(protocol) = fields.text("protocol") {
        one["protocol"] = json!(protocol);
    }
    Ok(one)
}

/// Maps a route that exists.
async fn map(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let route = change.fields.required("route", "Route")?;
    let api = &change.visitor.api;
    let route: Route = api
        .get(&format!("/v3/routes/{}", fmt::segment(route)))
        .await?;
    let one = destination(&change, &app.guid)?;
    let path = format!("/v3/routes/{}/destinations", route.guid);
    api.post(&path, json!({ "destinations": [one] })).await?;
    Ok(mapped(&change, &app, &route))
}

fn mapped(change: &Change, app: &Named, route: &Route) -> Outcome {
    let text = format!("{} leads to {}", route.url, app.name);
    change
        .done(text, format!("/console/apps/{}/routes", app.guid))
        .command(command("map-route", &app.name, route))
}

/// The command of the cf CLI for a route.
fn command(verb: &str, app: &str, route: &Route) -> String {
    let authority = route.url.split(['/', ':']).next().unwrap_or_default();
    let domain = authority
        .strip_prefix(route.host.as_str())
        .map_or(authority, |rest| rest.trim_start_matches('.'));
    let app = match app {
        "" => String::new(),
        app => format!("{} ", fmt::word(app)),
    };
    let mut text = format!("cf {verb} {app}{}", fmt::word(domain));
    for (flag, value) in [("--hostname", &route.host), ("--path", &route.path)] {
        if !value.is_empty() {
            text = format!("{text} {flag} {}", fmt::word(value));
        }
    }
    match route.port {
        Some(port) => format!("{text} --port {port}"),
        None => text,
    }
}

/// Makes a route and maps it. A name that is taken is refused with where it is.
async fn create(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let app: App = api
        .get(&format!("/v3/apps/{}", fmt::segment(&guid)))
        .await?;
    let fields = &change.fields;
    let domain = fields.required("domain", "Domain")?;
    let domain: Domain = api
        .get(&format!("/v3/domains/{}", fmt::segment(domain)))
        .await?;
    let one = destination(&change, &app.guid)?;
    let wanted = Wanted {
        host: fields.text("host").unwrap_or_default().to_owned(),
        path: fields.text("path").unwrap_or_default().to_owned(),
        port: fields.number("port", "Port")?,
    };
    refuse_taken(api, &domain, &wanted, &app).await?;
    let space = app.relationships.space.guid();
    let mut body = json!({ "relationships": {
        "space": { "data": { "guid": space } },
        "domain": { "data": { "guid": domain.guid } },
    } });
    for (name, value) in [("host", &wanted.host), ("path", &wanted.path)] {
        if !value.is_empty() {
            body[name] = json!(value);
        }
    }
    if let Some(port) = wanted.port {
        body["port"] = json!(port);
    }
    let route: Route = api.post("/v3/routes", body).await?.json()?;
    let path = format!("/v3/routes/{}/destinations", route.guid);
    let mapping = api.post(&path, json!({ "destinations": [one] })).await;
    if let Err(failure) = mapping {
        // Both or nothing.
        api.delete(&format!("/v3/routes/{}", route.guid)).await?;
        return Err(failure.into());
    }
    let app = Named {
        guid: app.guid,
        name: app.name,
    };
    Ok(mapped(&change, &app, &route))
}

struct Wanted {
    host: String,
    path: String,
    port: Option<i64>,
}

impl Wanted {
    fn query(&self) -> String {
        let (host, path) = (fmt::query(&self.host), fmt::query(&self.path));
        let port = self
            .port
            .map_or_else(String::new, |port| format!("&port={port}"));
        format!("host={host}&path={path}{port}")
    }
}

/// Refuses an address that somebody has, and says where it is if the user sees it.
async fn refuse_taken(
    api: &Api,
    domain: &Domain,
    wanted: &Wanted,
    app: &App,
) -> Result<(), Refused> {
    #[derive(Deserialize)]
    struct Reservation {
        matching_route: bool,
    }
    // A TCP route without a port gets a free one.
    if domain.is_tcp() && wanted.port.is_none() {
        return Ok(());
    }
    let path = format!(
        "/v3/domains/{}/route_reservations?{}",
        domain.guid,
        wanted.query()
    );
    let reserved: Reservation = api.get(&path).await?;
    if !reserved.matching_route {
        return Ok(());
    }
    let mut path = format!(
        "/v3/routes?domain_guids={}&hosts={}&paths={}",
        domain.guid,
        fmt::query(&wanted.host),
        fmt::query(&wanted.path)
    );
    if let Some(port) = wanted.port {
        path = format!("{path}&ports={port}");
    }
    let found = api.list::<Route>(&path).await?.resources;
    let here = app.relationships.space.guid();
    let text = match found.first() {
        Some(route) if route.relationships.space.guid() == here => {
            "This route exists in this space already: choose it under “Map a route”".to_owned()
        }
        Some(_) => {
            "This route belongs to another space that you see; choose another one".to_owned()
        }
        None => "This route belongs to another space; choose another one".to_owned(),
    };
    let field = if domain.is_tcp() { "port" } else { "host" };
    Err(Refused::field(field, &text))
}

/// Takes the app off an address; the route stays.
async fn unmap(
    Path((guid, route, destination)): Path<(String, String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let route: Route = api
        .get(&format!("/v3/routes/{}", fmt::segment(&route)))
        .await?;
    let ours = route
        .destinations
        .iter()
        .any(|one| one.app.guid == app.guid && one.guid.as_deref() == Some(destination.as_str()));
    if !ours {
        return Err(Refused::not_found());
    }
    let path = format!("/v3/routes/{}/destinations/{destination}", route.guid);
    api.delete(&path).await?;
    let text = format!("{} does not lead to {} any more", route.url, app.name);
    Ok(change
        .done(text, format!("/console/apps/{}/routes", app.guid))
        .command(command("unmap-route", &app.name, &route)))
}

/// Deletes a route that leads to the app, for all apps.
async fn delete(
    Path((guid, route)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let route: Route = api
        .get(&format!("/v3/routes/{}", fmt::segment(&route)))
        .await?;
    if !route
        .destinations
        .iter()
        .any(|one| one.app.guid == app.guid)
    {
        return Err(Refused::not_found());
    }
    let reply = api.delete(&format!("/v3/routes/{}", route.guid)).await?;
    let progress = api.finish(&reply).await?;
    let text = progress.deleted(&format!("The route {}", route.url));
    Ok(change
        .done(text, format!("/console/apps/{}/routes", app.guid))
        .command(format!("{} -f", command("delete-route", "", &route))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routes_command_has_its_parts() {
        let route = |url: &str, host: &str, path: &str, port: Option<u16>| Route {
            guid: "g".to_owned(),
            url: url.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            port,
            protocol: "http".to_owned(),
            destinations: Vec::new(),
            relationships: serde_json::from_value(json!({ "space": {}, "domain": {} })).unwrap(),
        };
        let http = route("shop.cf.localhost/v1", "shop", "/v1", None);
        assert_eq!(
            command("map-route", "shop", &http),
            "cf map-route shop cf.localhost --hostname shop --path /v1"
        );
        assert_eq!(
            command("delete-route", "", &http),
            "cf delete-route cf.localhost --hostname shop --path /v1"
        );
        let tcp = route("tcp.cf.localhost:61001", "", "", Some(61001));
        assert_eq!(
            command("unmap-route", "db", &tcp),
            "cf unmap-route db tcp.cf.localhost --port 61001"
        );
    }
}
