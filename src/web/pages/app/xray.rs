//! What a push does: the API calls of the command that made a package, with their times.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::{AppHead, TABS};
use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::frame::Frame;
use crate::web::recorder::Call;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

/// Seconds without a call after which a command has ended; the CLI asks every few seconds.
const PAUSE: i64 = 8;
const PACKAGES: usize = 10;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/apps/{guid}/xray", get(page))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    package: String,
}

#[derive(Deserialize)]
struct Package {
    guid: String,
    created_at: String,
    state: String,
}

/// A call as a row.
struct Line {
    offset: String,
    method: String,
    path: String,
    status: u16,
    tone: &'static str,
    millis: String,
    micros: u64,
}

#[derive(Template)]
#[template(path = "console/app/xray.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    packages: Vec<Package>,
    package: String,
    lines: Vec<Line>,
    /// The slowest call's microseconds, at least 1.
    slowest: u64,
    total: String,
    answered: String,
}

async fn page(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "xray").await?;
    let api = &visitor.api;
    let path = format!(
        "/v3/apps/{}/packages?order_by=-created_at&per_page={PACKAGES}",
        head.app.guid
    );
    let packages = api.list::<Package>(&path).await?.resources;
    let chosen = packages.iter().find(|one| one.guid == asked.package);
    let package = chosen.or(packages.first()).map(|one| one.guid.clone());
    let calls = match &package {
        Some(package) => calls(&visitor, package).await?,
        None => Vec::new(),
    };
    let begin = calls.first().map_or(0, |call| call.at.as_micros());
    let ends = calls.iter().map(|call| end(call) - begin);
    let total = ends.max().unwrap_or(0);
    let answered = calls.iter().map(|call| call.micros).sum();
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        slowest: calls
            .iter()
            .map(|call| call.micros)
            .max()
            .unwrap_or(1)
            .max(1),
        lines: calls.iter().map(|call| line(call, begin)).collect(),
        total: seconds(u64::try_from(total).unwrap_or(0)),
        answered: seconds(answered),
        head,
        packages,
        package: package.unwrap_or_default(),
    })
}

/// The calls of the command that made a package, if it was the visitor's or the visitor sees all.
async fn calls(visitor: &Visitor, package: &str) -> Result<Vec<Call>, Refused> {
    let path = format!("/v3/builds?package_guids={package}&per_page=5");
    let builds = visitor.api.list::<Named>(&path).await?;
    let mut guids = vec![package];
    guids.extend(builds.resources.iter().map(|build| build.guid.as_str()));
    let recorder = &visitor.console.parts().recorder;
    let mut found = recorder.around(&guids, PAUSE);
    if !visitor.sees_all() {
        found.retain(|call| call.user == visitor.user_guid());
    }
    Ok(found)
}

fn end(call: &Call) -> i64 {
    call.at.as_micros() + i64::try_from(call.micros).unwrap_or(0)
}

fn line(call: &Call, begin: i64) -> Line {
    let offset = u64::try_from(call.at.as_micros() - begin).unwrap_or(0);
    Line {
        offset: seconds(offset),
        method: call.method.to_string(),
        path: call.path.clone(),
        status: call.status,
        tone: if call.status >= 400 { "bad" } else { "" },
        millis: format!("{}.{} ms", call.micros / 1000, call.micros % 1000 / 100),
        micros: call.micros,
    }
}

/// Microseconds as seconds with two decimals.
fn seconds(micros: u64) -> String {
    format!(
        "{}.{:02} s",
        micros / 1_000_000,
        micros % 1_000_000 / 10_000
    )
}
