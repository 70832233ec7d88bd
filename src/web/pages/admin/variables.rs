//! Environment variables that all apps get, when they are staged and when they run.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::web::Console;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/variables";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/variables/{group}", post(set))
}

#[derive(Deserialize)]
struct Group {
    name: String,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(rename = "var")]
    variables: Map<String, Value>,
}

impl Group {
    fn json(&self) -> String {
        format!("{:#}", Value::Object(self.variables.clone()))
    }
}

#[derive(Template)]
#[template(path = "console/admin/variables.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    groups: Vec<Group>,
}

fn path(group: &str) -> String {
    format!("/v3/environment_variable_groups/{}", fmt::segment(group))
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let (running, staging) = (path("running"), path("staging"));
    let (running, staging) = tokio::try_join!(
        visitor.api.get::<Group>(&running),
        visitor.api.get::<Group>(&staging)
    )?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "variables",
        groups: vec![running, staging],
    })
}

/// Replaces a group as a whole: the API changes variables one by one, so those that are left out are
/// named with null.
async fn set(Path(name): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let text = change.fields.text("variables").unwrap_or("{}");
    let wanted: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let text = format!("Variables must be a JSON object: {error}");
        Refused::field("variables", &text)
    })?;
    let api = &change.visitor.api;
    let before: Group = api.get(&path(&name)).await?;
    let mut body = wanted.clone();
    for variable in before.variables.keys() {
        body.entry(variable.clone()).or_insert(Value::Null);
    }
    api.patch(&path(&name), json!({ "var": body })).await?;
    let command = format!(
        "cf set-{name}-environment-variable-group {}",
        fmt::word(&Value::Object(wanted).to_string())
    );
    let text = format!(
        "Apps get these variables when they are next {}",
        if name == "staging" {
            "staged"
        } else {
            "started"
        }
    );
    Ok(change.done(text, PAGE).command(command))
}
