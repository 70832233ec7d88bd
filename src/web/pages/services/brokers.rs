//! Service brokers: their catalogs, and who sees which plan.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::api::services::{Broker, Offering, Plan};
use crate::web::api::{Body, jobs::Progress};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::apps::Choice;
use crate::web::pages::places::develops;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const LIST: &str = "/console/brokers";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(LIST, get(list).post(register))
        .route("/console/brokers/{guid}", get(show))
        .route("/console/brokers/{guid}/update", post(update))
        .route("/console/brokers/{guid}/sync", post(sync))
        .route("/console/brokers/{guid}/delete", post(delete))
        .route("/console/brokers/{guid}/plans/{plan}", post(visibility))
        .route(
            "/console/brokers/{guid}/offerings/{offering}/purge",
            post(purge),
        )
}

/// A broker of the list.
struct Row {
    broker: Broker,
    /// Where it is private to; empty for all.
    space: String,
    offerings: usize,
    plans: usize,
}

#[derive(Template)]
#[template(path = "console/services/brokers.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    spaces: Vec<Choice>,
}

async fn list(visitor: Visitor) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (brokers, offerings, plans) = tokio::try_join!(
        api.all::<Broker>("/v3/service_brokers?order_by=name", 1),
        api.all::<Offering>("/v3/service_offerings?order_by=name", 2),
        api.all::<Plan>("/v3/service_plans?order_by=name", 2),
    )?;
    let spaces = develops(&visitor).await?;
    let row = |broker: Broker| {
        let of = |one: &&Offering| one.relationships.service_broker.guid() == broker.guid;
        let own: Vec<&Offering> = offerings.resources.iter().filter(of).collect();
        let of = |plan: &&Plan| {
            let offering = plan.relationships.service_offering.guid();
            own.iter().any(|one| one.guid == offering)
        };
        let space = broker.relationships.space.guid();
        let place = spaces.iter().find(|one| one.guid == space);
        Row {
            space: place.map_or_else(|| space.to_owned(), |one| one.label.clone()),
            offerings: own.len(),
            plans: plans.resources.iter().filter(of).count(),
            broker,
        }
    };
    show::page(&Page {
        frame: Frame::new(&visitor, "services"),
        rows: brokers.resources.into_iter().map(row).collect(),
        spaces,
    })
}

/// A plan and who sees it.
struct Seen {
    plan: Plan,
    organizations: Vec<Named>,
}

/// An offering of the broker.
struct Offered {
    offering: Offering,
    plans: Vec<Seen>,
}

#[derive(Deserialize)]
struct Visibility {
    #[serde(default)]
    organizations: Vec<Named>,
}

#[derive(Template)]
#[template(path = "console/services/broker.html")]
struct BrokerPage {
    frame: Frame,
    broker: Broker,
    offers: Vec<Offered>,
    organizations: Vec<Named>,
    may_change: bool,
}

impl BrokerPage {
    /// Whether an organization is among those that see a plan.
    #[expect(clippy::unused_self, reason = "templates call methods")]
    fn sees(&self, seen: &Seen, organization: &Named) -> bool {
        let mut all = seen.organizations.iter();
        all.any(|one| one.guid == organization.guid)
    }
}

async fn show(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let guid = fmt::segment(&guid);
    let broker: Broker = api.get(&format!("/v3/service_brokers/{guid}")).await?;
    let offerings = format!("/v3/service_offerings?service_broker_guids={guid}&order_by=name");
    let plans = format!("/v3/service_plans?service_broker_guids={guid}");
    let (offerings, plans, organizations) = tokio::try_join!(
        api.all::<Offering>(&offerings, 1),
        api.all::<Plan>(&plans, 1),
        api.all::<Named>("/v3/organizations?order_by=name", 1),
    )?;
    let mut seen = Vec::new();
    for plan in plans.resources {
        let mut organizations = Vec::new();
        if plan.visibility_type == "organization" {
            let path = format!("/v3/service_plans/{}/visibility", plan.guid);
            organizations = api.get::<Visibility>(&path).await?.organizations;
        }
        seen.push(Seen {
            plan,
            organizations,
        });
    }
    let mut offers = Vec::new();
    for offering in offerings.resources {
        let of = |one: &Seen| one.plan.relationships.service_offering.guid() == offering.guid;
        let (plans, rest) = seen.into_iter().partition(of);
        seen = rest;
        offers.push(Offered { offering, plans });
    }
    let space = broker.relationships.space.guid();
    let developed = develops(&visitor).await?;
    show::page(&BrokerPage {
        frame: Frame::new(&visitor, "services"),
        may_change: visitor.is_admin() || developed.iter().any(|one| one.guid == space),
        broker,
        offers,
        organizations: organizations.resources,
    })
}

/// `authentication` of a broker.
fn authentication(name: &str, password: &str) -> Value {
    json!({ "type": "basic", "credentials": { "username": name, "password": password } })
}

async fn register(change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let name = fields.required("name", "Name")?;
    let url = fields.required("url", "URL")?;
    let user = fields.required("username", "User name")?;
    let password = fields.required("password", "Password")?;
    let mut body =
        json!({ "name": name, "url": url, "authentication": authentication(user, password) });
    let mut scope = "";
    if let Some(space) = fields.text("space") {
        body["relationships"] = json!({ "space": { "data": { "guid": space } } });
        scope = " --space-scoped";
    }
    let api = &change.visitor.api;
    let reply = api.post("/v3/service_brokers", body).await?;
    let progress = api.finish(&reply).await?;
    let command = format!(
        "cf create-service-broker {} {} PASSWORD {}{scope}",
        fmt::word(name),
        fmt::word(user),
        fmt::word(url)
    );
    Ok(change
        .done(
            progress.told(
                &format!("{name} is registered; choose who sees its plans"),
                &format!("{name} is being registered; its catalog is still read"),
            ),
            LIST,
        )
        .command(command))
}

fn page(guid: &str) -> String {
    format!("{LIST}/{}", fmt::segment(guid))
}

async fn patch(change: &Change, guid: &str, body: Value) -> Result<Progress, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/service_brokers/{}", fmt::segment(guid));
    let reply = api.change(Method::PATCH, &path, Body::Json(body)).await?;
    Ok(api.finish(&reply).await?)
}

async fn update(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let name = fields.required("name", "Name")?;
    let url = fields.required("url", "URL")?;
    let mut body = json!({ "name": name, "url": url });
    let user = fields.text("username");
    let password = fields.text("password");
    match (user, password) {
        (Some(user), Some(password)) => body["authentication"] = authentication(user, password),
        (None, None) => {}
        (Some(_), None) => return Err(Refused::field("password", "Password can't be blank")),
        (None, Some(_)) => return Err(Refused::field("username", "User name can't be blank")),
    }
    let progress = patch(&change, &guid, body).await?;
    let user = user.map_or_else(|| "USER".to_owned(), fmt::word);
    let command = format!(
        "cf update-service-broker {} {user} PASSWORD {}",
        fmt::word(name),
        fmt::word(url)
    );
    Ok(change
        .done(
            progress.told(
                "The broker is changed and its catalog read",
                "The broker is changed; its catalog is still read",
            ),
            page(&guid),
        )
        .command(command))
}

/// Reads the catalog again.
async fn sync(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/service_brokers/{}", fmt::segment(&guid));
    let broker: Broker = change.visitor.api.get(&path).await?;
    let progress = patch(&change, &guid, json!({ "name": broker.name })).await?;
    let command = format!(
        "cf curl -X PATCH {path} -d {}",
        fmt::word(&json!({ "name": broker.name }).to_string())
    );
    Ok(change
        .done(
            progress.told("The catalog is read", "The catalog is still read"),
            page(&guid),
        )
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/service_brokers/{}", fmt::segment(&guid));
    let broker: Broker = api.get(&path).await?;
    change.fields.typed(&broker.name, "the broker")?;
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete-service-broker {} -f", fmt::word(&broker.name));
    Ok(change
        .done(progress.deleted(&broker.name), LIST)
        .command(command))
}

/// Who sees a plan.
async fn visibility(
    Path((guid, plan)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/service_plans/{}", fmt::segment(&plan));
    let plan: Plan = api.get(&path).await?;
    let offering = plan.relationships.service_offering.guid();
    let path_of = format!("/v3/service_offerings/{offering}");
    let offering: Named = api.get(&path_of).await?;
    let kind = change.fields.required("type", "Who sees it")?;
    let mut body = json!({ "type": kind });
    let words = format!("{} -p {}", fmt::word(&offering.name), fmt::word(&plan.name));
    let command = match kind {
        "public" => format!("cf enable-service-access {words}"),
        "organization" => {
            let chosen = change.fields.all("organization");
            let chosen: Vec<Value> = chosen.map(|guid| json!({ "guid": guid })).collect();
            if chosen.is_empty() {
                return Err(Refused::field("organization", "Choose at least one org"));
            }
            body["organizations"] = json!(chosen);
            format!("cf enable-service-access {words} -o ORG")
        }
        _ => format!("cf disable-service-access {words}"),
    };
    api.patch(&format!("{path}/visibility"), body).await?;
    let text = format!("Who sees {} {} is changed", offering.name, plan.name);
    Ok(change.done(text, page(&guid)).command(command))
}

/// Forgets an offering and all its instances without asking the broker.
async fn purge(
    Path((guid, offering)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/service_offerings/{}", fmt::segment(&offering));
    let offering: Named = api.get(&path).await?;
    change.fields.typed(&offering.name, "the offering")?;
    api.delete(&format!("{path}?purge=true")).await?;
    let command = format!("cf purge-service-offering {} -f", fmt::word(&offering.name));
    Ok(change
        .done(format!("{} is forgotten", offering.name), page(&guid))
        .command(command))
}
