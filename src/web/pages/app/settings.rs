//! What an app is called, how its processes start and are checked, its features and labels, and its
//! end.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{AppHead, TABS, named};
use crate::web::Console;
use crate::web::api::models::{App, Named, Process, Ssh};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/settings";
    Router::new()
        .route(PAGE, get(settings))
        .route(&format!("{PAGE}/rename"), post(rename))
        .route(
            &format!("{PAGE}/processes/{{process}}"),
            post(update_process),
        )
        .route(&format!("{PAGE}/features/{{feature}}"), post(set_feature))
        .route(&format!("{PAGE}/labels"), post(set_labels))
}

#[derive(Deserialize)]
struct Features {
    resources: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
    description: String,
    enabled: bool,
}

impl Feature {
    /// The command of the cf CLI that switches it; empty when there is none.
    fn command(&self, app: &str) -> String {
        match (self.name.as_str(), self.enabled) {
            ("ssh", false) => format!("cf enable-ssh {app}"),
            ("ssh", true) => format!("cf disable-ssh {app}"),
            _ => String::new(),
        }
    }
}

#[derive(Template)]
#[template(path = "console/app/settings.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    /// With their commands, as far as the visitor sees them.
    processes: Vec<Process>,
    features: Vec<Feature>,
    ssh: Ssh,
    /// A line for each label.
    labels: String,
}

impl Page {
    fn at(&self, change: &str) -> String {
        format!("{}/{change}", self.head.path("settings"))
    }
}

async fn settings(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "settings").await?;
    let api = &visitor.api;
    let app = format!("/v3/apps/{}", head.app.guid);
    let (features, ssh) = (format!("{app}/features"), format!("{app}/ssh_enabled"));
    let (features, ssh) = tokio::try_join!(api.get::<Features>(&features), api.get::<Ssh>(&ssh))?;
    // Lists hide commands.
    let mut processes = Vec::new();
    for process in &head.processes {
        let path = format!("/v3/processes/{}", process.guid);
        processes.push(api.get::<Process>(&path).await?);
    }
    let labels = head.app.metadata.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or_default()))
        .collect();
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        processes,
        features: features.resources,
        ssh,
        labels: labels.join("\n"),
        head,
    })
}

fn page(app: &Named) -> String {
    format!("/console/apps/{}/settings", app.guid)
}

async fn rename(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let path = format!("/v3/apps/{}", app.guid);
    let body = json!({ "name": name });
    change.visitor.api.patch(&path, body).await?;
    let command = format!("cf rename {} {}", fmt::word(&app.name), fmt::word(name));
    let text = format!("The app is called {name}");
    Ok(change.done(text, page(&app)).command(command))
}

/// Start command and health check of a process.
async fn update_process(
    Path((guid, process)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let fields = &change.fields;
    let api = &change.visitor.api;
    let path = format!("/v3/apps/{}/processes/{}", app.guid, fmt::segment(&process));
    let now: Process = api.get(&path).await?;
    let mut body = json!({});
    // The API shows the droplet's command when there is no other one; only a text that differs from
    // what the page showed is a command of the user.
    let (command, before) = (fields.text("command"), fields.text("command_before"));
    if fields.has("command_is_shown") && command != before {
        body["command"] = json!(command);
    }
    let kind = fields.required("type", "Health check")?;
    let mut data = Map::new();
    for (field, label) in [
        ("timeout", "Start timeout"),
        ("invocation_timeout", "Invocation timeout"),
    ] {
        if let Some(number) = fields.number(field, label)? {
            data.insert(field.to_owned(), json!(number));
        }
    }
    let mut flags = format!(
        "cf set-health-check {} {}",
        fmt::word(&app.name),
        fmt::word(kind)
    );
    if kind == "http" {
        let endpoint = fields.text("endpoint").unwrap_or("/");
        data.insert("endpoint".to_owned(), json!(endpoint));
        flags = format!("{flags} --endpoint {}", fmt::word(endpoint));
    }
    if process != "web" {
        flags = format!("{flags} --process {}", fmt::word(&process));
    }
    body["health_check"] = json!({ "type": kind, "data": data });
    api.patch(&format!("/v3/processes/{}", now.guid), body)
        .await?;
    let text = format!("The process {process} is changed. Instances follow when the app restarts");
    Ok(change.done(text, page(&app)).command(flags))
}

/// Switches a feature of the app on or off.
async fn set_feature(
    Path((guid, feature)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let enabled = change.fields.has("enabled");
    let api = &change.visitor.api;
    let path = format!("/v3/apps/{}/features/{}", app.guid, fmt::segment(&feature));
    let before: Feature = api.get(&path).await?;
    let body = json!({ "enabled": enabled });
    let now: Feature = api.patch(&path, body).await?.json()?;
    let word = if now.enabled { "on" } else { "off" };
    let text = format!("{} is {word}", now.name);
    let outcome = change.done(text, page(&app));
    Ok(outcome.command(before.command(&fmt::word(&app.name))))
}

/// Replaces the labels by the lines of a text.
async fn set_labels(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let app: App = api
        .get(&format!("/v3/apps/{}", fmt::segment(&guid)))
        .await?;
    let text = change.fields.get("labels").unwrap_or_default();
    let wanted = labels(text).map_err(|fault| Refused::field("labels", &fault))?;
    let mut part: Map<String, Value> = wanted
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    let mut command = format!("cf set-label app {}", fmt::word(&app.name));
    for (key, value) in &wanted {
        command = format!("{command} {}", fmt::word(&format!("{key}={value}")));
    }
    let gone: Vec<&String> = app
        .metadata
        .labels
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .collect();
    if !gone.is_empty() {
        let keys: Vec<String> = gone.iter().map(|key| fmt::word(key)).collect();
        let unset = format!(
            "cf unset-label app {} {}",
            fmt::word(&app.name),
            keys.join(" ")
        );
        command = if wanted.is_empty() {
            unset
        } else {
            format!("{command} && {unset}")
        };
    }
    part.extend(gone.into_iter().map(|key| (key.clone(), Value::Null)));
    let path = format!("/v3/apps/{}", app.guid);
    let body = json!({ "metadata": { "labels": part } });
    api.patch(&path, body).await?;
    let next = format!("/console/apps/{}/settings", app.guid);
    Ok(change.done("The labels are saved", next).command(command))
}

/// Labels of lines `key=value`.
fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("Line {} is not key=value", at + 1))?;
        all.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lines() {
        let all = labels("team = shop\n\nenv=\n").unwrap();
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(all, [("env", ""), ("team", "shop")]);
        assert_eq!(labels("a=1\nb"), Err("Line 2 is not key=value".to_owned()));
    }
}
