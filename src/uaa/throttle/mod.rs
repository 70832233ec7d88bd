//! Slows down attempts to guess passwords, secrets and codes, without slowing down right ones.
//!
//! Right attempts are answered at once. Wrong ones are delayed: after a few wrong attempts in a row
//! each response takes longer, up to [`LONGEST_PAUSE`], and longer still while many such responses
//! are pending. This limits clients that wait for the response before they try again.
//!
//! Clients that do not wait are limited by budgets of attempts that may be checked: one per source
//! and subject (a user, a client), and one per source. A budget refills slowly ([`lane`]). A right
//! attempt returns what it used. Attempts beyond the budget wait, and the newest is checked first:
//! a new attempt is served as soon as the budget allows, however many guesses wait. Each source has
//! its own budgets, so that nobody can lock out a user from another address. Hashing passwords is
//! shared between sources, too ([`turns`]).
//!
//! The budgets live in memory. The number of consecutive wrong passwords of a user is also in the
//! database, so that a restart does not reset the delay.

mod lane;
mod source;
#[cfg(test)]
mod tests;
pub(crate) mod turns;

use crate::base::Backoff;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

use lane::{Lane, Limits, Verdict};
pub(crate) use source::Source;

/// The longest delay of one response to a wrong attempt, unless many are pending.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest delay even then.
const LONGEST_CROWDED_PAUSE: Duration = Duration::from_secs(30);
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: LONGEST_PAUSE,
};

/// Wrong attempts without a delay: people mistype.
const FREE_FAILURES: u32 = 2;

/// The number of pending responses above which each takes longer.
const CROWD: u32 = 16;

/// The longest time an attempt waits to be checked.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);

/// Failures are reset after this time without an attempt.
pub(crate) const MEMORY: Duration = Duration::from_secs(3600);

/// Attempts from one source at one subject.
const OF_SUBJECT: Limits = Limits {
    burst: 48,
    every: Duration::from_millis(200),
    waiting: 256,
};

/// Attempts from one source at all subjects.
const OF_SOURCE: Limits = Limits {
    burst: 96,
    every: Duration::from_millis(50),
    waiting: 256,
};

/// Sources, and subjects of sources, that are kept in memory.
const MAX_GATES: usize = 10_000;

/// The delay of the response to a wrong attempt that follows `failures` others in a row.
pub(crate) fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => Duration::ZERO,
        Some(more) => PAUSES.after(more),
    }
}

/// The delay while `due` responses are pending: it grows when clients guess in parallel.
fn crowded(pause: Duration, due: u32) -> Duration {
    if due <= CROWD {
        return pause;
    }
    (pause * due / CROWD).min(LONGEST_CROWDED_PAUSE.max(pause))
}

/// The target of an attempt; a digest, as the client chooses the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject([u8; 16]);

impl Subject {
    /// `name` among all subjects of one `kind`.
    pub(crate) fn new(kind: &'static str, name: &str) -> Self {
        let digest = Sha256::digest(format!("{kind}/{name}").as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self(short)
    }
}

/// Too many attempts are queued already, or this one waited too long.
#[derive(Debug)]
pub(crate) struct Overloaded;

/// A lane, and a notification for its changes.
struct Gate {
    lane: Mutex<Lane>,
    changed: Notify,
}

impl Gate {
    fn new(limits: Limits) -> Self {
        Self {
            lane: Mutex::new(Lane::new(limits, Instant::now())),
            changed: Notify::new(),
        }
    }

    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut Lane)) {
        let mut lane = self.lane();
        how(&mut lane);
        // Waiting attempts check by themselves when the budget grows.
        if lane.may_admit() {
            self.changed.notify_waiters();
        }
    }

    /// Waits until the lane admits one more.
    async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<(), Overloaded> {
        let place = Place::take(self);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let verdict = self.lane().ask(place.ticket, Instant::now());
            let until = match verdict {
                Verdict::Enter => return Ok(()),
                Verdict::Evicted => return Err(Overloaded),
                Verdict::Wait(until) => until,
            };
            if Instant::now() >= deadline {
                return Err(Overloaded);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until.min(deadline)) => {}
            }
        }
    }
}

/// A place in the queue, released even when the request is dropped.
struct Place {
    gate: Arc<Gate>,
    ticket: u64,
}

impl Place {
    fn take(gate: &Arc<Gate>) -> Self {
        let ticket = gate.lane().join();
        Self {
            gate: gate.clone(),
            ticket,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.change(|lane| lane.leave(self.ticket));
    }
}

/// Gates by key; the least recently used ones are evicted first.
struct Gates<K>(HashMap<K, Arc<Gate>>);

impl<K: Copy + Eq + Hash> Gates<K> {
    fn gate(&mut self, key: K, limits: Limits) -> Arc<Gate> {
        if self.0.len() >= MAX_GATES && !self.0.contains_key(&key) {
            self.evict();
        }
        let gate = self
            .0
            .entry(key)
            .or_insert_with(|| Arc::new(Gate::new(limits)));
        gate.lane().touch(Instant::now(), MEMORY);
        gate.clone()
    }

    /// Evicts the older half.
    fn evict(&mut self) {
        let mut uses: Vec<Instant> = self.0.values().map(|gate| gate.lane().used()).collect();
        uses.sort_unstable();
        let Some(middle) = uses.get(uses.len() / 2).copied() else {
            return;
        };
        self.0.retain(|_, gate| gate.lane().used() > middle);
    }
}

struct AllGates {
    sources: Gates<Source>,
    subjects: Gates<(Source, Subject)>,
}

/// Admits attempts within the budgets.
#[derive(Clone)]
pub(crate) struct Throttle(Arc<Mutex<AllGates>>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(AllGates {
            sources: Gates(HashMap::new()),
            subjects: Gates(HashMap::new()),
        })))
    }
}

impl Throttle {
    /// Waits until an attempt of `source` at `subject` may be checked.
    pub(crate) async fn attempt(
        &self,
        source: Source,
        subject: Subject,
    ) -> Result<Attempt, Overloaded> {
        let (of_subject, of_source) = {
            let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (
                remembered.subjects.gate((source, subject), OF_SUBJECT),
                remembered.sources.gate(source, OF_SOURCE),
            )
        };
        let deadline = Instant::now() + MAX_WAIT;
        // The narrow one first: guesses at one user must not use up the budget for the others.
        of_subject.enter(deadline).await?;
        let mut attempt = Attempt {
            of_subject,
            of_source: None,
        };
        if let Err(crowded) = of_source.enter(deadline).await {
            attempt.refund();
            return Err(crowded);
        }
        attempt.of_source = Some(of_source);
        Ok(attempt)
    }
}

/// An attempt that may be checked. One that is dropped undecided, as its request was dropped, uses
/// its part of the budget like a wrong one.
pub(crate) struct Attempt {
    of_subject: Arc<Gate>,
    of_source: Option<Arc<Gate>>,
}

impl Attempt {
    /// Reports how many failures in a row there were before this process.
    pub(crate) fn add_earlier_failures(&self, failures: u32) {
        self.of_subject.lane().add_earlier_failures(failures);
    }

    /// It was right: it costs nothing and resets the failures before it, unless delayed responses
    /// are pending. Guessing at the same time gains nothing.
    pub(crate) fn right(self) {
        self.of_subject.lane().reset_failures();
        self.refund();
    }

    /// It was wrong: returns when the response may be sent.
    pub(crate) async fn wrong(self) {
        let (before, due) = self.of_subject.lane().fail();
        let _due = Due(self.of_subject.clone());
        tokio::time::sleep(crowded(pause_after(before), due)).await;
    }

    fn refund(&self) {
        for gate in std::iter::once(&self.of_subject).chain(&self.of_source) {
            gate.change(Lane::refund);
        }
    }
}

/// A pending response, counted even when its request is dropped.
struct Due(Arc<Gate>);

impl Drop for Due {
    fn drop(&mut self) {
        self.0.lane().answered();
    }
}
