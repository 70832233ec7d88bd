//! Adapters between engines: the scheduler's lines and metrics, the router's access lines and the
//! database's unreadable rows go to the logs, and the Cloud Controller decides who may read logs. A
//! client that is too slow gets the error of the API it called.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::response::{IntoResponse, Response};

use crate::base::guid::AppGuid;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::ApiError;
use crate::db::UnreadableRow;
use crate::logs::{Ingest, Line, LogAccess, LogStream, Logs, Readable, Tags};
use crate::router::AccessLog;
use crate::scheduler::{LogLine, LogSink, UsageReport};
use crate::uaa::UaaError;

/// The response to a request whose body arrived too slowly. Only Cloud Controller and UAA read
/// bodies.
pub(super) fn too_slow(path: &str) -> Response {
    if path.starts_with("/v3/") {
        ApiError::request_timeout().into_response()
    } else {
        UaaError::request_timeout().into_response()
    }
}

/// The logs as the scheduler sees them.
pub(super) struct SchedulerLogs {
    pub(super) logs: Logs,
    pub(super) ingest: Ingest,
}

#[async_trait]
impl LogSink for SchedulerLogs {
    fn line(&self, line: LogLine) {
        self.logs.emit(Line {
            source_id: line.app_guid.as_str(),
            source_type: &line.source_type,
            instance_id: &line.index.to_string(),
            stream: line.stream,
            text: &line.text,
        });
    }

    fn usage(&self, report: &UsageReport) {
        let instance = &report.instance;
        let index = instance.index.to_string();
        let mut tags = Tags::new();
        tags.insert("app_id".to_owned(), instance.app_guid.to_string());
        tags.insert("process_id".to_owned(), instance.process_guid.to_string());
        tags.insert("process_instance_id".to_owned(), instance.guid.to_string());
        tags.insert("process_type".to_owned(), instance.process_type.clone());
        tags.insert("origin".to_owned(), "rep".to_owned());
        let usage = &report.usage;
        #[expect(
            clippy::cast_precision_loss,
            reason = "gauges are floats by their format"
        )]
        let metrics = [
            ("cpu", "percentage", usage.cpu * 100.0),
            ("memory", "bytes", usage.memory as f64),
            ("disk", "bytes", usage.disk as f64),
            (
                "memory_quota",
                "bytes",
                report.memory_quota.to_bytes().0 as f64,
            ),
            ("disk_quota", "bytes", report.disk_quota.to_bytes().0 as f64),
            ("log_rate", "B/s", usage.log_rate as f64),
            ("log_rate_limit", "B/s", report.log_rate_limit as f64),
        ];
        self.logs
            .emit_gauges(instance.app_guid.as_str(), &index, tags, metrics);
    }

    fn log_rate(&self, container_id: &str) -> u64 {
        self.ingest.log_rate(container_id)
    }

    async fn drained(&self, container_id: &str, limit: Duration) {
        if !self.ingest.drained(container_id, limit).await {
            tracing::warn!(container = %container_id, "timed out reading the last log lines of a container");
        }
    }
}

/// Writes access lines to the app's log as `[RTR/0]`.
pub(super) struct RouterLog(pub(super) Logs);

impl AccessLog for RouterLog {
    fn line(&self, app_guid: &AppGuid, _index: u32, text: &str) {
        self.0.emit(Line {
            source_id: app_guid.as_str(),
            source_type: "RTR",
            instance_id: "0",
            stream: LogStream::Out,
            text,
        });
    }
}

/// Logs in an app's log that one of its rows cannot be read.
pub(super) fn log_unreadable(logs: &Logs, row: &UnreadableRow) {
    let Some(app) = &row.app_guid else { return };
    let text = format!(
        "{} {} cannot be read from the database and is left as it is: {}",
        row.reader, row.key, row.reason
    );
    logs.emit(Line {
        source_id: app,
        source_type: "API",
        instance_id: "0",
        stream: LogStream::Err,
        text: &text,
    });
}

/// Who may read whose logs.
pub(super) struct LogReaders(pub(super) CloudController);

#[async_trait]
impl LogAccess for LogReaders {
    async fn readable(&self, authorization: Option<&str>, source_id: &str) -> bool {
        match self.0.log_reader(authorization) {
            None => false,
            Some(reader) => reader.may_read(source_id).await,
        }
    }

    async fn all_readable(&self, authorization: Option<&str>) -> Readable {
        let Some(reader) = self.0.log_reader(authorization) else {
            return Readable::Nothing;
        };
        if reader.reads_all() {
            return Readable::Everything;
        }
        Readable::Only(reader.readable().await.into_iter().collect::<BTreeSet<_>>())
    }
}

/// The log sink of scheduler and tasks.
pub(super) type SharedSink = Arc<dyn LogSink>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_client_gets_an_error_in_the_format_of_its_api() {
        for (path, expected) in [
            (
                "/v3/packages/x/upload",
                r#"{"errors":[{"code":1001,"title":"CF-MessageParseError","detail":"Request invalid due to parse error: the client sent its request body too slowly"}]}"#,
            ),
            (
                "/oauth/token",
                r#"{"error":"request_timeout","error_description":"the client sent its request body too slowly"}"#,
            ),
        ] {
            let response = too_slow(path);
            assert_eq!(response.status(), http::StatusCode::REQUEST_TIMEOUT);
            let body = axum::body::to_bytes(response.into_body(), 1000)
                .await
                .unwrap();
            assert_eq!(body, expected, "{path}");
        }
    }
}
