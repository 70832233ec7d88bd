//! What can be created: offerings with their plans, and the form of a plan.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::schema::{self, Field};
use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::api::services::{Offering, Plan};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::apps::Choice;
use crate::web::pages::places::develops;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/marketplace", get(list))
        .route("/console/marketplace/provided", get(provided_form))
        .route("/console/marketplace/plans/{guid}", get(plan_form))
        .route("/console/services", post(create))
        .route("/console/services/provided", post(create_provided))
}

/// What the address asks for.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    space: String,
}

/// An offering and its plans.
struct Offered {
    offering: Offering,
    plans: Vec<Plan>,
}

#[derive(Template)]
#[template(path = "console/services/marketplace.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    offers: Vec<Offered>,
    total: usize,
    may_create: bool,
}

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (offerings, plans) = tokio::try_join!(
        api.all::<Offering>("/v3/service_offerings?available=true&order_by=name", 2),
        api.all::<Plan>("/v3/service_plans?available=true", 2),
    )?;
    let total = offerings.resources.len();
    let part = asked.q.to_lowercase();
    let mut plans = plans.resources;
    let mut offers = Vec::new();
    for offering in offerings.resources {
        let text = offering.description.as_deref().unwrap_or_default();
        let mut texts = vec![offering.name.as_str(), text];
        texts.extend(offering.tags.iter().map(String::as_str));
        if texts.iter().any(|text| text.to_lowercase().contains(&part)) {
            let of = |plan: &Plan| plan.relationships.service_offering.guid() == offering.guid;
            let (own, rest) = plans.into_iter().partition(of);
            plans = rest;
            offers.push(Offered {
                offering,
                plans: own,
            });
        }
    }
    show::page(&Page {
        may_create: !develops(&visitor).await?.is_empty(),
        frame: Frame::new(&visitor, "services"),
        asked,
        offers,
        total,
    })
}

#[derive(Template)]
#[template(path = "console/services/create.html")]
struct Form {
    frame: Frame,
    offering: Offering,
    plan: Plan,
    fields: Vec<Field>,
    spaces: Vec<Choice>,
    space: String,
}

async fn plan_form(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let api = &visitor.api;
    let plan: Plan = api
        .get(&format!("/v3/service_plans/{}", fmt::segment(&guid)))
        .await?;
    let offering = plan.relationships.service_offering.guid();
    let offering: Offering = api
        .get(&format!("/v3/service_offerings/{offering}"))
        .await?;
    show::page(&Form {
        frame: Frame::new(&visitor, "services"),
        fields: schema::fields(&plan.schemas.service_instance.create.parameters),
        spaces: develops(&visitor).await?,
        offering,
        plan,
        space: asked.space,
    })
}

#[derive(Template)]
#[template(path = "console/services/create_provided.html")]
struct ProvidedForm {
    frame: Frame,
    spaces: Vec<Choice>,
    space: String,
}

async fn provided_form(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    show::page(&ProvidedForm {
        frame: Frame::new(&visitor, "services"),
        spaces: develops(&visitor).await?,
        space: asked.space,
    })
}

/// Tags as one writes them: `sql, production`.
pub(super) fn tags(text: Option<&str>) -> Vec<String> {
    let tags = text.unwrap_or_default().split([',', '\n']).map(str::trim);
    tags.filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `-c JSON` and `-t TAGS` of a command.
pub(super) fn options(parameters: Option<&Value>, tags: &[String]) -> String {
    let mut options = String::new();
    if let Some(parameters) = parameters {
        options = format!(" -c {}", fmt::word(&parameters.to_string()));
    }
    if !tags.is_empty() {
        options = format!("{options} -t {}", fmt::word(&tags.join(",")));
    }
    options
}

async fn create(change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let name = fields.required("name", "Name")?;
    let space = fields.required("space", "Space")?;
    let plan = fields.required("plan", "Plan")?;
    let api = &change.visitor.api;
    let plan: Plan = api
        .get(&format!("/v3/service_plans/{}", fmt::segment(plan)))
        .await?;
    let offering = plan.relationships.service_offering.guid();
    let offering: Named = api
        .get(&format!("/v3/service_offerings/{offering}"))
        .await?;
    let parameters = schema::parameters(&plan.schemas.service_instance.create.parameters, fields)?;
    let parameters = parameters.map(Value::Object);
    let tags = tags(fields.get("tags"));
    let mut body = json!({
        "type": "managed",
        "name": name,
        "relationships": {
            "space": { "data": { "guid": space } },
            "service_plan": { "data": { "guid": plan.guid } },
        },
    });
    if let Some(parameters) = &parameters {
        body["parameters"] = parameters.clone();
    }
    if !tags.is_empty() {
        body["tags"] = json!(tags);
    }
    let reply = api.post("/v3/service_instances", body).await?;
    let guid = api.subject(&reply, "service_instance").await?;
    let command = format!(
        "cf create-service {} {} {}{}",
        fmt::word(&offering.name),
        fmt::word(&plan.name),
        fmt::word(name),
        options(parameters.as_ref(), &tags)
    );
    Ok(change
        .done(
            format!("{name} is being created"),
            format!("/console/services/{guid}"),
        )
        .command(command))
}

/// What a user-provided instance has besides its name: the body, and the options of the command.
pub(super) fn provided(change: &Change) -> Result<(Value, String), Refused> {
    let fields = &change.fields;
    let mut body = json!({ "tags": tags(fields.get("tags")) });
    let mut command = String::new();
    if let Some(credentials) = schema::raw(fields, "credentials", "Credentials")? {
        body["credentials"] = Value::Object(credentials);
        // Secrets stay out of what is shown and copied.
        command.push_str(" -p CREDENTIALS");
    }
    for (field, key, flag) in [
        ("drain", "syslog_drain_url", "-l"),
        ("route_service", "route_service_url", "-r"),
    ] {
        let Some(url) = fields.get(field) else {
            continue;
        };
        let url = url.trim();
        body[key] = if url.is_empty() {
            Value::Null
        } else {
            command = format!("{command} {flag} {}", fmt::word(url));
            url.into()
        };
    }
    Ok((body, command))
}

async fn create_provided(change: Change) -> Result<Outcome, Refused> {
    let name = change.fields.required("name", "Name")?;
    let space = change.fields.required("space", "Space")?;
    let (mut body, options) = provided(&change)?;
    body["type"] = "user-provided".into();
    body["name"] = name.into();
    body["relationships"] = json!({ "space": { "data": { "guid": space } } });
    let api = &change.visitor.api;
    let guid = api.post("/v3/service_instances", body).await?.guid()?;
    let command = format!(
        "cf create-user-provided-service {}{options}",
        fmt::word(name)
    );
    Ok(change
        .done(
            format!("{name} is created"),
            format!("/console/services/{guid}"),
        )
        .command(command))
}
