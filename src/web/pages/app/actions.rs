//! What one does to an app from any of its tabs.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use serde_json::{Value, json};

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/apps/{guid}/actions/{action}", post(act))
        .route(
            "/console/apps/{guid}/processes/{process}/scale",
            post(scale),
        )
        .route(
            "/console/apps/{guid}/processes/{process}/instances/{index}/restart",
            post(restart_instance),
        )
        .route("/console/apps/{guid}/delete", post(delete))
}

/// Start, stop, restart.
async fn act(
    Path((guid, action)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let text = match action.as_str() {
        "start" => "The app starts",
        "stop" => "The app stops",
        "restart" => "The app restarts",
        _ => return Err(Refused::not_found()),
    };
    let app = fmt::segment(&guid);
    let api = &change.visitor.api;
    let reply = api
        .post(&format!("/v3/apps/{app}/actions/{action}"), json!({}))
        .await?;
    let named: Named = reply.json()?;
    let command = format!("cf {action} {}", fmt::word(&named.name));
    let next = change.fields.get("back").unwrap_or_default();
    Ok(change.done(text, own(next, &guid)).command(command))
}

/// Instances, memory, disk and log rate of a process.
async fn scale(
    Path((guid, process)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let mut body = json!({});
    let mut options = String::new();
    let numbers = [
        ("instances", "Instances", "instances", "-i", ""),
        ("memory", "Memory", "memory_in_mb", "-m", "M"),
        ("disk", "Disk", "disk_in_mb", "-k", "M"),
        (
            "log_rate",
            "Log rate limit",
            "log_rate_limit_in_bytes_per_second",
            "-l",
            "B",
        ),
    ];
    for (field, label, key, flag, unit) in numbers {
        if let Some(number) = fields.number(field, label)? {
            body[key] = json!(number);
            let unit = if number < 0 { "" } else { unit };
            options = format!("{options} {flag} {number}{unit}");
        }
    }
    let app = fmt::segment(&guid);
    let kind = fmt::segment(&process);
    let api = &change.visitor.api;
    let path = format!("/v3/apps/{app}/processes/{kind}/actions/scale");
    let scaled: Value = api.post(&path, body).await?.json()?;
    let named: Named = api.get(&format!("/v3/apps/{app}")).await?;
    let process = if process == "web" {
        String::new()
    } else {
        format!(" --process {}", fmt::word(&process))
    };
    let command = format!("cf scale {}{process}{options}", fmt::word(&named.name));
    let text = format!("The process has {} instances", scaled["instances"]);
    Ok(change
        .done(text, format!("/console/apps/{guid}"))
        .command(command))
}

async fn restart_instance(
    Path((guid, process, index)): Path<(String, String, u32)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = fmt::segment(&guid);
    let kind = fmt::segment(&process);
    let api = &change.visitor.api;
    let path = format!("/v3/apps/{app}/processes/{kind}/instances/{index}");
    api.delete(&path).await?;
    let named: Named = api.get(&format!("/v3/apps/{app}")).await?;
    let command = format!("cf restart-app-instance {} {index}", fmt::word(&named.name));
    let next = change.fields.get("back").unwrap_or_default();
    Ok(change
        .done(format!("Instance {index} restarts"), own(next, &guid))
        .command(command))
}

/// Deletes an app whose name was typed.
async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = fmt::segment(&guid);
    let api = &change.visitor.api;
    let named: Named = api.get(&format!("/v3/apps/{app}")).await?;
    if change.fields.get("name") != Some(named.name.as_str()) {
        let text = format!("Type the name {} to delete the app", named.name);
        return Err(Refused::field("name", &text));
    }
    let reply = api.delete(&format!("/v3/apps/{app}")).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete {} -f", fmt::word(&named.name));
    Ok(change
        .done(progress.deleted(&named.name), "/console/apps")
        .command(command))
}

/// Only pages of this app.
fn own(page: &str, guid: &str) -> String {
    let start = format!("/console/apps/{guid}");
    if page.starts_with(&start) {
        page.to_owned()
    } else {
        start
    }
}
