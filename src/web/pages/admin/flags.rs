//! Feature flags: what the API allows those who do not administer.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::web::Console;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/feature-flags";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/feature-flags/{name}", post(set))
}

#[derive(Deserialize)]
struct Flag {
    name: String,
    enabled: bool,
    #[serde(default)]
    custom_error_message: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Template)]
#[template(path = "console/admin/flags.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    flags: Vec<Flag>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let path = "/v3/feature_flags?order_by=name";
    let flags = visitor.api.all::<Flag>(path, 1).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "feature-flags",
        flags: flags.resources,
    })
}

async fn set(Path(name): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let enabled = change.fields.has("enabled");
    let message = change.fields.text("message");
    let path = format!("/v3/feature_flags/{}", fmt::segment(&name));
    let body = json!({ "enabled": enabled, "custom_error_message": message });
    change.visitor.api.patch(&path, body).await?;
    let word = if enabled { "enable" } else { "disable" };
    Ok(change
        .done(format!("{name} is {word}d"), PAGE)
        .command(format!("cf {word}-feature-flag {}", fmt::word(&name))))
}
