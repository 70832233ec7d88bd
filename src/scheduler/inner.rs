//! State shared by the scheduler's workers: its parts, the last observation, and work in progress.
//! Nothing here has to survive a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::containers::Containers;
use super::desired::{DesiredProcess, DesiredState, Wanted};
use super::facts::Facts;
use super::health_check::Probe;
use super::instance::{InstanceAddress, Record, RoutableInstance};
use super::log_sink::LogSink;
use super::settings::{MemoryCapacity, Settings};
use super::usage::{Capacity, UsageTable};
use super::view::View;
use super::{SchedulerError, store};
use crate::base::guid::InstanceGuid;
use crate::base::{Clock, Megabytes, Timestamp};
use crate::db::{Db, DbError};
use crate::docker::{DockerError, Engine};

pub(super) struct Inner {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) desired: Arc<dyn DesiredState>,
    pub(super) logs: Arc<dyn LogSink>,
    pub(super) probe: Arc<dyn Probe>,
    pub(super) settings: Settings,
    pub(super) facts: Facts,
    pub(super) view: View,
    pub(super) usage: UsageTable,
    pub(super) capacity: OnceCell<Capacity>,
    pub(super) wake: Arc<Notify>,
    pub(super) routable: watch::Sender<Arc<Vec<RoutableInstance>>>,
    /// Whether the containers were compared with the records once.
    pub(super) observed: watch::Sender<bool>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) launches: Semaphore,
    pub(super) stops: Semaphore,
    pub(super) containers: Containers,
    pub(super) attempts: Arc<Attempts<InstanceGuid>>,
    monitors: Mutex<BTreeMap<InstanceGuid, CancellationToken>>,
    running: Mutex<Arc<BTreeMap<InstanceGuid, Running>>>,
    publishing: Mutex<()>,
}

/// Whether a pass left work to do, and which database change it saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) change: u64,
    pub(super) idle: bool,
}

/// An instance whose container runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) record: Record,
    pub(super) process: Arc<DesiredProcess>,
    pub(super) container_id: String,
    pub(super) since: Timestamp,
    pub(super) address: InstanceAddress,
}

impl Inner {
    pub(super) fn new(parts: super::Parts) -> Self {
        let facts = Facts {
            observer: parts.observer,
            guids: parts.guids,
            cell_id: parts.settings.cell_id.clone(),
        };
        let wake = Arc::new(Notify::new());
        Self {
            db: parts.db,
            clock: parts.clock,
            engine: parts.engine.clone(),
            desired: parts.desired,
            logs: parts.logs,
            probe: parts.probe,
            facts,
            view: View::default(),
            usage: UsageTable::default(),
            capacity: OnceCell::new(),
            attempts: Arc::new(Attempts::new(wake.clone())),
            wake,
            routable: watch::Sender::default(),
            observed: watch::Sender::default(),
            progress: watch::Sender::default(),
            launches: Semaphore::new(parts.settings.launches),
            stops: Semaphore::new(parts.settings.stops),
            containers: Containers::new(parts.engine.clone(), parts.settings.clone()),
            monitors: Mutex::default(),
            running: Mutex::default(),
            publishing: Mutex::default(),
            settings: parts.settings,
        }
    }

    /// What the daemon's machine has; asked once.
    pub(super) async fn capacity(&self) -> Option<Capacity> {
        let asked = self.capacity.get_or_try_init(|| async {
            let info = self.engine.info().await?;
            Ok::<_, DockerError>(Capacity {
                cpus: info.cpus,
                memory: info.memory,
            })
        });
        asked.await.ok().copied()
    }

    /// What the limits of all instances may be together; `None` = anything, or it is not known yet.
    pub(super) async fn memory_capacity(&self) -> Option<Megabytes> {
        match self.settings.memory_capacity? {
            MemoryCapacity::Size(size) => Some(size),
            MemoryCapacity::Percent(percent) => {
                let memory = self
                    .capacity()
                    .await
                    .filter(|found| found.memory > 0)?
                    .memory;
                let bytes = memory / 100 * u64::from(percent);
                i64::try_from(bytes >> 20).ok().map(Megabytes)
            }
        }
    }

    /// The desired state and the instance records. Unreadable records are removed: their containers
    /// are adopted again by their labels.
    pub(super) async fn read(&self) -> Result<(Wanted, Vec<Record>), SchedulerError> {
        let source = self.desired.clone();
        let read = self
            .db
            .read(move |tx| Ok::<_, DbError>((source.load(tx)?, store::all(tx)?)));
        let (wanted, (records, unreadable)) = read.await?;
        if unreadable {
            self.db.write(store::forget_unreadable).await?;
            // These instances start over, and so do their health checks.
            let known = records.iter().map(|record| record.guid.clone()).collect();
            self.retain_monitors(&known);
        }
        Ok((wanted, records))
    }

    /// The instances whose containers ran at the last observation.
    pub(super) fn running(&self) -> Arc<BTreeMap<InstanceGuid, Running>> {
        let running = self.running.lock();
        running.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_running(&self, running: BTreeMap<InstanceGuid, Running>) {
        let mut current = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(running);
    }

    /// Held while publishing, so that the latest observation is published last.
    pub(super) fn publishing(&self) -> MutexGuard<'_, ()> {
        let turn = self.publishing.lock();
        turn.unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the monitors of instances that are not in `wanted`; returns guards for those without
    /// a monitor.
    pub(super) fn update_monitors(
        self: &Arc<Self>,
        wanted: &BTreeSet<InstanceGuid>,
        parent: &CancellationToken,
    ) -> Vec<MonitorGuard> {
        self.retain_monitors(wanted);
        let mut monitors = self.monitors();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|guid| !monitors.contains_key(*guid))
            .cloned()
            .collect();
        missing
            .into_iter()
            .map(|guid| {
                let token = parent.child_token();
                monitors.insert(guid.clone(), token.clone());
                let inner = self.clone();
                MonitorGuard { inner, guid, token }
            })
            .collect()
    }

    fn retain_monitors(&self, wanted: &BTreeSet<InstanceGuid>) {
        self.monitors().retain(|guid, token| {
            let keep = wanted.contains(guid);
            if !keep {
                token.cancel();
            }
            keep
        });
    }

    fn monitors(&self) -> MutexGuard<'_, BTreeMap<InstanceGuid, CancellationToken>> {
        self.monitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to monitor one instance.
pub(super) struct MonitorGuard {
    inner: Arc<Inner>,
    pub(super) guid: InstanceGuid,
    pub(super) token: CancellationToken,
}

impl Drop for MonitorGuard {
    fn drop(&mut self) {
        // A cancelled monitor was removed already, and another one may have its place.
        if !self.token.is_cancelled() {
            self.inner.monitors().remove(&self.guid);
            self.inner.wake.notify_one();
        }
    }
}
