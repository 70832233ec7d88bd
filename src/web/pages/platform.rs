//! The platform itself: health, what goes on, registry and caches, alerts, configuration, own log.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::Path;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::admin::administrators;
use crate::web::api::models::Named;
use crate::web::api::services::ServiceInstance;
use crate::web::api::{Body, send};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{Console, Setting};

const PAGE: &str = "/console/platform";
/// What is read of the end of the own log.
const TAIL: u64 = 32 * 1024;
const LINES: usize = 100;
/// Images that are shown; the largest come first.
const IMAGES: usize = 100;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/platform/gc/{what}", post(collect))
        .route("/console/platform/alerts/test", post(test_alerts))
}

/// `/healthz`.
#[derive(Deserialize)]
struct Health {
    docker: String,
    counts: BTreeMap<String, Value>,
    workers: BTreeMap<String, Worker>,
    #[serde(skip)]
    is_good: bool,
}

#[derive(Deserialize)]
struct Worker {
    restarts: u32,
    #[serde(default)]
    last_error: Option<String>,
    running: bool,
}

/// Work that goes on.
struct Work {
    what: &'static str,
    count: usize,
    link: &'static str,
}

#[derive(Deserialize)]
struct Holdings {
    images: Vec<Image>,
    cache_bytes: u64,
    cache_limit: u64,
}

#[derive(Deserialize)]
struct Image {
    repository: String,
    tags: Vec<String>,
    size: u64,
    complete: bool,
}

#[derive(Deserialize)]
struct Packages {
    #[serde(rename = "packages")]
    files: Vec<serde::de::IgnoredAny>,
    cache_bytes: u64,
    cache_limit: u64,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    severity: String,
    source: String,
    summary: String,
    detail: String,
    since: String,
    count: u64,
}

/// What only administrators see.
struct Inside {
    holdings: Holdings,
    images: usize,
    packages: Packages,
    alerts: Vec<Alert>,
    settings: Vec<Setting>,
    log: Vec<String>,
}

#[derive(Template)]
#[template(path = "console/platform.html")]
struct Page {
    frame: Frame,
    health: Health,
    version: &'static str,
    work: Vec<Work>,
    inside: Option<Inside>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    if !visitor.sees_all() {
        administrators(&visitor)?;
    }
    let inside = if visitor.is_admin() {
        Some(inside(&visitor).await?)
    } else {
        None
    };
    show::page(&Page {
        health: health(&visitor).await?,
        version: env!("CARGO_PKG_VERSION"),
        work: work(&visitor).await?,
        frame: Frame::new(&visitor, "platform").refreshed(10),
        inside,
    })
}

async fn health(visitor: &Visitor) -> Result<Health, Refused> {
    let (console, base) = (&visitor.console, visitor.base());
    let reply = send(console, base, None, Method::GET, "/healthz", Body::Nothing).await?;
    let mut health: Health = reply.json()?;
    health.is_good = reply.status == StatusCode::OK;
    Ok(health)
}

/// What goes on, as far as the visitor sees it.
async fn work(visitor: &Visitor) -> Result<Vec<Work>, Refused> {
    let api = &visitor.api;
    let (builds, deployments, tasks, services) = tokio::try_join!(
        api.list::<Named>("/v3/builds?states=STAGING&per_page=1"),
        api.list::<Named>("/v3/deployments?status_values=ACTIVE&per_page=1"),
        api.list::<Named>("/v3/tasks?states=PENDING,RUNNING&per_page=1"),
        api.all::<ServiceInstance>("/v3/service_instances?order_by=created_at", 2),
    )?;
    let at_work = |one: &&ServiceInstance| {
        let operation = one.last_operation.as_ref();
        operation.is_some_and(|operation| !operation.is_over())
    };
    Ok(vec![
        Work {
            what: "Apps being staged",
            count: builds.pagination.total_results,
            link: "/console/apps",
        },
        Work {
            what: "Deployments",
            count: deployments.pagination.total_results,
            link: "/console/apps",
        },
        Work {
            what: "Tasks",
            count: tasks.pagination.total_results,
            link: "/console/apps",
        },
        Work {
            what: "Services being changed",
            count: services.resources.iter().filter(at_work).count(),
            link: "/console/services",
        },
    ])
}

async fn inside(visitor: &Visitor) -> Result<Inside, Refused> {
    let mut holdings: Holdings = visitor.operator("/cflite/registry").await?;
    let packages: Packages = visitor.operator("/cflite/packages").await?;
    let alerts: Alerts = visitor.operator("/cflite/alerts").await?;
    let parts = visitor.console.parts();
    let images = holdings.images.len();
    holdings
        .images
        .sort_by_key(|image| std::cmp::Reverse(image.size));
    holdings.images.truncate(IMAGES);
    Ok(Inside {
        holdings,
        images,
        packages,
        alerts: alerts.alerts,
        settings: parts.settings.get().to_vec(),
        log: tail(&parts.own_log).await,
    })
}

/// The last lines of the own log; none when it is written elsewhere.
async fn tail(path: &Path) -> Vec<String> {
    let read = async {
        let mut file = tokio::fs::File::open(path).await?;
        let size = file.metadata().await?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))
            .await?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>((bytes, size > TAIL))
    };
    let Ok((bytes, is_cut)) = read.await else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    // The first line of a part is the end of one.
    let lines: Vec<&str> = text.lines().skip(usize::from(is_cut)).collect();
    let start = lines.len().saturating_sub(LINES);
    lines[start..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

/// Removes what nothing needs.
async fn collect(
    axum::extract::Path(what): axum::extract::Path<String>,
    change: Change,
) -> Result<Outcome, Refused> {
    administrators(&change.visitor)?;
    let path = match what.as_str() {
        "registry" => "/cflite/registry/gc",
        "packages" => "/cflite/packages/gc",
        _ => return Err(Refused::not_found()),
    };
    change.visitor.entitled_to(Method::POST, path).await?;
    Ok(change
        .done("What nothing needs is removed", PAGE)
        .command(format!("cflite {what} gc")))
}

async fn test_alerts(change: Change) -> Result<Outcome, Refused> {
    administrators(&change.visitor)?;
    let path = "/cflite/alerts/test";
    change.visitor.entitled_to(Method::POST, path).await?;
    Ok(change
        .done("A test was sent to everybody who is told of alerts", PAGE)
        .command("cflite alerts test"))
}

impl Image {
    fn bytes(&self) -> String {
        let size = fmt::bytes(self.size);
        if self.complete {
            size
        } else {
            format!("{size}, in part")
        }
    }
}
