//! Runs the instances of apps: reconciles their containers with the desired state, checks their
//! health, restarts crashed instances and publishes which instances take traffic.
//!
//! A pass observes ([`DesiredState`], the `instances` table, the daemon's containers), plans
//! (`plan`, pure), records the changes of the plan, and executes its effects (`execute`). The owner
//! of apps commits a new desired state; that wakes a pass.
//!
//! Invariants:
//! - Nothing else creates, starts or stops containers of instances.
//! - An instance is recorded before its container is created, and its container is removed before
//!   its record. Containers carry all data to adopt them (`labels`); Docker's restart policy stays
//!   off.
//! - Traffic is withdrawn ([`Scheduler::routable`]) before an instance is stopped.
//! - Stopping this process does not affect running instances.
//! - A process whose row is unreadable keeps its instances, and those keep their traffic; an
//!   instance whose record is unreadable is adopted again by its container's labels.
//! - Addresses are never stored: they come from the daemon after every start.
//! - The scheduler knows nothing of apps, routes or users beyond what [`DesiredProcess`] says.

mod actual;
mod addresses;
mod attempts;
mod containers;
mod crash;
mod desired;
mod environment;
mod execute;
mod facts;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod files;
mod health_check;
mod inner;
mod instance;
mod labels;
mod lifecycle;
mod log_sink;
mod monitor;
mod network;
mod passes;
mod plan;
mod reconciler;
mod sampling;
mod settings;
mod store;
mod tasks;
#[cfg(test)]
mod tests;
mod usage;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use desired::{CheckKind, DesiredProcess, DesiredState, HealthCheck, ReadinessCheck, Wanted};
pub use environment::{of_stack, with_limits};
pub use files::{FileEntry, FileError, FileKind, InstanceOf, Listing};
pub use health_check::{NetworkProbe, Probe, ProbeTarget};
pub use instance::{
    Crash, Instance, InstanceAddress, InstanceState, Observer, Readiness, ReadinessChange,
    Rescheduling, RoutableInstance, by_index,
};
pub use labels::{
    KIND_INSTANCE, LABEL_APP, LABEL_INDEX, LABEL_INSTANCE, LABEL_PORTS, LABEL_PROCESS,
    LABEL_PROCESS_TYPE, LABEL_VERSION,
};
pub use lifecycle::{Lifecycle, remove_volumes};
pub use log_sink::{LogLine, LogSink, UsageReport};
pub use network::{Network, Seat};
pub use settings::{MemoryCapacity, Settings};
pub use store::{instances, instances_of_all, restart_instance};
pub use tasks::{DesiredTask, OpenTask, OpenTasks, TaskEnd, TaskList, TaskParts, TaskState, Tasks};
pub use usage::InstanceUsage;

use crate::base::guid::{InstanceGuid, ProcessGuid};
use crate::base::{Clock, GuidSource, Supervisor};
use crate::db::{Db, DbError};
use crate::docker::{DockerError, Engine};

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The daemon.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The parts of a scheduler.
pub struct Parts {
    /// Database.
    pub db: Db,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Guids of new instances.
    pub guids: GuidSource,
    /// The daemon.
    pub engine: Arc<dyn Engine>,
    /// What should run.
    pub desired: Arc<dyn DesiredState>,
    /// Notified of crashes and readiness changes.
    pub observer: Arc<dyn Observer>,
    /// Receives log lines and measurements.
    pub logs: Arc<dyn LogSink>,
    /// Probes apps.
    pub probe: Arc<dyn Probe>,
    /// Settings.
    pub settings: Settings,
}

/// The scheduler of one platform; cheap to clone.
#[derive(Clone)]
pub struct Scheduler(Arc<inner::Inner>);

impl Scheduler {
    /// A scheduler that does nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(inner::Inner::new(parts)))
    }

    /// Starts its workers.
    pub fn start(&self, supervisor: &Supervisor) {
        let (inner, all) = (self.0.clone(), supervisor.clone());
        supervisor.worker("scheduler", move |token| {
            passes::reconcile(inner.clone(), all.clone(), token)
        });
        let inner = self.0.clone();
        supervisor.worker("scheduler.changes", move |token| {
            passes::follow_daemon(inner.clone(), token)
        });
        let inner = self.0.clone();
        supervisor.worker("scheduler.usage", move |token| {
            let inner = inner.clone();
            async move { inner.sample_usage(token).await }
        });
    }

    /// The instances that take traffic; receivers are notified of every change.
    pub fn routable(&self) -> watch::Receiver<Arc<Vec<RoutableInstance>>> {
        self.0.routable.subscribe()
    }

    /// Whether [`Scheduler::routable`] has what ran before this process, or the daemon does not
    /// answer.
    pub fn observed(&self) -> watch::Receiver<bool> {
        self.0.observed.subscribe()
    }

    /// Where a running instance can be reached.
    pub fn address(&self, guid: &InstanceGuid) -> Option<InstanceAddress> {
        let running = self.0.running();
        running.get(guid).map(|one| one.address.clone())
    }

    /// The container of a running instance; of two, as while one replaces the other, the newer.
    pub fn container(&self, process: &ProcessGuid, index: u32) -> Option<String> {
        let running = self.0.running();
        let found = running.values().filter(|one| {
            let slot = &one.record.slot;
            slot.process_guid == *process && slot.index == index
        });
        let newest = found.max_by_key(|one| one.since)?;
        Some(newest.container_id.clone())
    }

    /// What an instance used at its last sample.
    pub fn usage(&self, guid: &InstanceGuid) -> Option<InstanceUsage> {
        self.0.usage.get(guid)
    }

    /// Takes new samples for those of `guids` whose last sample is older than 5 s. False if the
    /// daemon did not answer within `limit`.
    pub async fn refresh_usage(&self, guids: &[InstanceGuid], limit: Duration) -> bool {
        self.0.refresh_usage(guids, limit).await
    }

    /// Waits until everything committed so far is executed: every instance is RUNNING or CRASHED,
    /// and none is stopping. For tests; has no time limit.
    pub async fn settled(&self) {
        let wanted = *self.0.db.changes().borrow();
        let mut progress = self.0.progress.subscribe();
        let settled = progress.wait_for(|progress| progress.idle && progress.change >= wanted);
        // The sender lives as long as `self`.
        drop(settled.await);
    }
}
