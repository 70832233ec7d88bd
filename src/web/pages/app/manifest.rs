//! An app as a manifest: read, edited, compared with what there is, applied.
//!
//! The page masks the values of variables; the whole manifest is loaded into the editor by a `POST`.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{AppHead, TABS, named};
use crate::base::yaml;
use crate::web::Console;
use crate::web::api::models::App;
use crate::web::api::{Api, Body, Failure};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/manifest";
    Router::new()
        .route(PAGE, get(manifest))
        .route(&format!("{PAGE}/load"), post(load))
        .route(&format!("{PAGE}/diff"), post(diff))
        .route(&format!("{PAGE}/apply"), post(apply))
}

#[derive(Template)]
#[template(path = "console/app/manifest.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    /// With masked values of variables; `None` when the visitor must not see it.
    manifest: Option<String>,
}

/// An app's manifest as the API writes it; `None` when the user must not see it.
pub(super) async fn read(api: &Api, app: &str) -> Result<Option<String>, Failure> {
    match api.raw(&format!("/v3/apps/{app}/manifest")).await {
        Ok(reply) => Ok(Some(String::from_utf8_lossy(&reply.body).into_owned())),
        Err(failure) if failure.is_forbidden() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A manifest whose variables have no values.
fn masked(manifest: &str) -> Result<String, Refused> {
    let read = yaml::read(manifest).map_err(|error| Refused::internal(&error.to_string()))?;
    let mut read = read.into_json();
    let apps = read["applications"].as_array_mut().into_iter().flatten();
    for app in apps {
        let variables = app.get_mut("env").and_then(Value::as_object_mut);
        for (_, value) in variables.into_iter().flatten() {
            *value = "••••••".into();
        }
    }
    Ok(yaml::write(&read))
}

async fn manifest(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "manifest").await?;
    let manifest = read(&visitor.api, &head.app.guid).await?;
    let manifest = manifest.map(|text| masked(&text)).transpose()?;
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        head,
        manifest,
    })
}

/// The manifest with all values, for the editor.
async fn load(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let text = read(&change.visitor.api, &app.guid).await?;
    let text = text.ok_or_else(|| {
        let text = "The manifest holds secrets; it needs the role Space Developer.";
        Refused::of(StatusCode::FORBIDDEN, "Not allowed", text)
    })?;
    let command = format!("cf create-app-manifest {}", fmt::word(&app.name));
    let next = format!("/console/apps/{}/manifest", app.guid);
    Ok(change.done("Loaded", next).command(command).reveal(text))
}

#[derive(Deserialize)]
struct Diff {
    diff: Vec<Operation>,
}

/// A change that applying would make.
#[derive(Deserialize)]
struct Operation {
    op: String,
    path: String,
    #[serde(default)]
    was: Option<Value>,
    #[serde(default)]
    value: Option<Value>,
}

impl Operation {
    /// As a line: `+` is added, `-` removed, `~` replaced.
    fn line(&self) -> String {
        let path = self
            .path
            .strip_prefix("/applications/")
            .unwrap_or(&self.path);
        let path = path.split_once('/').map_or(path, |(_, rest)| rest);
        let shown = |value: &Option<Value>| {
            let value = value.as_ref().unwrap_or(&Value::Null);
            let text = value.as_str().map(str::to_owned);
            text.unwrap_or_else(|| value.to_string())
        };
        match self.op.as_str() {
            "add" => format!("+ {path}: {}", shown(&self.value)),
            "remove" => format!("- {path}: {}", shown(&self.was)),
            _ => format!("~ {path}: {} → {}", shown(&self.was), shown(&self.value)),
        }
    }
}

/// The space of an app and the text of the editor, which has to be about this app only.
async fn edited(change: &Change, guid: &str) -> Result<(App, String), Refused> {
    let path = format!("/v3/apps/{}", fmt::segment(guid));
    let app: App = change.visitor.api.get(&path).await?;
    let text = change.fields.get("manifest").unwrap_or_default();
    let read = yaml::read(text).map_err(|error| {
        let text = format!("Line {}: {error}", error.line);
        Refused::field("manifest", &text)
    })?;
    let read = read.into_json();
    let apps = read["applications"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let others = apps.iter().any(|one| one["name"] != app.name.as_str());
    if apps.is_empty() || others {
        let text = format!(
            "The manifest must have applications, each with the name {}; rename the app in Settings",
            app.name
        );
        return Err(Refused::field("manifest", &text));
    }
    Ok((app, text.to_owned()))
}

async fn diff(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (app, text) = edited(&change, &guid).await?;
    let space = app.relationships.space.guid();
    let path = format!("/v3/spaces/{space}/manifest_diff");
    let api = &change.visitor.api;
    let reply = api.change(Method::POST, &path, Body::Yaml(text)).await?;
    let diff: Diff = reply.json()?;
    let lines: Vec<String> = diff.diff.iter().map(Operation::line).collect();
    let text = if lines.is_empty() {
        "Applying it would change nothing.".to_owned()
    } else {
        lines.join("\n")
    };
    let next = format!("/console/apps/{}/manifest", app.guid);
    Ok(change.done("Compared", next).reveal(text))
}

async fn apply(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (app, text) = edited(&change, &guid).await?;
    let space = app.relationships.space.guid();
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let api = &change.visitor.api;
    let reply = api.change(Method::POST, &path, Body::Yaml(text)).await?;
    let text = match api.finish(&reply).await? {
        crate::web::api::jobs::Progress::Done => {
            "The manifest is applied. Some of it acts when the app restarts"
        }
        crate::web::api::jobs::Progress::GoesOn => "The manifest is being applied",
    };
    let next = format!("/console/apps/{}/manifest", app.guid);
    Ok(change
        .done(text, next)
        .command("cf apply-manifest -f manifest.yml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_masked_and_nothing_else() {
        let text = "applications:\n- name: shop\n  env:\n    KEY: s3cret\n  stack: cflinuxfs4\n";
        let shown = masked(text).unwrap();
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(
            shown.contains("KEY") && shown.contains("cflinuxfs4"),
            "{shown}"
        );
    }

    #[test]
    fn operations_are_lines() {
        let of = |value| serde_json::from_value::<Operation>(value).unwrap().line();
        let op = |op: &str| serde_json::json!({ "op": op, "path": "/applications/0/env/A", "was": "1", "value": "2" });
        assert_eq!(of(op("replace")), "~ env/A: 1 → 2");
        assert_eq!(of(op("add")), "+ env/A: 2");
        assert_eq!(of(op("remove")), "- env/A: 1");
    }
}
