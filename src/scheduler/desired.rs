//! The desired state: the scheduler's input, provided by the owner of apps and processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::guid::{AppGuid, ProcessGuid};
use crate::base::{Bytes, Megabytes, Timestamp};
use crate::db::{DbError, ReadTx};

/// Provides the desired state; called at the start of every pass.
pub trait DesiredState: Send + Sync + 'static {
    /// Every process that should have instances. One that is missing, or has 0 instances, is
    /// stopped.
    fn load(&self, tx: &ReadTx<'_>) -> Result<Wanted, DbError>;
}

/// The desired state.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Every process that should have instances.
    pub processes: Vec<DesiredProcess>,
    /// Processes whose desired state is unreadable: their instances are left alone.
    pub unreadable: BTreeSet<ProcessGuid>,
}

impl From<Vec<DesiredProcess>> for Wanted {
    fn from(processes: Vec<DesiredProcess>) -> Self {
        Self {
            processes,
            unreadable: BTreeSet::new(),
        }
    }
}

/// One process as it should run.
#[derive(Clone)]
pub struct DesiredProcess {
    /// The process.
    pub process_guid: ProcessGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// The app's name, for people who read `docker ps`.
    pub app_name: String,
    /// `web`, `worker`, …
    pub process_type: String,
    /// Changes whenever running instances have to be replaced.
    pub version: String,
    /// How many.
    pub instances: u32,
    /// Pullable reference by digest.
    pub image: String,
    /// What the droplet adds to the stack, if it is known.
    pub droplet_size: Option<Bytes>,
    /// Replaces the image's entrypoint; `None` keeps it, `Some(vec![])` clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the command.
    pub command: Vec<String>,
    /// `2000:2000`, a name, or `None` for the image's user.
    pub user: Option<String>,
    /// Working folder, `None` for the image's.
    pub working_dir: Option<String>,
    /// The app's part of the environment, lowest precedence first; the scheduler adds its own
    /// variables (instance guid, index, ports) below it.
    pub environment: Vec<(String, String)>,
    /// Memory limit.
    pub memory: Megabytes,
    /// Disk quota; measured, not enforced.
    pub disk: Megabytes,
    /// Bytes a second, -1 for no limit.
    pub log_rate_limit: i64,
    /// TCP ports the app listens on, the first one is `PORT`.
    pub ports: Vec<u16>,
    /// Startup and liveness check.
    pub health_check: HealthCheck,
    /// Readiness check.
    pub readiness_check: ReadinessCheck,
    /// The container has the lifecycle files (all but Docker images).
    pub lifecycle_files: bool,
    /// The app gets `VCAP_APP_PORT` and `VCAP_APP_HOST`.
    pub vcap_app_port: bool,
    /// Source type of its log lines, `APP/PROC/WEB` unless revisions are shown.
    pub log_source_type: String,
    /// Names of the sidecars whose lines begin with a mark.
    pub log_sidecars: Vec<String>,
}

/// Leaves the environment out: it holds secrets.
impl fmt::Debug for DesiredProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DesiredProcess")
            .field("process_guid", &self.process_guid)
            .field("app_guid", &self.app_guid)
            .field("process_type", &self.process_type)
            .field("version", &self.version)
            .field("instances", &self.instances)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// How a check probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// The process runs.
    Process,
    /// Every port accepts TCP connections.
    Port,
    /// `GET` on the first port answers 200.
    Http {
        /// Path, with its slash.
        endpoint: String,
    },
}

/// Startup and liveness check of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// How to probe.
    pub kind: CheckKind,
    /// How long the startup check may take to pass.
    pub timeout: Duration,
    /// How long one probe may take.
    pub invocation_timeout: Duration,
    /// Pause between liveness probes.
    pub interval: Duration,
}

impl HealthCheck {
    /// A check with Cloud Foundry's default times.
    pub fn new(kind: CheckKind) -> Self {
        Self {
            kind,
            timeout: Duration::from_secs(60),
            invocation_timeout: Duration::from_secs(1),
            interval: Duration::from_secs(30),
        }
    }
}

/// Readiness check of a process: decides about traffic only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessCheck {
    /// How to probe; `Process` is always ready.
    pub kind: CheckKind,
    /// How long one probe may take.
    pub invocation_timeout: Duration,
    /// Pause between probes.
    pub interval: Duration,
}

impl ReadinessCheck {
    /// A check with Cloud Foundry's default times.
    pub fn new(kind: CheckKind) -> Self {
        Self {
            kind,
            invocation_timeout: Duration::from_secs(1),
            interval: Duration::from_secs(30),
        }
    }
}

/// The desired state, as one pass sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Desired {
    /// Processes by guid.
    pub(super) processes: BTreeMap<ProcessGuid, Arc<DesiredProcess>>,
    /// Processes whose instances are left alone.
    pub(super) unreadable: BTreeSet<ProcessGuid>,
    /// How long an instance that had traffic keeps running before SIGTERM.
    pub(super) drain: Duration,
    /// What the limits of all instances may be together; `None` = anything.
    pub(super) memory_capacity: Option<Megabytes>,
}

impl Desired {
    pub(super) fn new(wanted: Wanted, drain: Duration) -> Self {
        let by_guid = |p: DesiredProcess| (p.process_guid.clone(), Arc::new(p));
        Self {
            processes: wanted.processes.into_iter().map(by_guid).collect(),
            unreadable: wanted.unreadable,
            drain,
            memory_capacity: None,
        }
    }

    /// The process, if this index of this version of it should run.
    pub(super) fn wants(
        &self,
        process: &ProcessGuid,
        version: &str,
        index: u32,
    ) -> Option<&Arc<DesiredProcess>> {
        self.processes
            .get(process)
            .filter(|p| p.version == version && index < p.instances)
    }

    /// When an instance that was retired at `since` may be stopped.
    pub(super) fn drained_at(&self, since: Timestamp) -> Timestamp {
        since.plus(self.drain)
    }
}
