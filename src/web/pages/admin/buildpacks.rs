//! Buildpacks in the order in which staging asks them.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::web::Console;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/buildpacks";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page))
        .route("/console/buildpacks/{guid}/update", post(update))
        .route("/console/buildpacks/{guid}/delete", post(delete))
}

#[derive(Deserialize)]
struct Buildpack {
    guid: String,
    name: String,
    #[serde(default)]
    stack: Option<String>,
    lifecycle: String,
    state: String,
    #[serde(default)]
    filename: Option<String>,
    position: u32,
    enabled: bool,
    locked: bool,
    updated_at: String,
}

#[derive(Template)]
#[template(path = "console/admin/buildpacks.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    buildpacks: Vec<Buildpack>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let path = "/v3/buildpacks?order_by=position";
    let buildpacks = visitor.api.all::<Buildpack>(path, 1).await?;
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "buildpacks",
        buildpacks: buildpacks.resources,
    })
}

async fn update(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/buildpacks/{}", fmt::segment(&guid));
    let api = &change.visitor.api;
    let before: Buildpack = api.get(&path).await?;
    let fields = &change.fields;
    let mut body = json!({});
    let mut options = String::new();
    let position = fields.number("position", "Position")?;
    if let Some(position) = position.filter(|wanted| *wanted != i64::from(before.position)) {
        body["position"] = position.into();
        options = format!("{options} -i {position}");
    }
    let switches = [
        ("enabled", before.enabled, "--enable", "--disable"),
        ("locked", before.locked, "--lock", "--unlock"),
    ];
    for (name, now, on, off) in switches {
        let wanted = fields.has(name);
        if wanted != now {
            body[name] = wanted.into();
            options = format!("{options} {}", if wanted { on } else { off });
        }
    }
    if body == json!({}) {
        return Err(Refused::field(
            "position",
            "Nothing differs from what there is",
        ));
    }
    api.patch(&path, body).await?;
    let command = format!("cf update-buildpack {}{options}", fmt::word(&before.name));
    Ok(change
        .done(format!("{} is changed", before.name), PAGE)
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let path = format!("/v3/buildpacks/{}", fmt::segment(&guid));
    let api = &change.visitor.api;
    let buildpack: Buildpack = api.get(&path).await?;
    change.fields.typed(&buildpack.name, "the buildpack")?;
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete-buildpack {} -f", fmt::word(&buildpack.name));
    Ok(change
        .done(progress.deleted(&buildpack.name), PAGE)
        .command(command))
}
