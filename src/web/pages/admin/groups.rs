//! Security groups: what apps may reach outside of the platform.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/security-groups";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page).post(create))
        .route("/console/security-groups/{guid}/update", post(update))
        .route("/console/security-groups/{guid}/delete", post(delete))
}

#[derive(Deserialize)]
struct Group {
    guid: String,
    name: String,
    rules: Vec<Rule>,
    globally_enabled: Everywhere,
    relationships: OfGroup,
}

#[derive(Deserialize)]
struct Everywhere {
    running: bool,
    staging: bool,
}

#[derive(Deserialize)]
struct OfGroup {
    running_spaces: crate::web::pages::orgs::Members,
    staging_spaces: crate::web::pages::orgs::Members,
}

#[derive(Deserialize, serde::Serialize)]
struct Rule {
    protocol: String,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Group {
    fn json(&self) -> String {
        serde_json::to_string_pretty(&self.rules).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "console/admin/groups.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    groups: Vec<Group>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let path = "/v3/security_groups?order_by=created_at";
    let groups = visitor.api.all::<Group>(path, 1).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "security-groups",
        groups: groups.resources,
    })
}

/// Name, rules, and where the group applies without being bound.
fn body(change: &Change) -> Result<Value, Refused> {
    let fields = &change.fields;
    let rules = fields.text("rules").unwrap_or("[]");
    let rules: Value = serde_json::from_str(rules).map_err(|error| {
        Refused::field("rules", &format!("Rules must be a JSON array: {error}"))
    })?;
    Ok(json!({
        "name": fields.required("name", "Name")?,
        "rules": rules,
        "globally_enabled": { "running": fields.has("running"), "staging": fields.has("staging") },
    }))
}

async fn create(change: Change) -> Result<Outcome, Refused> {
    let body = body(&change)?;
    let name = change.fields.required("name", "Name")?;
    change.visitor.api.post("/v3/security_groups", body).await?;
    let command = format!("cf create-security-group {} RULES.json", fmt::word(name));
    Ok(change
        .done(format!("The security group {name} is there"), PAGE)
        .command(command))
}

async fn update(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/security_groups/{}", fmt::segment(&guid));
    let body = body(&change)?;
    let api = &change.visitor.api;
    let before: Named = api.get(&path).await?;
    api.patch(&path, body).await?;
    let command = format!(
        "cf update-security-group {} RULES.json",
        fmt::word(&before.name)
    );
    let text = "The security group is changed; apps take it when they restart";
    Ok(change.done(text, PAGE).command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/security_groups/{}", fmt::segment(&guid));
    let api = &change.visitor.api;
    let group: Named = api.get(&path).await?;
    change.fields.typed(&group.name, "the security group")?;
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete-security-group {} -f", fmt::word(&group.name));
    Ok(change
        .done(progress.deleted(&group.name), PAGE)
        .command(command))
}
