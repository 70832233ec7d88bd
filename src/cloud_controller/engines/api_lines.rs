//! The `[API/0]` lines in an app's log, derived from committed audit events.
//!
//! Every action that CC's API reports in the app's log writes an audit event. A worker follows the
//! events and writes the lines, so a line appears exactly when its action is committed, whatever
//! the source: a request, a manifest, the deletion of a space, a crash. Events committed before
//! this process started are not written again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::base::Supervisor;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::AuditEvent;
use crate::db::Db;
use crate::logs::{Line, LogStream, Logs};

/// Writes the API's lines into the apps' logs.
#[derive(Clone)]
pub(crate) struct ApiLines {
    db: Db,
    logs: Logs,
    /// The last event that was written.
    seen: Arc<AtomicI64>,
}

/// No event was read yet.
const NOTHING: i64 = -1;

impl ApiLines {
    /// A writer that is not started yet.
    pub(crate) fn new(db: Db, logs: Logs) -> Self {
        Self {
            db,
            logs,
            seen: Arc::new(AtomicI64::new(NOTHING)),
        }
    }

    /// Starts following the events.
    pub(crate) fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("cloud_controller.log_lines", move |token| {
            let this = this.clone();
            async move { this.follow(token).await }
        });
    }

    async fn follow(&self, token: CancellationToken) -> Result<(), Error> {
        let mut changes = self.db.changes();
        // A restarted worker continues where it stopped.
        let mut last = self.seen.load(Ordering::Relaxed);
        if last == NOTHING {
            last = self.db.read(model::audit_events::newest_id).await?;
            self.seen.store(last, Ordering::Relaxed);
        }
        loop {
            let seen = last;
            for (id, event) in self
                .db
                .read(move |tx| model::audit_events::after(tx, seen))
                .await?
            {
                last = id;
                match event {
                    Ok(event) => self.write(&event),
                    Err(error) => {
                        tracing::error!(event.id = id, %error, "cannot read audit event");
                    }
                }
                self.seen.store(last, Ordering::Relaxed);
            }
            if last > seen {
                continue;
            }
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    fn write(&self, event: &AuditEvent) {
        for text in lines(event) {
            self.logs.emit(Line {
                source_id: &event.target[0],
                source_type: "API",
                instance_id: "0",
                stream: LogStream::Out,
                text: &text,
            });
        }
        if let Some(text) = failure(event) {
            self.logs.emit(Line {
                source_id: &event.target[0],
                source_type: "API",
                instance_id: "0",
                stream: LogStream::Err,
                text: &text,
            });
        }
    }
}

/// The failure, for the app's error stream.
fn failure(event: &AuditEvent) -> Option<String> {
    if event.kind != "audit.app.build.failed" {
        return None;
    }
    let why = event.data.get("error_message")?.as_str()?;
    Some(format!("Failed to stage build: {why}"))
}

/// The lines of an event in the app's log.
fn lines(event: &AuditEvent) -> Vec<String> {
    let [guid, kind, _] = &event.target;
    let Some(action) = event.kind.strip_prefix("audit.app.") else {
        return Vec::new();
    };
    if kind != "app" {
        return Vec::new();
    }
    let data = &event.data;
    if let Some(action) = action.strip_prefix("process.") {
        return process_lines(action, guid, data);
    }
    let build = data
        .get("build_guid")
        .and_then(Value::as_str)
        .unwrap_or(guid);
    let request = data.get("request").unwrap_or(&Value::Null);
    let line = match action {
        "create" => format!("Created app with guid {guid}"),
        "update" | "droplet.mapped" => format!("Updated app with guid {guid} ({request})"),
        "start" => format!("Starting app with guid {guid}"),
        "stop" => format!("Stopping app with guid {guid}"),
        "restart" => format!("Restarted app with guid {guid}"),
        "delete-request" => format!("Deleted app with guid {guid}"),
        "apply_manifest" => {
            let manifest = request
                .get("manifest")
                .and_then(Value::as_str)
                .unwrap_or("");
            format!("Applied manifest to app with guid {guid} ({manifest})")
        }
        "package.create" => {
            let source = request.get("source_package_guid").and_then(Value::as_str);
            let copied = source.map_or(String::new(), |source| {
                format!(" copied from package with guid {source}")
            });
            format!("Adding app package for app with guid {guid}{copied}")
        }
        "package.upload" => format!("Uploading app package for app with guid {guid}"),
        "package.delete" => format!("Deleting app package for app with guid {guid}"),
        "package.download" => format!("Downloading app package for app with guid {guid}"),
        "build.create" => format!("Creating build for app with guid {guid}"),
        "build.staged" => format!("Staging complete for build {build}"),
        "build.failed" => format!("Staging failed for build {build}"),
        "droplet.create" => format!("Creating droplet for app with guid {guid}"),
        "droplet.delete" => format!("Deleting droplet for app with guid {guid}"),
        "droplet.download" => format!("Downloading droplet for app with guid {guid}"),
        "droplet.upload" => format!("Uploading droplet for app with guid {guid}"),
        "revision.create" => format!("Creating revision for app with guid {guid}"),
        "deployment.create" => format!("Creating deployment for app with guid {guid}"),
        "deployment.cancel" => format!("Cancelling deployment for app with guid {guid}"),
        "deployment.continue" => format!("Continuing deployment for app with guid {guid}"),
        _ => return Vec::new(),
    };
    vec![line]
}

fn process_lines(action: &str, guid: &str, data: &Value) -> Vec<String> {
    let kind = data
        .get("process_type")
        .and_then(Value::as_str)
        .unwrap_or("web");
    match action {
        "create" => vec![format!("Added process: \"{kind}\"")],
        "update" => vec![format!("Updating process: \"{kind}\"")],
        "scale" => vec![format!("Scaling process: \"{kind}\"")],
        "delete" => vec![format!("Deleting process: \"{kind}\"")],
        "terminate_instance" => {
            let index = data
                .get("process_index")
                .and_then(Value::as_u64)
                .unwrap_or(0);
            vec![format!(
                "Terminating process: \"{kind}\", index: \"{index}\""
            )]
        }
        "crash" => vec![
            format!("Process has crashed with type: \"{kind}\""),
            format!("App instance exited with guid {guid} payload: {data}"),
        ],
        "rescheduling" => vec!["Process is being rescheduled".to_owned()],
        "ready" => vec![format!(
            "Process became ready with guid {guid} payload: {data}"
        )],
        "not-ready" => vec![format!(
            "Process became not ready with guid {guid} payload: {data}"
        )],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::Timestamp;

    fn logged(kind: &str, target: &str, data: Value) -> Vec<String> {
        lines(&AuditEvent {
            guid: "e".to_owned(),
            kind: kind.to_owned(),
            actor: ["u", "user", "admin"].map(str::to_owned),
            target: ["G", target, "app"].map(str::to_owned),
            data,
            space_guid: None,
            organization_guid: None,
            created_at: Timestamp::from_micros(0),
        })
    }

    #[test]
    fn actions_are_logged_in_ccs_words() {
        let cases = [
            ("audit.app.create", json!({}), "Created app with guid G"),
            (
                "audit.app.update",
                json!({ "request": { "name": "b" } }),
                "Updated app with guid G ({\"name\":\"b\"})",
            ),
            ("audit.app.start", json!({}), "Starting app with guid G"),
            ("audit.app.stop", json!({}), "Stopping app with guid G"),
            ("audit.app.restart", json!({}), "Restarted app with guid G"),
            (
                "audit.app.delete-request",
                json!({}),
                "Deleted app with guid G",
            ),
            (
                "audit.app.package.create",
                json!({ "request": { "source_package_guid": "P" } }),
                "Adding app package for app with guid G copied from package with guid P",
            ),
            (
                "audit.app.process.scale",
                json!({ "process_type": "worker" }),
                "Scaling process: \"worker\"",
            ),
            (
                "audit.app.process.terminate_instance",
                json!({ "process_type": "web", "process_index": 1 }),
                "Terminating process: \"web\", index: \"1\"",
            ),
            (
                "audit.app.process.rescheduling",
                json!({ "process_type": "web", "index": 0 }),
                "Process is being rescheduled",
            ),
            (
                "audit.app.build.staged",
                json!({ "build_guid": "B" }),
                "Staging complete for build B",
            ),
        ];
        for (kind, data, line) in cases {
            assert_eq!(logged(kind, "app", data), [line]);
        }
    }

    #[test]
    fn a_crash_is_logged_with_its_payload() {
        let data = json!({ "process_type": "web", "index": 0 });
        assert_eq!(
            logged("audit.app.process.crash", "app", data),
            [
                "Process has crashed with type: \"web\"",
                "App instance exited with guid G payload: {\"process_type\":\"web\",\"index\":0}",
            ]
        );
    }

    #[test]
    fn reading_and_other_resources_are_not_logged() {
        assert!(logged("audit.app.environment.show", "app", json!({})).is_empty());
        assert!(logged("app.crash", "app", json!({})).is_empty());
        assert!(logged("audit.space.create", "space", json!({})).is_empty());
        assert!(logged("audit.app.create", "space", json!({})).is_empty());
    }
}
