//! One user: roles, a new password, deletion.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use http::Method;
use serde_json::json;

use super::administrators;
use crate::web::Console;
use crate::web::api::models::{Included, Role, User};
use crate::web::api::{Body, Failure};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::orgs::{ORGANIZATION_ROLES, SPACE_ROLES};
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/people/{guid}", get(page))
        .route("/console/people/{guid}/password", post(set_password))
        .route("/console/people/{guid}/delete", post(delete))
}

/// A role in words.
struct Line {
    guid: String,
    label: &'static str,
    may: &'static str,
    place: String,
    /// The page of the place.
    link: String,
}

#[derive(Template)]
#[template(path = "console/admin/person.html")]
struct Page {
    frame: Frame,
    user: User,
    roles: Vec<Line>,
    is_own: bool,
}

impl Page {
    /// Whether its password is kept here.
    fn is_local(&self) -> bool {
        self.user.origin.as_deref() == Some("uaa")
    }
}

async fn page(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    administrators(&visitor)?;
    let api = &visitor.api;
    let user: User = api
        .get(&format!("/v3/users/{}", fmt::segment(&guid)))
        .await?;
    let path = format!(
        "/v3/roles?user_guids={}&include=organization,space",
        fmt::query(&user.guid)
    );
    let roles = api.all::<Role>(&path, 1).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        is_own: visitor.user_guid() == user.guid,
        roles: roles
            .resources
            .iter()
            .filter_map(|role| line(role, &roles.included))
            .collect(),
        user,
    })
}

fn line(role: &Role, included: &Included) -> Option<Line> {
    let mut kinds = ORGANIZATION_ROLES.iter().chain(SPACE_ROLES);
    let kind = kinds.find(|kind| kind.name == role.kind)?;
    let of = &role.relationships;
    let (space, organization) = (of.space.guid(), of.organization.guid());
    let (place, link) = if space.is_empty() {
        let mut all = included.organizations.iter();
        let name = all.find(|one| one.guid == organization);
        (
            name.map(|one| one.name.clone()),
            format!("/console/orgs/{organization}"),
        )
    } else {
        let mut all = included.spaces.iter();
        let name = all.find(|one| one.guid == space);
        (
            name.map(|one| one.name.clone()),
            format!("/console/spaces/{space}"),
        )
    };
    Some(Line {
        guid: role.guid.clone(),
        label: kind.label,
        may: kind.may,
        place: place.unwrap_or_default(),
        link,
    })
}

async fn user(change: &Change, guid: &str) -> Result<User, Refused> {
    let path = format!("/v3/users/{}", fmt::segment(guid));
    Ok(change.visitor.api.get(&path).await?)
}

fn back(guid: &str) -> String {
    format!("/console/people/{}", fmt::segment(guid))
}

/// By the UAA, whose rules say who may and which passwords are good.
async fn set_password(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let user = user(&change, &guid).await?;
    let password = change.fields.get("password").unwrap_or_default();
    if password.is_empty() {
        return Err(Refused::field("password", "Password can't be blank"));
    }
    let mut body = json!({ "password": password });
    if let Some(old) = change.fields.get("old").filter(|old| !old.is_empty()) {
        body["oldPassword"] = old.into();
    }
    let path = format!("/Users/{}/password", fmt::segment(&guid));
    let api = &change.visitor.api;
    api.change(Method::PUT, &path, Body::Json(body)).await?;
    Ok(change
        .done(
            format!(
                "{} has a new password; its sessions have ended",
                user.label()
            ),
            back(&guid),
        )
        .command(format!("cf curl -X PUT {path} (of the UAA)")))
}

/// As `cf delete-user` does: from the Cloud Controller, then from the UAA.
async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let user = user(&change, &guid).await?;
    let name = user.label();
    change.fields.typed(name, "the user")?;
    if change.visitor.user_guid() == guid {
        let text = "You cannot delete yourself here; another administrator can";
        return Err(Refused::field("typed", text));
    }
    let api = &change.visitor.api;
    let segment = fmt::segment(&guid);
    let reply = api.delete(&format!("/v3/users/{segment}")).await?;
    let progress = api.finish(&reply).await?;
    match api.delete(&format!("/Users/{segment}")).await {
        Ok(_) => {}
        // Of another origin, or deleted there before.
        Err(Failure::Api { status, .. }) if status == http::StatusCode::NOT_FOUND => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(change
        .done(progress.deleted(name), "/console/people")
        .command(format!("cf delete-user {} -f", fmt::word(name))))
}
