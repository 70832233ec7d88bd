//! How versions of an app replaced each other: deployments with their progress, revisions, what
//! differs between two of them.

mod actions;

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::{AppHead, TABS};
use crate::web::Console;
use crate::web::api::models::{Named, Process, Reference};
use crate::web::api::{Api, Failure};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const DEPLOYMENTS: usize = 20;
const REVISIONS: usize = 100;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/deployments";
    Router::new()
        .route(PAGE, get(deployments))
        .route(&format!("{PAGE}/start"), post(actions::start))
        .route(&format!("{PAGE}/compare"), post(actions::compare))
        .route(
            &format!("{PAGE}/{{deployment}}/{{action}}"),
            post(actions::act),
        )
}

#[derive(Deserialize)]
struct Deployment {
    guid: String,
    created_at: String,
    status: Status,
    strategy: String,
    #[serde(default)]
    revision: Option<Version>,
    #[serde(default)]
    new_processes: Vec<Reference>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    version: Option<i64>,
}

#[derive(Deserialize)]
struct Status {
    value: String,
    reason: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    canary: Option<Canary>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Canary {
    steps: Steps,
}

#[derive(Deserialize)]
struct Steps {
    current: Option<i64>,
    total: Option<i64>,
}

#[derive(Clone, Deserialize)]
struct Revision {
    guid: String,
    version: i64,
    #[serde(default)]
    description: Option<String>,
    created_at: String,
    deployable: bool,
    droplet: Droplet,
    #[serde(default)]
    processes: BTreeMap<String, Command>,
    #[serde(default)]
    sidecars: Vec<Value>,
}

#[derive(Clone, Deserialize)]
struct Droplet {
    #[serde(default)]
    guid: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Command {
    #[serde(default)]
    command: Option<String>,
}

/// A deployment as a row.
struct Row {
    guid: String,
    at: String,
    strategy: String,
    version: Option<i64>,
    word: &'static str,
    tone: &'static str,
    /// The step of a canary deployment, or what hinders it.
    note: String,
    error: String,
    /// Whether it is under way, and whether it waits.
    active: bool,
    paused: bool,
    progress: Option<Progress>,
}

/// Instances of the new process of a deployment, and of the ones it replaces.
struct Progress {
    running: usize,
    wanted: u32,
    old: usize,
}

/// What differs between two revisions.
struct Diff {
    from: i64,
    to: i64,
    lines: Vec<Line>,
}

struct Line {
    what: String,
    from: String,
    to: String,
}

/// Versions to compare.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    from: Option<i64>,
    #[serde(default)]
    to: Option<i64>,
}

#[derive(Template)]
#[template(path = "console/app/deployments.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    rows: Vec<Row>,
    revisions: Vec<Revision>,
    /// Guids of the revisions that run.
    deployed: BTreeSet<String>,
    /// Whether new revisions are kept.
    keeps: bool,
    asked: Asked,
    diff: Option<Diff>,
    /// Whether a deployment is under way.
    busy: bool,
}

impl Page {
    fn at(&self, change: &str) -> String {
        format!("{}/{change}", self.head.path("deployments"))
    }
}

async fn deployments(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    #[derive(Deserialize)]
    struct Feature {
        enabled: bool,
    }
    let head = AppHead::load(&visitor, &guid, "deployments").await?;
    let api = &visitor.api;
    let app = format!("/v3/apps/{}", head.app.guid);
    let path = format!(
        "/v3/deployments?app_guids={}&order_by=-created_at&per_page={DEPLOYMENTS}",
        head.app.guid
    );
    let feature = format!("{app}/features/revisions");
    let deployed = format!("{app}/revisions/deployed?per_page=50");
    let (found, mut revisions, deployed, feature) = tokio::try_join!(
        api.list::<Deployment>(&path),
        revisions(api, &head.app.guid),
        api.list::<Named>(&deployed),
        api.get::<Feature>(&feature),
    )?;
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.version));
    let mut rows = Vec::new();
    for deployment in found.resources {
        rows.push(row(api, &head, deployment).await?);
    }
    let diff = match (asked.from, asked.to) {
        (Some(from), Some(to)) => diff(&revisions, from, to),
        _ => None,
    };
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        busy: rows.iter().any(|row| row.active),
        rows,
        revisions,
        deployed: deployed.resources.into_iter().map(|one| one.guid).collect(),
        keeps: feature.enabled,
        head,
        asked,
        diff,
    })
}

/// The newest revisions of an app.
async fn revisions(api: &Api, app: &str) -> Result<Vec<Revision>, Failure> {
    let path = format!("/v3/apps/{app}/revisions?order_by=-created_at&per_page={REVISIONS}");
    Ok(api.list::<Revision>(&path).await?.resources)
}

async fn row(api: &Api, head: &AppHead, deployment: Deployment) -> Result<Row, Failure> {
    let status = deployment.status;
    let active = status.value == "ACTIVE";
    let (word, tone) = match status.reason.as_str() {
        "DEPLOYING" => ("deploying", "warn"),
        "PAUSED" => ("paused", "warn"),
        "CANCELING" => ("canceling", "warn"),
        "DEPLOYED" => ("deployed", "good"),
        "CANCELED" => ("canceled", "bad"),
        _ => ("superseded", ""),
    };
    let steps = status.canary.map(|canary| canary.steps);
    let note = steps.and_then(|steps| {
        let (current, total) = (steps.current?, steps.total?);
        (active && total > 0).then(|| format!("step {current} of {total}"))
    });
    let progress = match deployment.new_processes.first() {
        Some(new) if active => progress(api, head, &new.guid).await?,
        _ => None,
    };
    Ok(Row {
        guid: deployment.guid,
        at: deployment.created_at,
        strategy: deployment.strategy,
        version: deployment.revision.and_then(|revision| revision.version),
        word,
        tone,
        note: note.unwrap_or_default(),
        error: status.details.error.unwrap_or_default(),
        active,
        paused: status.reason == "PAUSED",
        progress,
    })
}

/// How far the instances of a deployment are.
async fn progress(api: &Api, head: &AppHead, new: &str) -> Result<Option<Progress>, Failure> {
    let path = format!("/v3/processes/{new}?embed=process_instances");
    let Some(process) = api.find::<Process>(&path).await? else {
        return Ok(None);
    };
    let old = head
        .processes
        .iter()
        .filter(|one| one.kind == "web" && one.guid != new);
    Ok(Some(Progress {
        running: process.running(),
        wanted: process.instances,
        old: old.map(Process::running).sum(),
    }))
}

/// What differs; variables are compared on demand, because reading them is an audit event.
fn diff(revisions: &[Revision], from: i64, to: i64) -> Option<Diff> {
    let find = |version| revisions.iter().find(|one| one.version == version);
    let (a, b) = (find(from)?, find(to)?);
    let mut lines = Vec::new();
    let mut compare = |what: &str, from: &str, to: &str| {
        if from != to {
            lines.push(Line {
                what: what.to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
    };
    let droplet = |revision: &Revision| revision.droplet.guid.clone().unwrap_or_default();
    compare("droplet", &droplet(a), &droplet(b));
    let kinds: BTreeSet<&String> = a.processes.keys().chain(b.processes.keys()).collect();
    for kind in kinds {
        let command = |revision: &Revision| {
            let process = revision.processes.get(kind);
            let command = process.map(|one| one.command.as_deref().unwrap_or("from the droplet"));
            command.unwrap_or("no such process").to_owned()
        };
        compare(&format!("command of {kind}"), &command(a), &command(b));
    }
    let sidecars = |revision: &Revision| {
        let all = revision.sidecars.iter().map(|sidecar| {
            let text = |key: &str| sidecar[key].as_str().unwrap_or_default();
            format!("{}: {}", text("name"), text("command"))
        });
        all.collect::<Vec<_>>().join("; ")
    };
    compare("sidecars", &sidecars(a), &sidecars(b));
    Some(Diff { from, to, lines })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_revisions_differ_in_what_they_run() {
        let of = |version: i64, droplet: &str, processes: Value| -> Revision {
            serde_json::from_value(json!({
                "guid": "g", "version": version, "created_at": "", "deployable": true,
                "droplet": { "guid": droplet }, "processes": processes,
            }))
            .unwrap()
        };
        let all = [
            of(1, "d1", json!({ "web": { "command": null } })),
            of(
                2,
                "d2",
                json!({ "web": { "command": "serve" }, "worker": {} }),
            ),
        ];
        let diff = diff(&all, 1, 2).unwrap();
        let lines = diff.lines.iter();
        let lines: Vec<String> = lines
            .map(|line| format!("{}: {} → {}", line.what, line.from, line.to))
            .collect();
        assert_eq!(
            lines,
            [
                "droplet: d1 → d2",
                "command of web: from the droplet → serve",
                "command of worker: no such process → from the droplet",
            ]
        );
        assert!(super::diff(&all, 1, 3).is_none());
        assert!(super::diff(&all, 2, 2).unwrap().lines.is_empty());
    }
}
