//! Organizations and spaces: what is in them, who is a member, and how much of their quotas is used.

mod limits;
mod members;
mod organization;
mod organization_changes;
mod space;
mod space_changes;

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::web::Console;
use crate::web::api::models::{Named, Organization, Space};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) use limits::{Members, Quota};
pub(super) use members::{ORGANIZATION_ROLES, SPACE_ROLES};
pub(super) use organization::Domain;

/// Rows that are shown; a filter finds the others.
const MOST: usize = 500;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(
            "/console/orgs",
            get(list).post(organization_changes::create),
        )
        .merge(organization::routes())
        .merge(organization_changes::routes())
        .merge(space::routes())
        .merge(space_changes::routes())
}

#[derive(Deserialize)]
struct Asked {
    /// A part of the name of an organization or space.
    #[serde(default)]
    q: String,
}

/// An organization and its spaces.
struct Row {
    organization: Organization,
    quota: String,
    spaces: Vec<Space>,
}

#[derive(Template)]
#[template(path = "console/orgs/list.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    found: usize,
    total: usize,
    may_create: bool,
}

#[derive(Deserialize)]
struct Flag {
    enabled: bool,
}

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (organizations, spaces, quotas, flag) = tokio::try_join!(
        api.all::<Organization>("/v3/organizations?order_by=name", 2),
        api.all::<Space>("/v3/spaces?order_by=name", 2),
        api.all::<Named>("/v3/organization_quotas?order_by=name", 1),
        api.get::<Flag>("/v3/feature_flags/user_org_creation"),
    )?;
    let total = organizations.resources.len();
    let mut of: HashMap<String, Vec<Space>> = HashMap::new();
    for space in spaces.resources {
        let organization = space.relationships.organization.guid().to_owned();
        of.entry(organization).or_default().push(space);
    }
    let part = asked.q.to_lowercase();
    let mut rows = Vec::new();
    for organization in organizations.resources {
        let spaces = of.remove(&organization.guid).unwrap_or_default();
        let mut names = spaces.iter().map(|space| &space.name);
        if organization.name.to_lowercase().contains(&part)
            || names.any(|name| name.to_lowercase().contains(&part))
        {
            let quota = organization.relationships.quota.guid();
            let quota = quotas.resources.iter().find(|one| one.guid == quota);
            rows.push(Row {
                quota: quota.map(|one| one.name.clone()).unwrap_or_default(),
                organization,
                spaces,
            });
        }
    }
    let found = rows.len();
    rows.truncate(MOST);
    show::page(&Page {
        may_create: visitor.is_admin() || flag.enabled,
        frame: Frame::new(&visitor, "orgs"),
        asked,
        rows,
        found,
        total,
    })
}
