//! What the palette finds: every place by its name.

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::admin::tabs;
use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::frame::Frame;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/palette.json", get(list))
}

/// A place.
#[derive(Serialize)]
struct Place {
    name: String,
    kind: &'static str,
    link: String,
}

const PAGES: &[(&str, &str)] = &[
    ("Home", "/console"),
    ("Apps", "/console/apps"),
    ("Push an app", "/console/push"),
    ("Logs", "/console/logs"),
    ("Services", "/console/services"),
    ("Marketplace", "/console/marketplace"),
    ("Service brokers", "/console/brokers"),
    ("Routes", "/console/routes"),
    ("Orgs and spaces", "/console/orgs"),
];

async fn list(visitor: Visitor) -> Result<Json<Vec<Place>>, Refused> {
    let api = &visitor.api;
    let (apps, spaces, organizations, services) = tokio::try_join!(
        api.all::<Named>("/v3/apps?order_by=name", 2),
        api.all::<Named>("/v3/spaces?order_by=name", 2),
        api.all::<Named>("/v3/organizations?order_by=name", 2),
        api.all::<Named>("/v3/service_instances?order_by=name", 2),
    )?;
    let mut places: Vec<Place> = PAGES
        .iter()
        .map(|(name, link)| Place {
            name: (*name).to_owned(),
            kind: "page",
            link: (*link).to_owned(),
        })
        .collect();
    let administration = tabs(&Frame::new(&visitor, "")).into_iter();
    places.extend(administration.map(|(page, label)| Place {
        name: label.to_owned(),
        kind: "page",
        link: format!("/console/{page}"),
    }));
    let kinds = [
        ("app", "apps", apps.resources),
        ("service", "services", services.resources),
        ("space", "spaces", spaces.resources),
        ("org", "orgs", organizations.resources),
    ];
    for (kind, folder, found) in kinds {
        places.extend(found.into_iter().map(|one| Place {
            link: format!("/console/{folder}/{}", one.guid),
            name: one.name,
            kind,
        }));
    }
    Ok(Json(places))
}
