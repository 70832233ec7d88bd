//! Receives the scheduler's log lines and measurements, and ensures that a container's output is
//! read before it is removed.

use std::time::Duration;

use async_trait::async_trait;

use super::instance::{Instance, Record};
use super::usage::InstanceUsage;
use crate::base::guid::{AppGuid, InstanceGuid, ProcessGuid};
use crate::base::{Megabytes, Timestamp};
use crate::docker::LogStream;

/// A line about an instance or a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The app, the line's source.
    pub app_guid: AppGuid,
    /// Index; 0 for a task.
    pub index: u32,
    /// `CELL`, `HEALTH`, `APP/PROC/WEB`.
    pub source_type: String,
    /// `Out`, or `Err` for failures.
    pub stream: LogStream,
    /// Text without newline.
    pub text: String,
    /// Which process and instance it is about; none for a task.
    pub tags: Vec<(&'static str, String)>,
}

/// One measurement of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageReport {
    /// The instance.
    pub instance: Instance,
    /// What it uses.
    pub usage: InstanceUsage,
    /// Memory limit.
    pub memory_quota: Megabytes,
    /// Disk quota.
    pub disk_quota: Megabytes,
    /// Bytes a second, -1 for no limit.
    pub log_rate_limit: i64,
    /// Bytes received and sent since the sample before.
    pub traffic: [u64; 2],
    /// When it was measured.
    pub at: Timestamp,
}

/// The logs, as far as the scheduler needs them. Nothing here may block.
#[async_trait]
pub trait LogSink: Send + Sync + 'static {
    /// Logs a line.
    fn line(&self, line: LogLine);

    /// Records a measurement.
    fn usage(&self, report: &UsageReport);

    /// The current log rate of a container in bytes per second.
    fn log_rate(&self, container_id: &str) -> u64;

    /// Returns when all output of an ended container was stored, or after `limit`.
    async fn drained(&self, container_id: &str, limit: Duration);
}

/// A line about `record`.
pub(super) fn line(record: &Record, source_type: &str, stream: LogStream, text: String) -> LogLine {
    LogLine {
        app_guid: record.slot.app_guid.clone(),
        index: record.slot.index,
        source_type: source_type.to_owned(),
        stream,
        text,
        tags: tags(
            &record.slot.process_guid,
            &record.slot.process_type,
            &record.guid,
        ),
    }
}

/// The tags of what is about an instance.
fn tags(
    process: &ProcessGuid,
    process_type: &str,
    instance: &InstanceGuid,
) -> Vec<(&'static str, String)> {
    vec![
        ("process_id", process.to_string()),
        ("process_type", process_type.to_owned()),
        ("process_instance_id", instance.to_string()),
    ]
}

impl UsageReport {
    /// The tags of its envelopes.
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        let one = &self.instance;
        tags(&one.process_guid, &one.process_type, &one.guid)
    }
}
