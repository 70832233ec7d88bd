//! What is being done at present, and what waits because the last attempt failed. Nothing here has
//! to survive a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::base::Backoff;
use crate::base::Timestamp;

const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
};

/// Work on things that are named by guids.
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
    /// None yet; `wake` is told when one ends.
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

    /// What something is being done for.
    pub(super) fn busy(&self) -> BTreeSet<G> {
        self.work().busy.clone()
    }

    /// What failed last, with the time of the next attempt.
    pub(super) fn paused(&self) -> BTreeMap<G, Timestamp> {
        let work = self.work();
        let failures = work.failures.iter();
        failures
            .map(|(guid, failure)| (guid.clone(), failure.retry_at))
            .collect()
    }

    /// Marks it busy until the guard is dropped; `None` when it is already.
    pub(super) fn begin(self: &Arc<Self>, guid: &G) -> Option<Busy<G>> {
        let begun = self.work().busy.insert(guid.clone());
        begun.then(|| Busy {
            attempts: self.clone(),
            guid: guid.clone(),
        })
    }

    /// The attempt worked.
    pub(super) fn succeeded(&self, guid: &G) {
        self.work().failures.remove(guid);
    }

    /// The attempt failed; the next one has to wait, longer each time.
    pub(super) fn failed(&self, guid: &G, now: Timestamp) {
        let mut work = self.work();
        let failure = work.failures.entry(guid.clone()).or_insert(Failure {
            count: 0,
            retry_at: now,
        });
        failure.retry_at = now.plus(PAUSES.after(failure.count));
        failure.count += 1;
    }

    /// Forgets the failures of what is no more.
    pub(super) fn keep(&self, known: &BTreeSet<G>) {
        self.work().failures.retain(|guid, _| known.contains(guid));
    }

    fn work(&self) -> MutexGuard<'_, Work<G>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps something busy; wakes its reconciler in the end, whatever that is.
pub(super) struct Busy<G: Ord + Clone> {
    attempts: Arc<Attempts<G>>,
    guid: G,
}

impl<G: Ord + Clone> Drop for Busy<G> {
    fn drop(&mut self) {
        self.attempts.work().busy.remove(&self.guid);
        self.attempts.wake.notify_one();
    }
}
