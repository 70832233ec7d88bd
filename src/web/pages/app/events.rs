//! What happened to an app: its audit events, a page at a time.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::{AppHead, TABS};
use crate::web::Console;
use crate::web::api::models::Event;
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{events, fmt};

const PER_PAGE: usize = 50;

/// Types of events of an app that one looks for; others are found by their name.
const TYPES: &[&str] = &[
    "audit.app.apply_manifest",
    "audit.app.build.create",
    "audit.app.build.failed",
    "audit.app.build.staged",
    "audit.app.create",
    "audit.app.deployment.cancel",
    "audit.app.deployment.continue",
    "audit.app.deployment.create",
    "audit.app.droplet.create",
    "audit.app.droplet.delete",
    "audit.app.droplet.download",
    "audit.app.droplet.mapped",
    "audit.app.droplet.upload",
    "audit.app.environment.show",
    "audit.app.environment_variables.show",
    "audit.app.map-route",
    "audit.app.package.create",
    "audit.app.package.delete",
    "audit.app.package.download",
    "audit.app.package.upload",
    "audit.app.process.crash",
    "audit.app.process.create",
    "audit.app.process.delete",
    "audit.app.process.not-ready",
    "audit.app.process.ready",
    "audit.app.process.scale",
    "audit.app.process.terminate_instance",
    "audit.app.process.update",
    "audit.app.restart",
    "audit.app.revision.create",
    "audit.app.revision.environment_variables.show",
    "audit.app.start",
    "audit.app.stop",
    "audit.app.task.cancel",
    "audit.app.task.create",
    "audit.app.unmap-route",
    "audit.app.update",
];

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/apps/{guid}/events", get(list))
}

#[derive(Deserialize)]
struct Asked {
    /// One type; empty for all.
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    page: usize,
}

/// An event and what it tells besides.
struct Row {
    guid: String,
    line: events::Line,
    data: String,
}

#[derive(Template)]
#[template(path = "console/app/events.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    asked: Asked,
    types: &'static [&'static str],
    rows: Vec<Row>,
    total: usize,
    number: usize,
    pages: usize,
}

impl Page {
    /// The address of another page with the same filter.
    fn other(&self, page: usize) -> String {
        let kind = fmt::query(&self.asked.kind);
        format!("{}?type={kind}&page={page}", self.head.path("events"))
    }
}

async fn list(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "events").await?;
    let page = asked.page.max(1);
    let mut path = format!(
        "/v3/audit_events?target_guids={}&order_by=-created_at&per_page={PER_PAGE}&page={page}",
        head.app.guid
    );
    if !asked.kind.is_empty() {
        path = format!("{path}&types={}", fmt::query(&asked.kind));
    }
    let found = visitor.api.list::<Event>(&path).await?;
    let rows = found.resources.iter().map(|event| Row {
        guid: event.guid.clone(),
        line: events::Line::of(event),
        data: match event.data.as_object() {
            Some(fields) if !fields.is_empty() => fmt::json(&event.data),
            _ => String::new(),
        },
    });
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        rows: rows.collect(),
        types: TYPES,
        head,
        asked,
        total: found.pagination.total_results,
        number: page,
        pages: found.pagination.total_pages.max(1),
    })
}
