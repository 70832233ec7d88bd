//! What the scheduler's workers share: its parts, its last look at the world, and the work under
//! way. Nothing here has to survive a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::desired::{DesiredProcess, DesiredState};
use super::facts::Facts;
use super::health_check::Probe;
use super::instance::{InstanceAddress, Record, RoutableInstance};
use super::log_sink::LogSink;
use super::settings::Settings;
use super::usage::UsageTable;
use super::view::View;
use crate::base::guid::InstanceGuid;
use crate::base::{Clock, Timestamp};
use crate::db::Db;
use crate::docker::Engine;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
    pub(super) wake: Notify,
    pub(super) routable: watch::Sender<Arc<Vec<RoutableInstance>>>,
    pub(super) rest: watch::Sender<Rest>,
    pub(super) launches: Semaphore,
    pub(super) stops: Semaphore,
    /// One pull at a time: images come from this very machine, and instances that start together
    /// mostly want the same one.
    pub(super) pulling: tokio::sync::Mutex<()>,
    work: Mutex<Work>,
    running: Mutex<Arc<BTreeMap<InstanceGuid, Running>>>,
}

/// Whether there was anything left to do, and at which change of the database.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    pub(super) change: u64,
    pub(super) quiet: bool,
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

#[derive(Default)]
struct Work {
    busy: BTreeSet<InstanceGuid>,
    failures: BTreeMap<InstanceGuid, Failure>,
    monitors: BTreeMap<InstanceGuid, CancellationToken>,
}

struct Failure {
    count: u32,
    retry_at: Timestamp,
}

impl Inner {
    pub(super) fn new(parts: super::Parts) -> Self {
        let facts = Facts {
            observer: parts.observer,
            guids: parts.guids,
            cell_id: parts.settings.cell_id.clone(),
        };
        Self {
            db: parts.db,
            clock: parts.clock,
            engine: parts.engine,
            desired: parts.desired,
            logs: parts.logs,
            probe: parts.probe,
            facts,
            view: View::default(),
            usage: UsageTable::default(),
            wake: Notify::new(),
            routable: watch::Sender::default(),
            rest: watch::Sender::default(),
            launches: Semaphore::new(parts.settings.launches),
            stops: Semaphore::new(parts.settings.stops),
            pulling: tokio::sync::Mutex::default(),
            work: Mutex::default(),
            running: Mutex::default(),
            settings: parts.settings,
        }
    }

    /// The instances whose containers ran at the last look.
    pub(super) fn running(&self) -> Arc<BTreeMap<InstanceGuid, Running>> {
        let running = self.running.lock();
        running.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_running(&self, running: BTreeMap<InstanceGuid, Running>) {
        let mut current = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(running);
    }

    /// Instances something is being done for.
    pub(super) fn busy(&self) -> BTreeSet<InstanceGuid> {
        self.work().busy.clone()
    }

    /// Instances whose last attempt failed, with the time of the next.
    pub(super) fn paused(&self) -> BTreeMap<InstanceGuid, Timestamp> {
        let work = self.work();
        let failures = work.failures.iter();
        failures
            .map(|(guid, failure)| (guid.clone(), failure.retry_at))
            .collect()
    }

    /// Marks an instance busy until the guard is dropped; `None` when it is already.
    pub(super) fn begin(self: &Arc<Self>, guid: &InstanceGuid) -> Option<Busy> {
        let begun = self.work().busy.insert(guid.clone());
        begun.then(|| Busy {
            inner: self.clone(),
            guid: guid.clone(),
        })
    }

    /// The attempt worked.
    pub(super) fn succeeded(&self, guid: &InstanceGuid) {
        self.work().failures.remove(guid);
    }

    /// The attempt failed; the next one has to wait, longer each time.
    pub(super) fn failed(&self, guid: &InstanceGuid) {
        let now = self.clock.now();
        let mut work = self.work();
        let failure = work.failures.entry(guid.clone()).or_insert(Failure {
            count: 0,
            retry_at: now,
        });
        let pause = FIRST_PAUSE * 2_u32.pow(failure.count.min(5));
        failure.count += 1;
        failure.retry_at = now.plus(pause.min(LONGEST_PAUSE));
    }

    /// Forgets the failures of instances that are no more.
    pub(super) fn keep_failures_of(&self, known: &BTreeSet<InstanceGuid>) {
        self.work().failures.retain(|guid, _| known.contains(guid));
    }

    /// Cancels the monitors of all others and gives those of `wanted` that have none a token.
    pub(super) fn switch_monitors(
        self: &Arc<Self>,
        wanted: &BTreeSet<InstanceGuid>,
        parent: &CancellationToken,
    ) -> Vec<Watch> {
        let mut work = self.work();
        work.monitors.retain(|guid, token| {
            let keep = wanted.contains(guid);
            if !keep {
                token.cancel();
            }
            keep
        });
        let missing: Vec<_> = wanted
            .iter()
            .filter(|guid| !work.monitors.contains_key(*guid))
            .cloned()
            .collect();
        missing
            .into_iter()
            .map(|guid| {
                let token = parent.child_token();
                work.monitors.insert(guid.clone(), token.clone());
                let inner = self.clone();
                Watch { inner, guid, token }
            })
            .collect()
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an instance busy; wakes the reconciler in the end, whatever that is.
pub(super) struct Busy {
    inner: Arc<Inner>,
    pub(super) guid: InstanceGuid,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.inner.work().busy.remove(&self.guid);
        self.inner.wake.notify_one();
    }
}

/// The right to monitor one instance.
pub(super) struct Watch {
    inner: Arc<Inner>,
    pub(super) guid: InstanceGuid,
    pub(super) token: CancellationToken,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A cancelled one was taken off already, and another may be in its place.
        if !self.token.is_cancelled() {
            self.inner.work().monitors.remove(&self.guid);
            self.inner.wake.notify_one();
        }
    }
}
