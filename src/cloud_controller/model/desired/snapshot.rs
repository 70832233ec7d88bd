//! The snapshot of a started process.

use serde::{Deserialize, Serialize};

use crate::base::guid::{AppGuid, ProcessGuid};
use crate::cloud_controller::model::processes::{Check, CheckType};

/// The part of a snapshot that is not secret; a JSON column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Specification {
    /// Words.
    pub command: Vec<String>,
    pub entrypoint: Option<Vec<String>>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub memory: i64,
    pub disk: i64,
    pub log_rate_limit: i64,
    pub ports: Vec<u16>,
    pub health_check: StoredCheck,
    pub readiness_check: StoredCheck,
    pub lifecycle_files: bool,
    /// Staged with Cloud Native Buildpacks.
    #[serde(default)]
    pub cloud_native: bool,
    /// Included in the source type of its log lines, if configured.
    #[serde(default)]
    pub logged_revision: Option<i64>,
    /// Names of the sidecars whose lines have marks, in the order of the command.
    #[serde(default)]
    pub sidecars: Vec<String>,
}

impl Specification {
    /// An instance is healthy and ready while its container runs: under development a command may
    /// end, or listen to nothing, until the next change.
    pub(crate) fn without_checks(&mut self) {
        for check in [&mut self.health_check, &mut self.readiness_check] {
            CheckType::Process.as_str().clone_into(&mut check.kind);
            check.endpoint = None;
        }
    }
}

/// A check; times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCheck {
    #[serde(rename = "type")]
    pub kind: String,
    pub endpoint: Option<String>,
    pub timeout: Option<i64>,
    pub invocation_timeout: Option<i64>,
    pub interval: Option<i64>,
}

impl From<&Check> for StoredCheck {
    fn from(check: &Check) -> Self {
        Self {
            kind: check.kind.as_str().to_owned(),
            endpoint: check
                .endpoint
                .clone()
                .filter(|_| check.kind == CheckType::Http),
            timeout: check.timeout,
            invocation_timeout: check.invocation_timeout,
            interval: check.interval,
        }
    }
}

/// A started process as the loader reads it first.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub process_guid: ProcessGuid,
    pub version: String,
    pub instances: u32,
    pub app_name: String,
    pub app_guid: AppGuid,
}

/// The part of a task's snapshot that is not secret and not in other columns; a JSON column.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskSpecification {
    /// Words.
    pub command: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub lifecycle_files: bool,
}
