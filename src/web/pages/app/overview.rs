//! The first tab: instances, how they are scaled, addresses, what happened.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use super::{AppHead, TABS};
use crate::web::Console;
use crate::web::api::models::{Event, Instance, Process, Route, Stats};
use crate::web::explain::{Explanation, collect};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{events, fmt, links};

const EVENTS: usize = 8;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/apps/{guid}", get(overview))
}

/// A process and what its instances do.
struct Shown {
    process: Process,
    instances: Vec<Line>,
}

/// An instance.
struct Line {
    index: u32,
    state: String,
    tone: &'static str,
    uptime: String,
    cpu: String,
    memory: String,
    memory_part: u64,
    disk: String,
    details: String,
}

#[derive(Template)]
#[template(path = "console/app/overview.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    /// What is wrong, if something is.
    why: Option<Explanation>,
    processes: Vec<Shown>,
    /// Addresses, and where a browser finds them; empty for what is no page.
    routes: Vec<(String, String)>,
    events: Vec<events::Line>,
}

async fn overview(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let mut head = AppHead::load(&visitor, &guid, "").await?;
    let api = &visitor.api;
    let guid = &head.app.guid.clone();
    let routes = format!("/v3/routes?app_guids={guid}&include=domain&per_page=20");
    let events =
        format!("/v3/audit_events?target_guids={guid}&order_by=-created_at&per_page={EVENTS}");
    let (routes, events) =
        tokio::try_join!(api.list::<Route>(&routes), api.list::<Event>(&events))?;
    let mut processes = Vec::new();
    for process in &mut head.processes {
        // Lists hide commands, also from those who may read them.
        let whole = format!("/v3/processes/{}", process.guid);
        if let Some(whole) = api.find::<Process>(&whole).await? {
            process.command = whole.command;
        }
        let path = format!("/v3/processes/{}/stats", process.guid);
        let stats: Option<Stats> = api.find(&path).await?;
        let instances = stats.map(|stats| stats.resources).unwrap_or_default();
        processes.push(Shown {
            process: process.clone(),
            instances: instances.iter().map(line).collect(),
        });
    }
    let now = visitor.console.parts().clock.now();
    let why = collect::explanation(api, guid, now).await?;
    let base = visitor.base();
    show::page(&Page {
        frame: Frame::new(&visitor, "apps").refreshed(5),
        head,
        why: why.wrong.then_some(why),
        processes,
        routes: { routes.resources.iter() }
            .map(|route| {
                let link = links::in_list(route, &routes.included, base);
                (route.shown(), link)
            })
            .collect(),
        events: events::lines(&events.resources),
    })
}

/// An instance as a row.
fn line(instance: &Instance) -> Line {
    let usage = &instance.usage;
    let of = |used: Option<u64>, quota: Option<u64>| match (used, quota) {
        (Some(used), Some(quota)) => format!("{} of {}", fmt::bytes(used), fmt::bytes(quota)),
        (Some(used), None) => fmt::bytes(used),
        _ => String::new(),
    };
    let part = match (usage.mem, instance.mem_quota) {
        (Some(used), Some(quota)) if quota > 0 => (used * 100 / quota).min(100),
        _ => 0,
    };
    let (state, tone) = match instance.state.as_str() {
        "RUNNING" if instance.routable == Some(false) => ("running, not ready", "warn"),
        "RUNNING" => ("running", "good"),
        "STARTING" => ("starting", "warn"),
        "CRASHED" => ("crashed", "bad"),
        "STOPPING" => ("stopping", "warn"),
        _ => ("down", "warn"),
    };
    Line {
        index: instance.index,
        state: state.to_owned(),
        tone,
        uptime: instance.uptime.map(fmt::seconds).unwrap_or_default(),
        cpu: usage
            .cpu
            .map(|cpu| format!("{:.1} %", cpu * 100.0))
            .unwrap_or_default(),
        memory: of(usage.mem, instance.mem_quota),
        memory_part: part,
        disk: of(usage.disk, instance.disk_quota),
        details: instance.details.clone().unwrap_or_default(),
    }
}
