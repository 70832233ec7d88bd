//! Instances: the record of each, its API representation, and the events for observers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, InstanceGuid, ProcessGuid};
use crate::db::{DbError, WriteTx};

/// State as the v3 API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Being created, or its startup check has not passed yet.
    Starting,
    /// Its startup check passed.
    Running,
    /// In backoff, or no longer restarted.
    Crashed,
    /// Wanted, but it does not exist or cannot be placed.
    Down,
    /// No longer wanted; its container still exists.
    Stopping,
}

impl InstanceState {
    /// `STARTING` and so on.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Crashed => "CRASHED",
            Self::Down => "DOWN",
            Self::Stopping => "STOPPING",
        }
    }
}

/// An instance as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Guid; a replacement has a new one.
    pub guid: InstanceGuid,
    /// Process.
    pub process_guid: ProcessGuid,
    /// App.
    pub app_guid: AppGuid,
    /// `web`, `worker`, …
    pub process_type: String,
    /// Index.
    pub index: u32,
    /// Version of the process it was started from.
    pub version: String,
    /// State.
    pub state: InstanceState,
    /// When it entered this state.
    pub since: Timestamp,
    /// Crashes in a row.
    pub crash_count: u32,
    /// Why it crashed or cannot be placed.
    pub details: Option<String>,
    /// Whether it gets traffic.
    pub routable: bool,
    /// Its container, once created.
    pub container_id: Option<String>,
}

/// The instance to show for each index `0..wanted` of a version: the active one, else the stopping
/// one, else `None` (shown as DOWN).
pub fn by_index(instances: &[Instance], version: &str, wanted: u32) -> Vec<Option<Instance>> {
    let of_index = |index: u32| {
        instances
            .iter()
            .filter(|i| i.index == index && i.version == version)
            .min_by_key(|i| i.state == InstanceState::Stopping)
            .cloned()
    };
    (0..wanted).map(of_index).collect()
}

/// Where an instance can be reached now; never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceAddress {
    /// IP of its container.
    pub ip: Option<IpAddr>,
    /// Container port -> address to connect to from here.
    pub ports: BTreeMap<u16, SocketAddr>,
}

/// An instance that gets traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutableInstance {
    /// Guid.
    pub instance_guid: InstanceGuid,
    /// Process.
    pub process_guid: ProcessGuid,
    /// App.
    pub app_guid: AppGuid,
    /// Index.
    pub index: u32,
    /// Where it listens.
    pub address: InstanceAddress,
}

/// A crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The instance that crashed.
    pub instance_guid: InstanceGuid,
    /// Its process.
    pub process_guid: ProcessGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// `web`, `worker`, …
    pub process_type: String,
    /// Index.
    pub index: u32,
    /// Version of the process.
    pub version: String,
    /// Where it ran.
    pub cell_id: String,
    /// `APP/PROC/WEB: Exited with status 1` and the like.
    pub exit_description: String,
    /// Crashes in a row, this one included.
    pub crash_count: u32,
    /// When.
    pub at: Timestamp,
}

/// A change of readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessChange {
    /// The instance.
    pub instance_guid: InstanceGuid,
    /// Its process.
    pub process_guid: ProcessGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// `web`, `worker`, …
    pub process_type: String,
    /// Index.
    pub index: u32,
    /// Version of the process.
    pub version: String,
    /// Where it runs.
    pub cell_id: String,
    /// What it is now.
    pub readiness: Readiness,
    /// When.
    pub at: Timestamp,
}

/// An instance that another one replaces, without a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescheduling {
    /// The instance that is gone.
    pub instance_guid: InstanceGuid,
    /// Its process.
    pub process_guid: ProcessGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// `web`, `worker`, …
    pub process_type: String,
    /// Index.
    pub index: u32,
    /// Version of the process.
    pub version: String,
    /// Where it ran.
    pub cell_id: String,
    /// Why, such as `its container is gone`.
    pub reason: &'static str,
    /// When.
    pub at: Timestamp,
}

/// Whether an instance is ready for traffic, by its own check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is ready.
    Ready,
    /// It is not ready.
    NotReady,
}

/// Notified of facts in the transaction that records them; must not have side effects.
pub trait Observer: Send + Sync + 'static {
    /// An instance crashed.
    fn crashed(&self, tx: &WriteTx<'_>, crash: &Crash) -> Result<(), DbError>;

    /// An instance with a readiness check became ready or not ready.
    fn readiness_changed(&self, tx: &WriteTx<'_>, change: &ReadinessChange) -> Result<(), DbError>;

    /// An instance is replaced, and did not crash.
    fn rescheduled(&self, tx: &WriteTx<'_>, rescheduling: &Rescheduling) -> Result<(), DbError>;
}

/// The record of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) guid: InstanceGuid,
    pub(super) slot: Slot,
    pub(super) phase: Phase,
    pub(super) since: Timestamp,
    pub(super) container_id: Option<String>,
    pub(super) ready: bool,
    pub(super) serving: bool,
    pub(super) crash_count: u32,
    pub(super) last_crash_at: Option<Timestamp>,
    pub(super) details: Option<String>,
}

/// The slot that an instance fills.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) process_guid: ProcessGuid,
    pub(super) version: String,
    pub(super) index: u32,
    pub(super) app_guid: AppGuid,
    pub(super) process_type: String,
}

/// What the platform decided about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Starting,
    Running,
    Crashed,
    Stopping,
}

impl Phase {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Crashed => "CRASHED",
            Self::Stopping => "STOPPING",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Starting, Self::Running, Self::Crashed, Self::Stopping]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

impl Record {
    /// As the API shows it.
    pub(super) fn present(self) -> Instance {
        let state = match self.phase {
            Phase::Starting if self.details.is_some() => InstanceState::Down,
            Phase::Starting => InstanceState::Starting,
            Phase::Running => InstanceState::Running,
            Phase::Crashed => InstanceState::Crashed,
            Phase::Stopping => InstanceState::Stopping,
        };
        Instance {
            guid: self.guid,
            process_guid: self.slot.process_guid,
            app_guid: self.slot.app_guid,
            process_type: self.slot.process_type,
            index: self.slot.index,
            version: self.slot.version,
            state,
            since: self.since,
            crash_count: self.crash_count,
            details: self.details,
            routable: state == InstanceState::Running && self.ready,
            container_id: self.container_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(guid: &str, index: u32, version: &str, state: InstanceState) -> Instance {
        Instance {
            guid: guid.into(),
            process_guid: "p".into(),
            app_guid: "a".into(),
            process_type: "web".to_owned(),
            index,
            version: version.to_owned(),
            state,
            since: Timestamp::from_micros(0),
            crash_count: 0,
            details: None,
            routable: false,
            container_id: None,
        }
    }

    #[test]
    fn an_index_shows_its_active_instance_of_the_version() {
        let all = [
            instance("old", 0, "v1", InstanceState::Running),
            instance("leaving", 0, "v2", InstanceState::Stopping),
            instance("new", 0, "v2", InstanceState::Starting),
            instance("restarting", 1, "v2", InstanceState::Stopping),
        ];
        let shown: Vec<_> = by_index(&all, "v2", 3)
            .into_iter()
            .map(|i| i.map(|i| i.guid.to_string()))
            .collect();
        assert_eq!(
            shown,
            [Some("new".to_owned()), Some("restarting".to_owned()), None]
        );
    }
}
