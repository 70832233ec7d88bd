//! Stacks: the systems that apps run on.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/stacks";
const STATES: [&str; 4] = ["ACTIVE", "RESTRICTED", "DEPRECATED", "DISABLED"];

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/stacks/{guid}/update", post(update))
        .route("/console/stacks/{guid}/delete", post(delete))
}

#[derive(Deserialize)]
struct Stack {
    guid: String,
    name: String,
    #[serde(default)]
    description: Option<String>,
    state: String,
    #[serde(default)]
    state_reason: Option<String>,
    default: bool,
}

impl Stack {
    fn tone(&self) -> &'static str {
        match self.state.as_str() {
            "ACTIVE" => "good",
            "DISABLED" => "bad",
            _ => "warn",
        }
    }
}

/// A stack and how many apps, that the visitor sees, run on it.
struct Row {
    stack: Stack,
    apps: usize,
}

#[derive(Template)]
#[template(path = "console/admin/stacks.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    rows: Vec<Row>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let api = &visitor.api;
    let stacks = api.all::<Stack>("/v3/stacks?order_by=name", 1).await?;
    let mut rows = Vec::new();
    for stack in stacks.resources {
        let path = format!("/v3/stacks/{}/apps?per_page=1", stack.guid);
        let apps = api.list::<Named>(&path).await?.pagination.total_results;
        rows.push(Row { stack, apps });
    }
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "stacks",
        rows,
    })
}

async fn update(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/stacks/{}", fmt::segment(&guid));
    let state = change.fields.required("state", "State")?;
    let reason = change.fields.text("state_reason");
    let body = json!({ "state": state, "state_reason": reason });
    change.visitor.api.patch(&path, body.clone()).await?;
    let command = format!(
        "cf curl -X PATCH {path} -d {}",
        fmt::word(&body.to_string())
    );
    Ok(change
        .done(format!("The stack is {}", state.to_lowercase()), PAGE)
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/stacks/{}", fmt::segment(&guid));
    let api = &change.visitor.api;
    let stack: Named = api.get(&path).await?;
    change.fields.typed(&stack.name, "the stack")?;
    api.delete(&path).await?;
    Ok(change
        .done(format!("{} is deleted", stack.name), PAGE)
        .command(format!("cf curl -X DELETE {path}")))
}
