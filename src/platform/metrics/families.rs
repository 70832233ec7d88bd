//! The families: the platform's own, and those of apps and services.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use super::{PlatformMetrics, Requests};
use crate::base::guid::AppGuid;
use crate::cloud_controller::model;
use crate::data_services::ServiceUsage;
use crate::db::DbError;
use crate::logs::TagSource;
use crate::scheduler::UsageReport;
use crate::telemetry::otlp::MetricSource;
use crate::telemetry::{Family, Labels};

/// Names of the classes of statuses.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

#[async_trait]
impl MetricSource for PlatformMetrics {
    async fn families(&self) -> Vec<Family> {
        let mut all = self.of_platform();
        all.extend(self.of_resources().await);
        all.extend(self.of_requests());
        all.extend(self.of_connections());
        all.extend(self.of_instances());
        all.extend(self.of_services());
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats")]
impl PlatformMetrics {
    fn of_platform(&self) -> Vec<Family> {
        let uptime = self.measured.now().since(self.started_at);
        let mut version = Family::gauge("cflite_build_info", "The running version; always 1.");
        let text = env!("CARGO_PKG_VERSION").to_owned();
        version.push(vec![("version", text)], 1.0);
        let mut restarts = Family::counter(
            "cflite_worker_restarts_total",
            "How often a part of the platform was restarted after a fault.",
        );
        let mut running = Family::gauge(
            "cflite_worker_running",
            "Whether a part of the platform runs.",
        );
        for (name, status) in self.supervisor.status() {
            let labels = || vec![("worker", name.clone())];
            restarts.push(labels(), f64::from(status.restarts));
            running.push(labels(), f64::from(u8::from(status.running)));
        }
        let meta = self.logs.meta();
        let envelopes: i64 = meta.values().map(|meta| meta.count).sum();
        vec![
            version,
            Family::gauge("cflite_uptime_seconds", "Time since the platform started.")
                .with(uptime.as_secs_f64()),
            restarts,
            running,
            Family::gauge(
                "cflite_unreadable_rows",
                "Rows of the database that cannot be read.",
            )
            .with(self.db.unreadable_rows() as f64),
            Family::gauge("cflite_log_sources", "Sources in the log store.")
                .with(meta.len() as f64),
            Family::gauge(
                "cflite_log_envelopes",
                "Log lines and metrics in the log store.",
            )
            .with(envelopes as f64),
            Family::counter(
                "cflite_log_lost_total",
                "Lines of the platform that were dropped because the log store was too slow.",
            )
            .with(self.logs.lost() as f64),
            Family::gauge("cflite_routable_instances", "Instances that take traffic.")
                .with(self.scheduler.routable().borrow().len() as f64),
        ]
    }

    async fn of_resources(&self) -> Vec<Family> {
        let counts: Result<Value, DbError> = self.db.read(model::seed::counts).await;
        let mut resources = Family::gauge("cflite_resources", "Resources of the Cloud Controller.");
        let counts = counts.ok();
        for (name, count) in counts.iter().filter_map(Value::as_object).flatten() {
            if let Some(count) = count.as_f64() {
                resources.push(vec![("kind", name.replace(' ', "_"))], count);
            }
        }
        vec![resources]
    }

    fn of_requests(&self) -> Vec<Family> {
        self.measured
            .retain_apps(|app| self.names.knows(app.as_str()));
        let mut requests = Family::counter(
            "cflite_app_http_requests_total",
            "Requests to an app by the class of their status.",
        );
        let mut seconds = Family::counter(
            "cflite_app_http_request_seconds_total",
            "Time of all requests to an app, from the first byte to the last one.",
        );
        for (app, of_app) in self.measured.requests() {
            let Requests {
                by_class,
                seconds: spent,
            } = of_app;
            let labels = self.app(&app);
            for (class, count) in CLASSES.iter().zip(by_class).filter(|(_, count)| *count > 0) {
                let mut labels = labels.clone();
                labels.push(("class", (*class).to_owned()));
                requests.push(labels, count as f64);
            }
            seconds.push(labels, spent);
        }
        vec![requests, seconds]
    }

    fn of_connections(&self) -> Vec<Family> {
        let figures = self.tcp.figures();
        let state = |state: &str| vec![("state", state.to_owned())];
        let mut ports = Family::gauge("cflite_tcp_ports", "Ports of TCP routes with an instance.");
        ports.push(state("open"), figures.ports.len() as f64);
        ports.push(state("unavailable"), figures.unavailable.len() as f64);
        let result = |result: &str| vec![("result", result.to_owned())];
        let mut connections = Family::counter(
            "cflite_tcp_connections_total",
            "Connections to TCP routes: served, without an instance that answered, or too many.",
        );
        connections.push(result("served"), figures.served as f64);
        connections.push(result("unreachable"), figures.unreachable as f64);
        connections.push(result("refused"), figures.refused as f64);
        vec![
            ports,
            Family::gauge("cflite_tcp_connections", "Connections to TCP routes now.")
                .with(figures.open as f64),
            connections,
            Family::counter(
                "cflite_tcp_received_bytes_total",
                "Bytes that clients sent to TCP routes.",
            )
            .with(figures.received as f64),
            Family::counter(
                "cflite_tcp_sent_bytes_total",
                "Bytes that clients of TCP routes got.",
            )
            .with(figures.sent as f64),
        ]
    }

    fn of_instances(&self) -> Vec<Family> {
        let mut all = [
            Family::gauge(
                "cflite_app_instance_cpu_cores",
                "Cores that an instance uses.",
            ),
            Family::gauge("cflite_app_instance_memory_bytes", "Memory of an instance."),
            Family::gauge("cflite_app_instance_memory_quota_bytes", "Its limit."),
            Family::gauge(
                "cflite_app_instance_disk_bytes",
                "Disk space of an instance.",
            ),
            Family::gauge("cflite_app_instance_disk_quota_bytes", "Its limit."),
            Family::gauge(
                "cflite_app_instance_log_bytes_per_second",
                "Its rate of log output.",
            ),
            Family::gauge(
                "cflite_app_instance_age_seconds",
                "How long it has been running.",
            ),
            Family::counter(
                "cflite_app_instance_received_bytes_total",
                "Bytes it received.",
            ),
            Family::counter("cflite_app_instance_sent_bytes_total", "Bytes it sent."),
        ];
        for report in self.measured.instances() {
            let labels = self.instance(&report);
            let usage = &report.usage;
            let values = [
                usage.cpu,
                usage.memory as f64,
                report.memory_quota.to_bytes().0 as f64,
                usage.disk as f64,
                report.disk_quota.to_bytes().0 as f64,
                usage.log_rate as f64,
                usage.age.as_secs_f64(),
                usage.rx as f64,
                usage.tx as f64,
            ];
            for (family, value) in all.iter_mut().zip(values) {
                family.push(labels.clone(), value);
            }
        }
        all.into()
    }

    fn of_services(&self) -> Vec<Family> {
        let mut all = [
            Family::gauge(
                "cflite_service_cpu_cores",
                "Cores that a data service uses.",
            ),
            Family::gauge("cflite_service_memory_bytes", "Memory of a data service."),
            Family::gauge("cflite_service_memory_quota_bytes", "Its limit."),
            Family::gauge(
                "cflite_service_disk_bytes",
                "Bytes on the volume of a data service.",
            ),
            Family::gauge("cflite_service_disk_quota_bytes", "How many may be on it."),
        ];
        for usage in self.measured.services() {
            let labels = self.service(&usage);
            let values = [
                usage.cpu,
                Some(usage.memory as f64),
                Some(usage.memory_quota as f64),
                usage.disk.map(|disk| disk as f64),
                usage.disk_quota.map(|quota| quota as f64),
            ];
            for (family, value) in all.iter_mut().zip(values) {
                if let Some(value) = value {
                    family.push(labels.clone(), value);
                }
            }
        }
        all.into()
    }

    fn app(&self, app: &AppGuid) -> Labels {
        let tags = self.names.tags(app.as_str());
        labels(&tags, "app", "app_name", ("app_guid", app.as_str()))
    }

    fn instance(&self, report: &UsageReport) -> Labels {
        let instance = &report.instance;
        let mut labels = self.app(&instance.app_guid);
        labels.push(("process", instance.process_type.clone()));
        labels.push(("index", instance.index.to_string()));
        labels.push(("instance_guid", instance.guid.to_string()));
        labels
    }

    fn service(&self, usage: &ServiceUsage) -> Labels {
        let tags = self.names.tags(&usage.guid);
        let guid = ("service_instance_guid", usage.guid.as_str());
        labels(&tags, "service_instance", "service_instance_name", guid)
    }
}

fn labels(
    tags: &BTreeMap<String, String>,
    label: &'static str,
    name: &str,
    (guid_label, guid): (&'static str, &str),
) -> Labels {
    let tag = |name: &str| tags.get(name).cloned().unwrap_or_default();
    vec![
        ("organization", tag("organization_name")),
        ("space", tag("space_name")),
        (label, tag(name)),
        (guid_label, guid.to_owned()),
    ]
}
