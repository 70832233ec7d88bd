//! Home: what runs, what is wrong, what happened.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use super::apps::{Row, State, rows};
use crate::web::Console;
use crate::web::api::models::{App, Event, Named, Process};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{events, fmt};

const EVENTS: usize = 12;
const PROBLEMS: usize = 10;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console", get(home))
}

#[derive(Template)]
#[template(path = "console/home.html")]
struct Page {
    frame: Frame,
    apps: usize,
    running: usize,
    stopped: usize,
    instances: usize,
    wanted: usize,
    memory: String,
    problems: Vec<Row>,
    events: Vec<events::Line>,
    spaces: usize,
}

async fn home(visitor: Visitor) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (apps, processes, events, spaces) = tokio::try_join!(
        api.all::<App>("/v3/apps?include=space.organization", 4),
        api.all::<Process>("/v3/processes?embed=process_instances", 4),
        async {
            let path = format!("/v3/audit_events?order_by=-created_at&per_page={EVENTS}");
            api.list::<Event>(&path).await
        },
        api.list::<Named>("/v3/spaces?per_page=1"),
    )?;
    let started = apps
        .resources
        .iter()
        .filter(|app| app.state == "STARTED")
        .count();
    let by_app: HashMap<&str, &App> = apps
        .resources
        .iter()
        .map(|app| (app.guid.as_str(), app))
        .collect();
    let of_started = processes.resources.iter().filter(|process| {
        let app = by_app.get(process.relationships.app.guid());
        app.is_some_and(|app| app.state == "STARTED")
    });
    let (mut wanted, mut running, mut memory) = (0, 0, 0);
    for process in of_started {
        wanted += process.instances as usize;
        running += process.running();
        memory += process.memory_in_mb * u64::from(process.instances);
    }
    let count = apps.resources.len();
    let mut problems = rows(apps.resources, &apps.included, &processes.resources);
    problems.retain(Row::is_wrong);
    problems.sort_by_key(|row| row.state != State::Crashed);
    problems.truncate(PROBLEMS);
    show::page(&Page {
        frame: Frame::new(&visitor, "home"),
        apps: count,
        running: started,
        stopped: count - started,
        instances: running,
        wanted,
        memory: fmt::megabytes(memory),
        problems,
        events: events::lines(&events.resources),
        spaces: spaces.pagination.total_results,
    })
}
