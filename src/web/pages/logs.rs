//! The logs: a tab of an app, and an explorer over a space or everything.

use askama::Template;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use super::app::{AppHead, TABS};
use crate::web::Console;
use crate::web::api::models::{Named, Space};
use crate::web::frame::Frame;
use crate::web::logs::download::Format;
use crate::web::logs::scope::Scope;
use crate::web::logs::{Asked, Block};
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{assets, fmt};

/// Source types that are offered as filters.
const SOURCES: &[&str] = &["APP", "RTR", "STG", "CELL", "API", "SSH"];

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/apps/{guid}/logs", get(of_app))
        .route("/console/apps/{guid}/logs/lines", get(lines_of_app))
        .route("/console/apps/{guid}/logs/stream", get(stream_of_app))
        .route("/console/apps/{guid}/logs.txt", get(text_of_app))
        .route("/console/apps/{guid}/logs.json", get(json_of_app))
        .route("/console/logs", get(explorer))
        .route("/console/logs/lines", get(lines_of_all))
        .route("/console/logs/stream", get(stream_of_all))
        .route("/console/logs.txt", get(text_of_all))
        .route("/console/logs.json", get(json_of_all))
}

/// What both pages show.
struct View {
    /// The page without its query.
    path: String,
    asked: Asked,
    query: String,
    block: Block,
    /// Why there are no lines.
    empty: String,
    fault: Option<(String, String)>,
    is_live: bool,
    /// The begin of the command of `cflite` for what the page is of; empty when there is none.
    start: String,
    /// Its options for the filter, when it has such ones.
    options: Option<String>,
    script: String,
    style: String,
}

impl View {
    async fn read(
        visitor: &Visitor,
        (path, scope, asked): (String, &Scope, Asked),
        nothing: &str,
    ) -> Result<Self, Refused> {
        let console = &visitor.console;
        let now = console.parts().clock.now();
        let range = asked.range(now);
        let is_live = range.is_ok_and(|range| range.is_live());
        let (block, fault) = match console.lines(scope, &asked).await {
            Ok(block) => (block, None),
            Err(refused) => match refused.at_field() {
                Some(fault) => (Block::default(), Some(fault)),
                None => return Err(refused),
            },
        };
        let mut view = Self::empty(path, asked);
        view.options = view.asked.options(now);
        if block.count == 0 && !block.note.is_empty() {
            "No line matches so far.".clone_into(&mut view.empty);
        } else if block.count == 0 && fault.is_none() {
            view.empty = match console.hidden(scope).await? {
                0 => nothing.to_owned(),
                hidden => {
                    format!("No line matches. The filter hides all of the last {hidden} lines.")
                }
            };
        }
        Ok(Self {
            block,
            fault,
            is_live,
            ..view
        })
    }

    /// Without lines: a script reads the page again for its live parts, which lines are not.
    fn empty(path: String, asked: Asked) -> Self {
        Self {
            query: asked.query(),
            path,
            asked,
            block: Block::default(),
            empty: String::new(),
            fault: None,
            is_live: false,
            start: String::new(),
            options: None,
            script: assets::path("console-logs.js"),
            style: assets::path("console-logs.css"),
        }
    }

    /// The page, or what belongs to it, with the same query.
    fn link(&self, ending: &str) -> String {
        if self.query.is_empty() {
            format!("{}{ending}", self.path)
        } else {
            format!("{}{ending}?{}", self.path, self.query)
        }
    }

    /// The page around a time.
    fn around(&self, at: i64) -> String {
        let asked = Asked {
            at: at.to_string(),
            ..self.asked.clone()
        };
        format!("{}?{}", self.path, asked.query())
    }

    /// The same without a time: the newest lines.
    fn newest(&self) -> String {
        let asked = Asked {
            at: String::new(),
            until: String::new(),
            ..self.asked.clone()
        };
        format!("{}?{}", self.path, asked.query())
    }

    /// Whether a filter is in use that is folded away at first.
    fn has_more(&self) -> bool {
        let asked = &self.asked;
        let folded = [
            &asked.level,
            &asked.stream,
            &asked.instance,
            &asked.since,
            &asked.until,
            &asked.at,
        ];
        folded.iter().any(|text| !text.is_empty())
    }

    fn fault(&self, field: &str) -> &str {
        match &self.fault {
            Some((name, text)) if name == field => text,
            _ => "",
        }
    }

    /// The command of `cflite` that shows the same lines; empty when there is none.
    fn command(&self) -> String {
        match &self.options {
            Some(options) if !self.start.is_empty() => format!("{}{options}", self.start),
            _ => String::new(),
        }
    }
}

#[derive(Template)]
#[template(path = "console/app/logs.html")]
struct AppPage {
    frame: Frame,
    head: AppHead,
    view: View,
    sources: &'static [&'static str],
    /// The filter offers none.
    spaces: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/logs.html")]
struct Explorer {
    frame: Frame,
    view: View,
    sources: &'static [&'static str],
    spaces: Vec<(String, String)>,
}

async fn of_app(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "logs").await?;
    let scope = Scope::of_one(&visitor, &head.app.guid).await?;
    let asked = parsed(query);
    let nothing = if head.app.state == "STARTED" {
        "No lines yet. What the app writes to stdout and stderr appears here."
    } else {
        "No lines. The app is stopped; start it, and what it writes appears here."
    };
    let path = head.path("logs");
    let mut view = if is_refresh(&headers) {
        View::empty(path, asked)
    } else {
        View::read(&visitor, (path, &scope, asked), nothing).await?
    };
    view.start = start_of(&head);
    show::page(&AppPage {
        frame: Frame::new(&visitor, "apps"),
        head,
        view,
        sources: SOURCES,
        spaces: Vec::new(),
    })
}

async fn explorer(
    visitor: Visitor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let asked = parsed(query);
    let path = "/console/logs".to_owned();
    let view = if is_refresh(&headers) {
        View::empty(path, asked)
    } else {
        let scope = Scope::of_asked(&visitor, &asked).await?;
        let nothing = "No lines yet. What your apps and services write appears here.";
        let start = start_of_all(&asked, &scope);
        let view = View::read(&visitor, (path, &scope, asked), nothing).await?;
        View { start, ..view }
    };
    let spaces = visitor
        .api
        .all::<Space>("/v3/spaces?include=organization&order_by=name", 2)
        .await?;
    let organization = |space: &Space| {
        let guid = space.relationships.organization.guid();
        let found = { spaces.included.organizations.iter() }.find(|one| one.guid == guid);
        found.map_or("", |one| one.name.as_str())
    };
    let named = spaces.resources.iter().map(|space| {
        let label = format!("{} / {}", organization(space), space.name);
        (space.guid.clone(), label)
    });
    show::page(&Explorer {
        frame: Frame::new(&visitor, "logs"),
        view,
        sources: SOURCES,
        spaces: named.collect(),
    })
}

/// `cflite logs` of an app, by a name that no other app has.
fn start_of(head: &AppHead) -> String {
    let names = [&head.organization.name, &head.space.name, &head.app.name];
    if names.iter().any(|name| name.contains('/')) || names[0].starts_with('-') {
        return format!("cflite logs {}", head.app.guid);
    }
    let name = names.map(String::as_str).join("/");
    format!("cflite logs {}", fmt::word(&name))
}

/// `cflite logs` of some apps or of everything; empty when the page shows less than everything.
fn start_of_all(asked: &Asked, scope: &Scope) -> String {
    let apps: Vec<String> = asked.apps.iter().map(|app| fmt::word(app)).collect();
    if apps.iter().any(|app| app.starts_with('-')) {
        String::new()
    } else if !apps.is_empty() {
        format!("cflite logs {}", apps.join(" "))
    } else if scope.may_be_everything() {
        "cflite logs --all".to_owned()
    } else {
        String::new()
    }
}

fn parsed(query: Option<String>) -> Asked {
    Asked::parse(&query.unwrap_or_default())
}

/// Whether the script of a page reads it again.
fn is_refresh(headers: &HeaderMap) -> bool {
    headers.contains_key("x-cflite-refresh")
}

/// An app that the user may see and whose lines it may read, and its name.
async fn app_scope(visitor: &Visitor, guid: &str) -> Result<(Scope, String), Refused> {
    let path = format!("/v3/apps/{}", fmt::segment(guid));
    let app: Named = visitor.api.get(&path).await?;
    Ok((Scope::of_one(visitor, &app.guid).await?, app.name))
}

/// Lines for the script of the page.
#[derive(Serialize)]
struct Lines {
    html: String,
    count: usize,
    cursor: String,
    /// Nanoseconds; as text, since they are too many digits for a script.
    first: String,
    last: String,
    /// Whether new lines belong to it.
    live: bool,
    /// Why there are none.
    empty: String,
    /// How far the search looked, when it did not look at everything.
    note: String,
    /// The options of `cflite logs` for the same lines, when it has such ones.
    options: Option<String>,
    query: String,
}

async fn lines(
    visitor: &Visitor,
    (path, scope): (String, Scope),
    query: Option<String>,
) -> Result<Json<Lines>, Refused> {
    let query = query.unwrap_or_default();
    let place = |key: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let value = pairs.find(|(name, _)| name == key)?.1;
        Some(
            value
                .parse::<i64>()
                .map_err(|_| Refused::field(key, "This is no time in a log")),
        )
    };
    let asked = Asked::parse(&query);
    let console = &visitor.console;
    let mut view = View::empty(path, asked.clone());
    if let Some(before) = place("before") {
        view.block = console.before(&scope, &asked, before?).await?;
    } else if let Some(from) = place("from") {
        view.block = console.from(&scope, &asked, from?).await?;
    } else {
        let nothing = "No lines yet. New ones appear here.";
        view = View::read(visitor, (view.path, &scope, asked), nothing).await?;
    }
    if let Some((field, text)) = &view.fault {
        return Err(Refused::field(field, text));
    }
    let block = view.block;
    Ok(Json(Lines {
        html: block.html.to_string(),
        count: block.count,
        cursor: block.cursor,
        first: block.first.to_string(),
        last: block.last.to_string(),
        live: view.is_live,
        empty: view.empty,
        note: block.note,
        options: view.options,
        query: view.query,
    }))
}

async fn lines_of_app(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Lines>, Refused> {
    let (scope, _) = app_scope(&visitor, &guid).await?;
    lines(&visitor, (String::new(), scope), query).await
}

async fn lines_of_all(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Json<Lines>, Refused> {
    let scope = Scope::of_asked(&visitor, &parsed(query.clone())).await?;
    lines(&visitor, (String::new(), scope), query).await
}

/// The id of the last block a viewer has: from a browser that comes back, or from the page.
fn after(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let of_page = || {
        let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let value = pairs.find(|(name, _)| name == "after")?.1;
        Some(value.into_owned())
    };
    header.map(str::to_owned).or_else(of_page)
}

async fn stream_of_app(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (scope, _) = app_scope(&visitor, &guid).await?;
    stream(&visitor, scope, (query, headers)).await
}

async fn stream_of_all(
    visitor: Visitor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let scope = Scope::of_asked(&visitor, &parsed(query.clone())).await?;
    stream(&visitor, scope, (query, headers)).await
}

async fn stream(
    visitor: &Visitor,
    scope: Scope,
    (query, headers): (Option<String>, HeaderMap),
) -> Result<Response, Refused> {
    let after = after(&headers, query.as_deref());
    let asked = parsed(query);
    let events = visitor
        .console
        .stream(scope, asked, after.as_deref())
        .await?;
    let mut response = events.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn text_of_app(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (scope, name) = app_scope(&visitor, &guid).await?;
    visitor
        .console
        .file(&scope, &parsed(query), (&name, Format::Text))
        .await
}

async fn json_of_app(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let (scope, name) = app_scope(&visitor, &guid).await?;
    visitor
        .console
        .file(&scope, &parsed(query), (&name, Format::Json))
        .await
}

async fn text_of_all(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let asked = parsed(query);
    let scope = Scope::of_asked(&visitor, &asked).await?;
    visitor
        .console
        .file(&scope, &asked, ("logs", Format::Text))
        .await
}

async fn json_of_all(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Refused> {
    let asked = parsed(query);
    let scope = Scope::of_asked(&visitor, &asked).await?;
    visitor
        .console
        .file(&scope, &asked, ("logs", Format::Json))
        .await
}
