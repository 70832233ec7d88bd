//! The users of the platform, and new ones.

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::administrators;
use crate::web::Console;
use crate::web::api::Failure;
use crate::web::api::models::User;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const MOST: usize = 200;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/people", get(list).post(create))
}

#[derive(Deserialize)]
struct Asked {
    /// A part of the name.
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "console/admin/people.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    asked: Asked,
    users: Vec<User>,
    found: usize,
}

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    administrators(&visitor)?;
    let mut path = format!("/v3/users?order_by=created_at&per_page={MOST}");
    if !asked.q.trim().is_empty() {
        path = format!("{path}&partial_usernames={}", fmt::query(asked.q.trim()));
    }
    let found = visitor.api.list::<User>(&path).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "people",
        asked,
        found: found.pagination.total_results,
        users: found.resources,
    })
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// As `cf create-user` does: the UAA gets the user and its password, the Cloud Controller its guid.
async fn create(change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let name = fields.required("username", "User name")?;
    let password = fields.get("password").unwrap_or_default();
    if password.is_empty() {
        return Err(Refused::field("password", "Password can't be blank"));
    }
    let email = fields.text("email").unwrap_or(name);
    let body = json!({
        "userName": name,
        "password": password,
        "origin": "uaa",
        "emails": [{ "value": email, "primary": true }],
    });
    let api = &change.visitor.api;
    let made: Made = api.post("/Users", body).await?.json()?;
    let body: Value = json!({ "guid": made.id });
    match api.post("/v3/users", body).await {
        Ok(_) => {}
        // It knew the guid already.
        Err(Failure::Api { status, .. }) if status == http::StatusCode::UNPROCESSABLE_ENTITY => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(change
        .done(
            format!("{name} can sign in; give a role in an org or space next"),
            format!("/console/people/{}", fmt::segment(&made.id)),
        )
        .command(format!("cf create-user {} PASSWORD", fmt::word(name))))
}
