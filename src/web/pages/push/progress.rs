//! The page of a push: its phases with their times, its log, and at the end the app's address.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;

use super::package::Package;
use crate::logs::{Bounds, Envelope, Filter, Message, Search};
use crate::web::Console;
use crate::web::api::models::Route;
use crate::web::api::{Failure, List};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::links;
use crate::web::logs::plain;
use crate::web::pages::app::{AppHead, TABS};
use crate::web::pages::apps::State as AppState;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

/// Log lines on the page.
const LINES: usize = 500;

/// A step of a push.
struct Phase {
    name: &'static str,
    state: &'static str,
    tone: &'static str,
    /// When it ended; empty when it did not, or when nobody knows.
    at: String,
    text: String,
}

impl Phase {
    fn waits(name: &'static str) -> Self {
        Self::of(name, ("waits", ""), "", "")
    }

    fn of(
        name: &'static str,
        (state, tone): (&'static str, &'static str),
        at: &str,
        text: &str,
    ) -> Self {
        Self {
            name,
            state,
            tone,
            at: at.to_owned(),
            text: text.to_owned(),
        }
    }
}

const DONE: (&str, &str) = ("done", "good");
const RUNS: (&str, &str) = ("running", "warn");
const FAILED: (&str, &str) = ("failed", "bad");

#[derive(Template)]
#[template(path = "console/push/progress.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    package: Package,
    phases: Vec<Phase>,
    lines: Vec<String>,
    /// Whether nobody goes on with it, although it has not ended.
    is_orphan: bool,
    failed: bool,
    done: bool,
    address: String,
}

/// `GET /console/apps/:guid/pushes/:package`.
pub(super) async fn page(
    State(console): State<Console>,
    visitor: Visitor,
    Path((app, package)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &app, "push").await?;
    let api = &visitor.api;
    let package: Package = api
        .get(&format!("/v3/packages/{}", fmt::segment(&package)))
        .await?;
    if package.app() != head.app.guid {
        return Err(Refused::not_found());
    }
    let path = format!(
        "/v3/builds?package_guids={}&order_by=-created_at&per_page=1",
        package.guid
    );
    let builds: List<Value> = api.list(&path).await?;
    let build = builds.resources.into_iter().next();
    let mut phases = phases(&head, &package, build.as_ref());
    if let Some(text) = console.pushes().refusal(&package.guid) {
        // The step that did not end is the one that was refused.
        if let Some(open) = phases.iter_mut().find(|phase| phase.state != DONE.0) {
            *open = Phase::of(open.name, FAILED, "", &text);
        }
    }
    let failed = phases.iter().any(|phase| phase.state == FAILED.0);
    let done = phases.iter().all(|phase| phase.state == DONE.0);
    let lines = staging_lines(&visitor, &head.app.guid, &package.created_at).await?;
    let address = address(&visitor, &head.app.guid).await?;
    let drives = console.pushes().drives(&package.guid);
    let may_go_on = head.may.develop && !drives && !failed;
    let released = phases.get(2).is_some_and(|phase| phase.state == DONE.0);
    show::page(&Page {
        frame: Frame::new(&visitor, "apps").refreshed(u32::from(!(done || failed))),
        is_orphan: may_go_on && !released,
        head,
        package,
        phases,
        lines,
        failed,
        done,
        address,
    })
}

fn phases(head: &AppHead, package: &Package, build: Option<&Value>) -> Vec<Phase> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let upload = match package.state.as_str() {
        "READY" => Phase::of("Upload", DONE, &package.updated_at, ""),
        "FAILED" | "EXPIRED" => {
            let error = package.data["error"]
                .as_str()
                .unwrap_or("the package failed");
            Phase::of("Upload", FAILED, "", error)
        }
        "AWAITING_UPLOAD" => Phase::of("Upload", FAILED, "", "the files did not arrive"),
        _ => Phase::of("Upload", RUNS, "", ""),
    };
    let mut phases = vec![upload];
    let Some(build) = build else {
        let rest = ["Stage", "Release", "Start"].map(Phase::waits);
        phases.extend(rest);
        return phases;
    };
    let ended = text(build, "updated_at");
    let state = text(build, "state");
    phases.push(match state.as_str() {
        "STAGED" => Phase::of("Stage", DONE, &ended, ""),
        "FAILED" => Phase::of(
            "Stage",
            FAILED,
            &ended,
            build["error"].as_str().unwrap_or_default(),
        ),
        _ => Phase::of("Stage", RUNS, "", "the log is below"),
    });
    let droplet = build["droplet"]["guid"].as_str().unwrap_or_default();
    let current = head.app.relationships.current_droplet.guid();
    if droplet.is_empty() || current != droplet {
        phases.extend(["Release", "Start"].map(Phase::waits));
        return phases;
    }
    phases.push(Phase::of(
        "Release",
        DONE,
        "",
        "the droplet is the current one",
    ));
    phases.push(match head.state {
        AppState::Running => Phase::of("Start", DONE, "", "all instances run"),
        AppState::Crashed => Phase::of(
            "Start",
            FAILED,
            "",
            "an instance crashed; the app's page says why",
        ),
        AppState::Starting => Phase::of("Start", RUNS, "", "waiting for the health check"),
        AppState::Stopped => Phase::waits("Start"),
    });
    phases
}

/// What staging wrote since the package was made; nothing for those who may not read it.
async fn staging_lines(visitor: &Visitor, app: &str, since: &str) -> Result<Vec<String>, Refused> {
    let parts = visitor.console.parts();
    let authorization = format!("bearer {}", visitor.session.access.expose());
    if !parts.log_access.readable(Some(&authorization), app).await {
        return Ok(Vec::new());
    }
    let since = since.parse::<jiff::Timestamp>().ok();
    let since = since.and_then(|since| i64::try_from(since.as_nanosecond()).ok());
    let search = Search {
        sources: Some(vec![app.into()]),
        filter: Filter {
            source_types: vec!["STG".to_owned()],
            ..Filter::default()
        },
        since: since.unwrap_or(0),
        until: i64::MAX,
        last: Some(LINES),
        follow: false,
        bounds: Bounds::default(),
    };
    let mut results = parts.logs.search(search).await?;
    let mut lines = Vec::new();
    while let Some(found) = results.next().await? {
        lines.extend(found.iter().map(text_of));
    }
    Ok(lines)
}

fn text_of(line: &Envelope) -> String {
    match &line.message {
        Message::Log { payload, .. } => plain(&String::from_utf8_lossy(payload)),
        _ => String::new(),
    }
}

/// Where the app answers; empty without an HTTP route.
async fn address(visitor: &Visitor, app: &str) -> Result<String, Failure> {
    let path = format!("/v3/routes?app_guids={app}&include=domain&per_page=5");
    let routes: List<Route> = visitor.api.list(&path).await?;
    let links = routes.resources.iter();
    let mut links = links.map(|route| links::in_list(route, &routes.included, visitor.base()));
    Ok(links.find(|link| !link.is_empty()).unwrap_or_default())
}
