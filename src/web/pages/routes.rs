//! All routes: which host leads to which app and port, and what answers an address.
//!
//! The answer is the router's own: its current table is asked, so it also knows wildcards, context
//! paths and routes without instances. Apps that the visitor does not see are not named.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::apps::{Choice, spaces};
use super::places::develops;
use crate::net::origin::PlatformHosts;
use crate::web::Console;
use crate::web::api::models::{App, Named, Route};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/routes";
/// Rows that are shown; a filter finds the others.
const MOST: usize = 500;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page).post(create))
        .route("/console/routes/{guid}/map", post(map))
        .route("/console/routes/{guid}/unmap/{destination}", post(unmap))
        .route("/console/routes/{guid}/delete", post(delete))
        .route("/console/routes/unmapped/{space}", post(delete_unmapped))
}

/// What the address asks for.
#[derive(Deserialize)]
struct Asked {
    /// A part of the address or of an app's name.
    #[serde(default)]
    q: String,
    #[serde(default)]
    space: String,
    /// An address whose answer is looked for.
    #[serde(default)]
    url: String,
    /// The route whose form to map it is open.
    #[serde(default)]
    map: String,
}

impl Asked {
    /// The address of this list with the form of a route open.
    fn mapping(&self, route: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &self.q)
            .append_pair("space", &self.space)
            .append_pair("map", route)
            .finish();
        format!("{PAGE}?{query}#route-{route}")
    }
}

/// Where a route leads.
struct Target {
    guid: String,
    app: String,
    name: String,
    process: String,
    port: String,
    protocol: String,
    started: bool,
}

/// A route of the list.
struct Row {
    route: Route,
    place: String,
    targets: Vec<Target>,
    /// Apps of its space that it does not lead to.
    apps: Vec<Choice>,
    may_change: bool,
    /// Whether its form to map it is open.
    maps: bool,
}

/// What answers an address.
struct Answer {
    text: String,
    tone: &'static str,
    /// Apps that answer: guid, name and number of instances.
    apps: Vec<(String, String, usize)>,
}

#[derive(Template)]
#[template(path = "console/routes.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    found: usize,
    total: usize,
    spaces: Vec<Choice>,
    developed: Vec<Choice>,
    domains: Vec<Named>,
    answer: Option<Answer>,
}

async fn page(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let mut path = "/v3/routes?include=domain".to_owned();
    if !asked.space.is_empty() {
        path = format!("{path}&space_guids={}", fmt::query(&asked.space));
    }
    let (routes, apps, spaces, domains) = tokio::try_join!(
        api.all::<Route>(&path, 2),
        api.all::<App>("/v3/apps?order_by=name", 4),
        spaces(&visitor),
        api.all::<Named>("/v3/domains?order_by=created_at", 1),
    )?;
    let developed = develops(&visitor).await?;
    let total = routes.resources.len();
    let places = Places {
        apps: apps.resources,
        spaces,
        developed,
    };
    let (found, rows) = places.rows(routes.resources, &asked);
    let answer = if asked.url.trim().is_empty() {
        None
    } else {
        Some(answer(&visitor, asked.url.trim()).await?)
    };
    show::page(&Page {
        frame: Frame::new(&visitor, "routes"),
        asked,
        rows,
        found,
        total,
        spaces: places.spaces,
        developed: places.developed,
        domains: domains.resources,
        answer,
    })
}

/// What routes are in and lead to.
struct Places {
    apps: Vec<App>,
    spaces: Vec<Choice>,
    /// Spaces whose routes the visitor may change.
    developed: Vec<Choice>,
}

impl Places {
    /// How many routes have a part in their address or in the name of an app, and the first of them.
    fn rows(&self, mut routes: Vec<Route>, asked: &Asked) -> (usize, Vec<Row>) {
        let apps: HashMap<&str, &App> = self
            .apps
            .iter()
            .map(|app| (app.guid.as_str(), app))
            .collect();
        let part = asked.q.to_lowercase();
        routes.sort_by(|a, b| a.url.cmp(&b.url));
        let (mut found, mut rows) = (0, Vec::new());
        for route in routes {
            let targets = targets(&route, &apps);
            let mut names = targets.iter().map(|target| &target.name);
            if route.url.to_lowercase().contains(&part)
                || names.any(|name| name.to_lowercase().contains(&part))
            {
                found += 1;
                if rows.len() < MOST {
                    let maps = asked.map == route.guid;
                    rows.push(self.row(route, targets, maps));
                }
            }
        }
        (found, rows)
    }

    /// `maps`: with the apps that the route can lead to, too.
    fn row(&self, route: Route, targets: Vec<Target>, maps: bool) -> Row {
        let space = route.relationships.space.guid();
        let place = self.spaces.iter().find(|one| one.guid == space);
        let may_change = self.developed.iter().any(|one| one.guid == space);
        let free = self.apps.iter().filter(|app| {
            maps && may_change
                && app.relationships.space.guid() == space
                && targets.iter().all(|target| target.app != app.guid)
        });
        Row {
            apps: free
                .map(|app| Choice {
                    guid: app.guid.clone(),
                    label: app.name.clone(),
                })
                .collect(),
            place: place.map(|one| one.label.clone()).unwrap_or_default(),
            targets,
            may_change,
            maps,
            route,
        }
    }
}

fn targets(route: &Route, apps: &HashMap<&str, &App>) -> Vec<Target> {
    let target = |one: &crate::web::api::models::Destination| {
        let app = apps.get(one.app.guid.as_str());
        Target {
            guid: one.guid.clone().unwrap_or_default(),
            app: one.app.guid.clone(),
            name: app.map_or_else(
                || "an app of another space".to_owned(),
                |app| app.name.clone(),
            ),
            process: one.app.process.kind.clone(),
            port: one.port.map(|port| port.to_string()).unwrap_or_default(),
            protocol: one.protocol.clone().unwrap_or_default(),
            started: app.is_some_and(|app| app.state == "STARTED"),
        }
    };
    route.destinations.iter().map(target).collect()
}

/// Host and path of an address as people write it, with or without a scheme.
fn parts_of(address: &str) -> Option<(String, String)> {
    let whole = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let url = url::Url::parse(&whole).ok()?;
    let host = url.host_str()?.to_owned();
    Some((host, url.path().to_owned()))
}

/// What the router answers.
async fn answer(visitor: &Visitor, address: &str) -> Result<Answer, Refused> {
    let plain = |text: &str, tone| Answer {
        text: text.to_owned(),
        tone,
        apps: Vec::new(),
    };
    let Some((host, path)) = parts_of(address) else {
        return Ok(plain("This is no address: it has no host.", "bad"));
    };
    let parts = visitor.console.parts();
    if PlatformHosts::new(&parts.domain).contains(&host) {
        return Ok(plain(
            "The platform itself: its API, the sign-in pages or this console.",
            "good",
        ));
    }
    let table = parts.router.table();
    let Some(pool) = table.find(&host, &path) else {
        let text = match idle(visitor, &host, &path).await? {
            Some(url) => format!(
                "The route {url} is there, but no app of it runs. The router answers 404."
            ),
            None => "Nothing: the router has no route for this host and path whose app runs, and answers 404."
                .to_owned(),
        };
        return Ok(plain(&text, "bad"));
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for state in &pool.endpoints {
        let app = state.endpoint.app_guid.to_string();
        *counts.entry(app).or_default() += 1;
    }
    if counts.is_empty() {
        return Ok(plain(
            "A route is there, but no instance of its apps takes requests now. The router answers 503.",
            "warn",
        ));
    }
    let mut apps = Vec::new();
    let mut hidden = false;
    for (guid, count) in counts {
        let path = format!("/v3/apps/{}", fmt::segment(&guid));
        match visitor.api.find::<Named>(&path).await? {
            Some(app) => apps.push((guid, app.name, count)),
            None => hidden = true,
        }
    }
    let text = match (apps.is_empty(), hidden) {
        (true, _) => "An app of a space that you do not see.",
        (false, true) => "These apps, and others of spaces that you do not see:",
        (false, false) => "The instances of:",
    };
    Ok(Answer {
        text: text.to_owned(),
        tone: "good",
        apps,
    })
}

/// The address of a route that the router does not have, since no app of it runs.
async fn idle(visitor: &Visitor, host: &str, path: &str) -> Result<Option<String>, Refused> {
    let label = host.split('.').next().unwrap_or_default();
    let list = format!("/v3/routes?hosts={}&per_page=100", fmt::query(label));
    let routes = visitor.api.list::<Route>(&list).await?.resources;
    let covers = |route: &Route| {
        let own = route.url.strip_suffix(route.path.as_str());
        let below = path.strip_prefix(route.path.as_str());
        own.is_some_and(|own| own.eq_ignore_ascii_case(host))
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = routes.into_iter().filter(covers);
    Ok(found
        .max_by_key(|route| route.path.len())
        .map(|route| route.url))
}

async fn create(change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let space = fields.required("space", "Space")?;
    let domain = fields.required("domain", "Domain")?;
    let api = &change.visitor.api;
    let domain: Named = api
        .get(&format!("/v3/domains/{}", fmt::segment(domain)))
        .await?;
    let mut command = format!("cf create-route {}", fmt::word(&domain.name));
    let mut body = json!({ "relationships": {
        "space": { "data": { "guid": space } },
        "domain": { "data": { "guid": domain.guid } },
    } });
    for (field, flag) in [("host", "--hostname"), ("path", "--path")] {
        if let Some(text) = fields.text(field) {
            body[field] = text.into();
            command = format!("{command} {flag} {}", fmt::word(text));
        }
    }
    if let Some(port) = fields.number("port", "Port")? {
        body["port"] = port.into();
        command = format!("{command} --port {port}");
    }
    let made: Value = api.post("/v3/routes", body).await?.json()?;
    let url = made["url"].as_str().unwrap_or_default();
    Ok(change
        .done(
            format!("The route {url} is there; map it to an app"),
            format!("{PAGE}?q={}", fmt::query(url)),
        )
        .command(command))
}

/// A route and the options of the CLI that name it.
async fn load(change: &Change, guid: &str) -> Result<(Route, String), Refused> {
    let api = &change.visitor.api;
    let route: Route = api
        .get(&format!("/v3/routes/{}", fmt::segment(guid)))
        .await?;
    let domain = route.relationships.domain.guid();
    let domain: Named = api.get(&format!("/v3/domains/{domain}")).await?;
    let mut words = fmt::word(&domain.name);
    if !route.host.is_empty() {
        words = format!("{words} --hostname {}", fmt::word(&route.host));
    }
    if !route.path.is_empty() {
        words = format!("{words} --path {}", fmt::word(&route.path));
    }
    Ok((route, words))
}

async fn map(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (route, words) = load(&change, &guid).await?;
    let app = change.fields.required("app", "App")?;
    let api = &change.visitor.api;
    let app: Named = api.get(&format!("/v3/apps/{}", fmt::segment(app))).await?;
    let mut destination = json!({ "app": { "guid": app.guid } });
    let mut command = format!("cf map-route {} {words}", fmt::word(&app.name));
    if let Some(port) = change.fields.number("app_port", "Port")? {
        destination["port"] = port.into();
        command = format!("{command} --app-port {port}");
    }
    let path = format!("/v3/routes/{}/destinations", route.guid);
    api.post(&path, json!({ "destinations": [destination] }))
        .await?;
    Ok(change
        .done(
            format!("{} leads to {}", route.url, app.name),
            back(&change),
        )
        .command(command))
}

async fn unmap(
    Path((guid, destination)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let (route, words) = load(&change, &guid).await?;
    let mut all = route.destinations.iter();
    let found = all.find(|one| one.guid.as_deref() == Some(destination.as_str()));
    let app = found.ok_or_else(Refused::not_found)?.app.guid.clone();
    let api = &change.visitor.api;
    let app: Option<Named> = api.find(&format!("/v3/apps/{app}")).await?;
    let app = app.map_or_else(|| "APP".to_owned(), |app| fmt::word(&app.name));
    let path = format!(
        "/v3/routes/{}/destinations/{}",
        route.guid,
        fmt::segment(&destination)
    );
    api.delete(&path).await?;
    Ok(change
        .done(
            format!("{} no longer leads there", route.url),
            back(&change),
        )
        .command(format!("cf unmap-route {app} {words}")))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (route, words) = load(&change, &guid).await?;
    let api = &change.visitor.api;
    let reply = api.delete(&format!("/v3/routes/{}", route.guid)).await?;
    let progress = api.finish(&reply).await?;
    Ok(change
        .done(progress.deleted(&route.url), back(&change))
        .command(format!("cf delete-route {words} -f")))
}

async fn delete_unmapped(Path(space): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/spaces/{}/routes?unmapped=true", fmt::segment(&space));
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    Ok(change
        .done(
            progress.told(
                "Routes without an app are deleted",
                "Routes without an app are being deleted",
            ),
            back(&change),
        )
        .command("cf delete-orphaned-routes -f"))
}

/// The list as it was, and nothing else.
fn back(change: &Change) -> String {
    let page = change.fields.get("back").unwrap_or(PAGE);
    if page == PAGE || page.starts_with("/console/routes?") {
        page.to_owned()
    } else {
        PAGE.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_path() {
        let of = |text| parts_of(text).expect(text);
        let pair = |host: &str, path: &str| (host.to_owned(), path.to_owned());
        assert_eq!(of("shop.cf.localhost"), pair("shop.cf.localhost", "/"));
        assert_eq!(
            of("https://Shop.example:8443/a/b?c#d"),
            pair("shop.example", "/a/b")
        );
        assert!(parts_of("http://").is_none());
        assert!(parts_of("mailto://").is_none());
    }
}
