//! All apps: filtered and sorted by the address of the page, with actions on many at once.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::web::Console;
use crate::web::api::Failure;
use crate::web::api::models::{App, Included, Named, Process};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

/// Rows on a page.
const PER_PAGE: usize = 50;
/// The most apps that one action changes.
const MOST_AT_ONCE: usize = 200;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/apps", get(list))
        .route("/console/apps/actions", post(act))
}

/// What the address asks for.
#[derive(Deserialize)]
struct Asked {
    /// A part of the name.
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    space: String,
    #[serde(default)]
    org: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: usize,
}

/// An app of the list.
pub(super) struct Row {
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) space: String,
    pub(super) organization: String,
    pub(super) running: usize,
    pub(super) wanted: usize,
    pub(super) memory: String,
    pub(super) updated_at: String,
    pub(super) state: State,
}

/// How an app does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Starting,
    Crashed,
    Stopped,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Crashed => "crashed",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Running => "good",
            Self::Starting => "warn",
            Self::Crashed => "bad",
            Self::Stopped => "",
        }
    }
}

impl Row {
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.state, State::Crashed | State::Starting)
    }
}

/// How an app with these processes does.
pub(super) fn state_of<'a>(
    state: &str,
    processes: impl Iterator<Item = &'a Process> + Clone,
) -> State {
    if state != "STARTED" {
        return State::Stopped;
    }
    let crashed = processes.clone().any(|process| {
        let mut instances = process.embedded.iter();
        instances.any(|one| one.state == "CRASHED")
    });
    let complete = processes
        .clone()
        .all(|process| process.running() >= process.instances as usize);
    match (crashed, complete) {
        (true, _) => State::Crashed,
        (false, true) => State::Running,
        (false, false) => State::Starting,
    }
}

/// Apps with the names of their spaces and the instances of their processes.
pub(super) fn rows(apps: Vec<App>, included: &Included, processes: &[Process]) -> Vec<Row> {
    let mut of_app: HashMap<&str, Vec<&Process>> = HashMap::new();
    for process in processes {
        let app = process.relationships.app.guid();
        of_app.entry(app).or_default().push(process);
    }
    let spaces: HashMap<&str, _> = included
        .spaces
        .iter()
        .map(|space| (space.guid.as_str(), space))
        .collect();
    let organizations: HashMap<&str, &str> = included
        .organizations
        .iter()
        .map(|one| (one.guid.as_str(), one.name.as_str()))
        .collect();
    let row = |app: App| {
        let processes = of_app.get(app.guid.as_str()).map_or(&[][..], Vec::as_slice);
        let space = spaces.get(app.relationships.space.guid());
        let organization = space.map(|space| space.relationships.organization.guid());
        let memory = processes
            .iter()
            .map(|process| process.memory_in_mb * u64::from(process.instances))
            .sum();
        Row {
            state: state_of(&app.state, processes.iter().copied()),
            running: processes.iter().map(|process| process.running()).sum(),
            wanted: processes
                .iter()
                .map(|process| process.instances as usize)
                .sum(),
            memory: fmt::megabytes(memory),
            space: space.map(|space| space.name.clone()).unwrap_or_default(),
            organization: organization
                .and_then(|guid| organizations.get(guid))
                .map(|name| (*name).to_owned())
                .unwrap_or_default(),
            guid: app.guid,
            name: app.name,
            updated_at: app.updated_at,
        }
    };
    apps.into_iter().map(row).collect()
}

/// A space to choose.
pub(super) struct Choice {
    pub(super) guid: String,
    pub(super) label: String,
}

#[derive(Template)]
#[template(path = "console/apps.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    total: usize,
    found: usize,
    number: usize,
    pages: usize,
    spaces: Vec<Choice>,
}

impl Page {
    /// The address of this list with another sort or page.
    fn with(&self, name: &str, value: &str) -> String {
        let page = self.number.to_string();
        let now = [
            ("q", self.asked.q.as_str()),
            ("state", &self.asked.state),
            ("space", &self.asked.space),
            ("org", &self.asked.org),
            ("sort", &self.asked.sort),
            ("page", &page),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, current) in now {
            let value = match key {
                _ if key == name => value,
                "page" => "",
                _ => current,
            };
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        format!("/console/apps?{}", query.finish())
    }

    /// Where a click on a column leads: this order, or its reverse.
    fn sorted(&self, column: &str) -> String {
        let reverse = format!("-{column}");
        self.with(
            "sort",
            if self.asked.sort == column {
                &reverse
            } else {
                column
            },
        )
    }

    fn order(&self, column: &str) -> &'static str {
        let reversed = match self.asked.sort.strip_prefix('-') {
            Some(name) if name == column => true,
            None if self.asked.sort == column => false,
            _ => return "none",
        };
        // The newest and the largest come first.
        let falls = matches!(column, "updated" | "instances");
        if reversed == falls {
            "ascending"
        } else {
            "descending"
        }
    }
}

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let mut path = "/v3/apps?include=space.organization".to_owned();
    for (name, value) in [
        ("space_guids", &asked.space),
        ("organization_guids", &asked.org),
    ] {
        if !value.is_empty() {
            path = format!("{path}&{name}={}", fmt::query(value));
        }
    }
    let (apps, processes, spaces) = tokio::try_join!(
        api.all::<App>(&path, 4),
        api.all::<Process>("/v3/processes?embed=process_instances", 4),
        spaces(&visitor),
    )?;
    let total = apps.resources.len();
    let mut rows = rows(apps.resources, &apps.included, &processes.resources);
    let part = asked.q.to_lowercase();
    rows.retain(|row| row.name.to_lowercase().contains(&part));
    if !asked.state.is_empty() {
        rows.retain(|row| row.state.word() == asked.state);
    }
    sort(&mut rows, &asked.sort);
    let found = rows.len();
    let pages = found.div_ceil(PER_PAGE).max(1);
    let page = asked.page.clamp(1, pages);
    let rows = rows.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE);
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        rows: rows.collect(),
        asked,
        total,
        found,
        number: page,
        pages,
        spaces,
    })
}

/// The spaces that the user sees, by organization.
pub(super) async fn spaces(visitor: &Visitor) -> Result<Vec<Choice>, Failure> {
    let path = "/v3/spaces?include=organization&order_by=name";
    let spaces = visitor
        .api
        .all::<crate::web::api::models::Space>(path, 2)
        .await?;
    let name = |guid: &str| {
        let mut all = spaces.included.organizations.iter();
        all.find(|one| one.guid == guid).map_or("", |one| &one.name)
    };
    let choice = |space: &crate::web::api::models::Space| Choice {
        guid: space.guid.clone(),
        label: format!(
            "{} / {}",
            name(space.relationships.organization.guid()),
            space.name
        ),
    };
    let mut choices: Vec<Choice> = spaces.resources.iter().map(choice).collect();
    choices.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(choices)
}

fn sort(rows: &mut [Row], by: &str) {
    let (column, reversed) = match by.strip_prefix('-') {
        Some(column) => (column, true),
        None => (by, false),
    };
    match column {
        "state" => rows.sort_by_key(|row| (row.state.word(), row.name.to_lowercase())),
        "updated" => rows.sort_by(|a, b| b.updated_at.cmp(&a.updated_at)),
        "instances" => rows.sort_by_key(|row| std::cmp::Reverse(row.wanted)),
        "space" => rows.sort_by_key(|row| {
            (
                row.organization.clone(),
                row.space.clone(),
                row.name.to_lowercase(),
            )
        }),
        _ => rows.sort_by_key(|row| row.name.to_lowercase()),
    }
    if reversed {
        rows.reverse();
    }
}

/// `POST /console/apps/actions`: the same for several apps. Each is tried; the first error is told
/// with the number of those that went well.
async fn act(change: Change) -> Result<Outcome, Refused> {
    let action = change.fields.required("action", "Action")?;
    let guids: Vec<&str> = change.fields.all("guid").take(MOST_AT_ONCE).collect();
    if guids.is_empty() {
        return Err(Refused::field("guid", "Select at least one app"));
    }
    let api = &change.visitor.api;
    let mut done = 0;
    let mut failed = Vec::new();
    for guid in &guids {
        let app = fmt::segment(guid);
        let result = match action {
            "start" | "stop" | "restart" => {
                let path = format!("/v3/apps/{app}/actions/{action}");
                api.post(&path, json!({})).await
            }
            "delete" => api.delete(&format!("/v3/apps/{app}")).await,
            _ => return Err(Refused::field("action", "This action does not exist")),
        };
        match result {
            Ok(_) => done += 1,
            Err(failure @ Failure::Internal(_)) => return Err(failure.into()),
            Err(failure) => {
                let named = api.find::<Named>(&format!("/v3/apps/{app}")).await?;
                let name = named.map_or_else(|| (*guid).to_owned(), |app| app.name);
                failed.push(format!("{name}: {failure}"));
            }
        }
    }
    if failed.is_empty() {
        let text = format!("{}: {}", past(action), fmt::count(done, "app"));
        let next = change.fields.get("back").unwrap_or("/console/apps");
        return Ok(change
            .done(text, own(next))
            .command(format!("cf {action} APP")));
    }
    let text = format!("{done} of {} went well. {}", guids.len(), failed.join("; "));
    Err(Refused::of(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        "Not all went well",
        &text,
    ))
}

/// Only lists of ours.
fn own(page: &str) -> &str {
    if page.starts_with("/console/apps") {
        page
    } else {
        "/console/apps"
    }
}

fn past(action: &str) -> &'static str {
    match action {
        "start" => "Started",
        "stop" => "Stopped",
        "restart" => "Restarted",
        // Their jobs go on.
        _ => "Being deleted",
    }
}
