//! What is known of an app.

/// What is known of an app, read at one time.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Facts {
    /// The name as a word of a shell command.
    pub(super) word: String,
    pub(super) is_started: bool,
    pub(super) has_droplet: bool,
    pub(super) processes: Vec<ProcessFacts>,
    pub(super) instances: Vec<InstanceFacts>,
    /// How many seconds ago it was last started, restarted, deployed or given a droplet; `None`
    /// when no event says so.
    pub(super) started: Option<u64>,
    /// The newest first.
    pub(super) crashes: Vec<CrashFacts>,
    /// The newest build, if it failed after the current droplet was made.
    pub(super) failed_build: Option<String>,
    /// The newest package, if its upload or copy failed.
    pub(super) failed_package: Option<String>,
    /// Names of the services that are bound.
    pub(super) services: Vec<String>,
    pub(super) routes: usize,
    pub(super) quotas: Vec<QuotaFacts>,
    /// The last lines of the log, the oldest first.
    pub(super) lines: Vec<Line>,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub(super) struct ProcessFacts {
    /// `web`, `worker`, …
    pub(super) kind: String,
    pub(super) instances: u64,
    /// Megabytes of one instance.
    pub(super) memory: u64,
    pub(super) disk: u64,
    pub(super) command: String,
    /// `port`, `http` or `process`.
    pub(super) check: String,
    pub(super) endpoint: String,
    /// Seconds until an instance must be healthy.
    pub(super) timeout: u64,
}

/// An instance.
#[derive(Debug, Clone, Default)]
pub(super) struct InstanceFacts {
    pub(super) kind: String,
    pub(super) index: u32,
    /// `RUNNING`, `STARTING`, `CRASHED`, `DOWN`.
    pub(super) state: String,
    /// What keeps it from starting, or how it ended.
    pub(super) details: String,
}

/// An end that was not wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct CrashFacts {
    pub(super) at: String,
    /// Seconds ago.
    pub(super) age: u64,
    pub(super) index: u64,
    /// `APP/PROC/WEB: Exited with status 1`, `Instance never healthy after 60s: …`.
    pub(super) description: String,
}

/// A quota and what is left of it, in megabytes.
#[derive(Debug, Clone, Default)]
pub(super) struct QuotaFacts {
    pub(super) name: String,
    pub(super) limit: u64,
    pub(super) left: u64,
}

/// A line of the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// `APP/PROC/WEB`, `CELL`, `STG`, …
    pub(super) source_type: String,
    pub(super) text: String,
}

impl Line {
    /// Whether the app wrote it.
    pub(super) fn is_own(&self) -> bool {
        self.source_type.starts_with("APP/") && !self.text.starts_with("Exit status ")
    }
}

impl Facts {
    /// The process that has trouble, or the web process.
    pub(super) fn process(&self, kind: &str) -> ProcessFacts {
        let of = |kind: &str| self.processes.iter().find(|one| one.kind == kind);
        of(kind)
            .or_else(|| of("web"))
            .or_else(|| self.processes.first())
            .cloned()
            .unwrap_or_default()
    }
}
