//! Adapters between engines: the scheduler's lines and metrics and the database's unreadable rows go
//! to the logs, and the Cloud Controller decides who may read logs. A
//! client that is too slow gets the error of the API it called.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::response::{IntoResponse, Response};

use super::metrics::Measured;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::ApiError;
use crate::db::UnreadableRow;
use crate::logs::{Ingest, Line, LogAccess, LogStream, Logs, Readable};
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
    pub(super) measured: Measured,
}

#[async_trait]
impl LogSink for SchedulerLogs {
    fn line(&self, line: LogLine) {
        self.logs
            .emitter(line.app_guid.as_str(), &line.index.to_string())
            .of_type(&line.source_type)
            .tagged(line.tags)
            .line(line.stream, &line.text);
    }

    fn usage(&self, report: &UsageReport) {
        self.measured.instance(report);
        let instance = &report.instance;
        let emitter = self
            .logs
            .emitter(instance.app_guid.as_str(), &instance.index.to_string())
            .tagged(report.tags());
        for gauges in gauges(report) {
            emitter.gauges(gauges);
        }
        let usage = &report.usage;
        let [received, sent] = report.traffic;
        emitter.counter("rx_bytes", received, usage.rx);
        emitter.counter("tx_bytes", sent, usage.tx);
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

/// The measurements of an instance, in the envelopes that Cloud Foundry's cells send.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats by their format"
)]
fn gauges(report: &UsageReport) -> Vec<Vec<(&'static str, &'static str, f64)>> {
    let usage = &report.usage;
    let age = usage.age.as_nanos() as f64;
    let memory_quota = report.memory_quota.to_bytes().0 as f64;
    let mut lifetime = vec![
        ("container_age", "nanoseconds", age),
        ("absolute_usage", "nanoseconds", usage.cpu_nanos as f64),
    ];
    if let Some(entitlement) = usage.entitlement {
        lifetime.push(("absolute_entitlement", "nanoseconds", age * entitlement));
    }
    if let Some(part) = usage.cpu_entitlement() {
        lifetime.push(("cpu_entitlement", "percentage", part * 100.0));
    }
    vec![
        vec![
            ("cpu", "percentage", usage.cpu * 100.0),
            ("memory", "bytes", usage.memory as f64),
            ("disk", "bytes", usage.disk as f64),
            ("memory_quota", "bytes", memory_quota),
            ("disk_quota", "bytes", report.disk_quota.to_bytes().0 as f64),
        ],
        lifetime,
        vec![
            ("log_rate", "B/s", usage.log_rate as f64),
            ("log_rate_limit", "B/s", report.log_rate_limit as f64),
        ],
    ]
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

    async fn named(&self, authorization: Option<&str>, name: &str) -> Vec<String> {
        match self.0.log_reader(authorization) {
            None => Vec::new(),
            Some(reader) => reader.named(name).await,
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

    async fn reads_firehose(&self, authorization: Option<&str>) -> bool {
        self.0.reads_firehose(authorization).await
    }
}

/// The log sink of scheduler and tasks.
pub(super) type SharedSink = Arc<dyn LogSink>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Megabytes, Timestamp};
    use crate::scheduler::{Instance, InstanceState, InstanceUsage};

    #[test]
    fn an_instance_reports_in_three_envelopes() {
        let instance = Instance {
            guid: "i".into(),
            process_guid: "p".into(),
            app_guid: "a".into(),
            process_type: "web".to_owned(),
            index: 0,
            version: "v".to_owned(),
            state: InstanceState::Running,
            since: Timestamp::from_micros(0),
            crash_count: 0,
            details: None,
            routable: true,
            container_id: None,
        };
        let usage = InstanceUsage {
            cpu: 0.5,
            cpu_nanos: 7,
            memory: 1,
            disk: 2,
            entitlement: Some(0.25),
            log_rate: 3,
            age: Duration::from_nanos(8),
            ..InstanceUsage::default()
        };
        let report = |usage| UsageReport {
            instance: instance.clone(),
            usage,
            memory_quota: Megabytes(1),
            disk_quota: Megabytes(2),
            log_rate_limit: -1,
            traffic: [0, 0],
            at: Timestamp::from_micros(0),
        };
        let text = |usage| {
            let envelopes = gauges(&report(usage)).into_iter().map(|gauges| {
                let gauges = gauges.into_iter();
                let gauges: Vec<String> = gauges
                    .map(|(name, unit, value)| format!("{name}={value} {unit}"))
                    .collect();
                gauges.join(", ")
            });
            envelopes.collect::<Vec<String>>()
        };
        assert_eq!(
            text(usage),
            [
                "cpu=50 percentage, memory=1 bytes, disk=2 bytes, memory_quota=1048576 bytes, \
                 disk_quota=2097152 bytes",
                "container_age=8 nanoseconds, absolute_usage=7 nanoseconds, \
                 absolute_entitlement=2 nanoseconds, cpu_entitlement=200 percentage",
                "log_rate=3 B/s, log_rate_limit=-1 B/s",
            ]
        );
        let unknown = InstanceUsage {
            entitlement: None,
            ..usage
        };
        let lifetime = "container_age=8 nanoseconds, absolute_usage=7 nanoseconds";
        assert_eq!(text(unknown)[1], lifetime);
    }

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
