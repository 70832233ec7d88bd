//! Commands that run once beside an app's processes.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::{AppHead, TABS, named};
use crate::web::Console;
use crate::web::api::models::ToOne;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PER_PAGE: usize = 50;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/tasks";
    Router::new()
        .route(PAGE, get(list))
        .route(&format!("{PAGE}/run"), post(run))
        .route(&format!("{PAGE}/{{task}}/cancel"), post(cancel))
}

#[derive(Deserialize)]
struct Task {
    guid: String,
    sequence_id: i64,
    name: String,
    /// Only for whom secrets are shown.
    #[serde(default)]
    command: Option<String>,
    state: String,
    memory_in_mb: u64,
    created_at: String,
    result: TaskResult,
    relationships: OfTask,
}

#[derive(Deserialize)]
struct TaskResult {
    #[serde(default)]
    failure_reason: Option<String>,
}

#[derive(Deserialize)]
struct OfTask {
    app: ToOne,
}

impl Task {
    fn word(&self) -> &'static str {
        match self.state.as_str() {
            "PENDING" => "pending",
            "RUNNING" => "running",
            "SUCCEEDED" => "succeeded",
            "CANCELING" => "canceling",
            _ => "failed",
        }
    }

    fn tone(&self) -> &'static str {
        match self.state.as_str() {
            "SUCCEEDED" => "good",
            "FAILED" => "bad",
            _ => "warn",
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "PENDING" | "RUNNING")
    }

    fn memory(&self) -> String {
        fmt::megabytes(self.memory_in_mb)
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    page: usize,
}

#[derive(Template)]
#[template(path = "console/app/tasks.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    tasks: Vec<Task>,
    number: usize,
    pages: usize,
}

impl Page {
    fn other(&self, page: usize) -> String {
        format!("{}?page={page}", self.head.path("tasks"))
    }

    /// Where the lines of a task are.
    fn log(&self, task: &Task) -> String {
        let source = fmt::query(&format!("APP/TASK/{}", task.name));
        format!("{}?source={source}", self.head.path("logs"))
    }
}

async fn list(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "tasks").await?;
    let page = asked.page.max(1);
    let path = format!(
        "/v3/apps/{}/tasks?order_by=-created_at&per_page={PER_PAGE}&page={page}",
        head.app.guid
    );
    let found = visitor.api.list::<Task>(&path).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        head,
        tasks: found.resources,
        number: page,
        pages: found.pagination.total_pages.max(1),
    })
}

async fn run(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let fields = &change.fields;
    let command = fields.required("command", "Command")?;
    let mut body = json!({ "command": command });
    let mut options = String::new();
    if let Some(name) = fields.text("name") {
        body["name"] = json!(name);
        options = format!("{options} --name {}", fmt::word(name));
    }
    for (field, label, key, flag) in [
        ("memory", "Memory", "memory_in_mb", "-m"),
        ("disk", "Disk", "disk_in_mb", "-k"),
    ] {
        if let Some(number) = fields.number(field, label)? {
            body[key] = json!(number);
            options = format!("{options} {flag} {number}M");
        }
    }
    let path = format!("/v3/apps/{}/tasks", app.guid);
    let task: Task = change.visitor.api.post(&path, body).await?.json()?;
    let text = format!("Task {} ({}) is under way", task.sequence_id, task.name);
    let shown = format!(
        "cf run-task {} --command {}{options}",
        fmt::word(&app.name),
        fmt::word(command)
    );
    let next = format!("/console/apps/{}/tasks", app.guid);
    Ok(change.done(text, next).command(shown))
}

async fn cancel(
    Path((guid, task)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let path = format!("/v3/tasks/{}", fmt::segment(&task));
    let task: Task = api.get(&path).await?;
    if task.relationships.app.guid() != app.guid {
        return Err(Refused::not_found());
    }
    let path = format!("/v3/tasks/{}/actions/cancel", task.guid);
    api.post(&path, json!({})).await?;
    let text = format!("Task {} is being canceled", task.sequence_id);
    let command = format!(
        "cf terminate-task {} {}",
        fmt::word(&app.name),
        task.sequence_id
    );
    let next = format!("/console/apps/{}/tasks", app.guid);
    Ok(change.done(text, next).command(command))
}
