//! Work in progress, and retries after failed attempts. Nothing here has to survive a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::base::{Backoff, Supervisor, Timestamp};

const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
};

/// Attempts at work, keyed by guid.
pub(super) struct Attempts<G: Ord> {
    wake: Arc<Notify>,
    work: Mutex<Work<G>>,
}

struct Work<G> {
    busy: BTreeSet<G>,
    failures: BTreeMap<G, Failure>,
}

struct Failure {
    count: u32,
    retry_at: Timestamp,
}

impl<G: Ord + Clone> Attempts<G> {
    /// No attempts yet; `wake` is notified when one ends.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        let work = Work {
            busy: BTreeSet::new(),
            failures: BTreeMap::new(),
        };
        Self {
            wake,
            work: Mutex::new(work),
        }
    }

    /// The guids with an attempt in progress.
    pub(super) fn busy(&self) -> BTreeSet<G> {
        self.work().busy.clone()
    }

    /// The guids whose last attempt failed, with the time of the next one.
    pub(super) fn paused(&self) -> BTreeMap<G, Timestamp> {
        let work = self.work();
        let failures = work.failures.iter();
        failures
            .map(|(guid, failure)| (guid.clone(), failure.retry_at))
            .collect()
    }

    /// Marks `guid` busy until the guard is dropped; `None` when it is busy already.
    pub(super) fn begin(self: &Arc<Self>, guid: &G) -> Option<Busy<G>> {
        let inserted = self.work().busy.insert(guid.clone());
        inserted.then(|| Busy {
            attempts: self.clone(),
            guid: guid.clone(),
        })
    }

    /// Records a success.
    pub(super) fn succeeded(&self, guid: &G) {
        self.work().failures.remove(guid);
    }

    /// Records a failure; the delay before the next attempt grows each time.
    pub(super) fn failed(&self, guid: &G, now: Timestamp) {
        let mut work = self.work();
        let failure = work.failures.entry(guid.clone()).or_insert(Failure {
            count: 0,
            retry_at: now,
        });
        failure.retry_at = now.plus(PAUSES.after(failure.count));
        failure.count += 1;
    }

    /// Forgets the failures of unknown guids.
    pub(super) fn retain(&self, known: &BTreeSet<G>) {
        self.work().failures.retain(|guid, _| known.contains(guid));
    }

    fn work(&self) -> MutexGuard<'_, Work<G>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a guid busy; wakes the reconciler when dropped.
pub(super) struct Busy<G: Ord + Clone> {
    attempts: Arc<Attempts<G>>,
    guid: G,
}

impl<G: Ord + Clone + Send + 'static> Busy<G> {
    /// Runs `work` in the background until it ends or the platform shuts down; the guid is busy
    /// meanwhile.
    pub(super) fn run(
        self,
        supervisor: &Supervisor,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let token = supervisor.token();
        supervisor.once(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
            drop(self);
        });
    }
}

impl<G: Ord + Clone> Drop for Busy<G> {
    fn drop(&mut self) {
        self.attempts.work().busy.remove(&self.guid);
        self.attempts.wake.notify_one();
    }
}
