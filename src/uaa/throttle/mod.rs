//! Slows down whoever guesses passwords, secrets and codes, and never the one who knows them.
//!
//! What is right is answered at once. What is wrong is answered late: after the second wrong
//! attempt in a row the answer to each further one takes longer, up to [`LONGEST_PAUSE`], and longer
//! still while many such answers are due. Who waits for an answer before trying again is slow.
//!
//! Who does not wait is bounded by how many attempts are looked at: per source and subject (a user,
//! a client), and per source, there is a budget that fills up slowly ([`lane`]). A right attempt
//! gives back what it took. Attempts beyond the budget wait, and the newest is looked at first:
//! whoever comes now is served as soon as the budget allows, however many guesses wait. Other
//! sources have budgets of their own, so that nobody can keep a user from another address out.
//! The work on passwords itself is shared between sources, too ([`turns`]).
//!
//! The budgets live in memory. How many wrong passwords in a row a user saw is in the database as
//! well, so that whoever goes on guessing after a restart goes on slowly.

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

/// The longest anyone waits for the answer to one wrong attempt, unless many are due.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest even then.
const LONGEST_CROWDED_PAUSE: Duration = Duration::from_secs(30);
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: LONGEST_PAUSE,
};

/// Wrong attempts that cost nothing: people mistype.
const FREE: u32 = 2;

/// Answers due at once above which each takes longer.
const CROWD: u32 = 16;

/// The longest an attempt waits to be looked at.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// After so long without an attempt the wrong ones are forgotten.
pub(crate) const MEMORY: Duration = Duration::from_secs(3600);

/// Attempts from one source at one subject.
const OF_SUBJECT: Limits = Limits {
    burst: 48,
    every: Duration::from_millis(200),
    waiting: 256,
};

/// Attempts from one source at all its subjects.
const OF_SOURCE: Limits = Limits {
    burst: 96,
    every: Duration::from_millis(50),
    waiting: 256,
};

/// Sources, and subjects of sources, that are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// How long the answer to a wrong attempt takes that follows `failures` others in a row.
pub(crate) fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(more) => PAUSES.after(more),
    }
}

/// The same while `due` such answers wait already: those who guess in parallel leave room.
fn crowded(pause: Duration, due: u32) -> Duration {
    if due <= CROWD {
        return pause;
    }
    (pause * due / CROWD).min(LONGEST_CROWDED_PAUSE.max(pause))
}

/// What is guessed at: a digest, as the name comes from whoever guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject([u8; 16]);

impl Subject {
    /// `name` among all of one `kind`.
    pub(crate) fn new(kind: &'static str, name: &str) -> Self {
        let digest = Sha256::digest(format!("{kind}/{name}").as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self(short)
    }
}

/// Too many attempts wait already, or this one waited too long.
#[derive(Debug)]
pub(crate) struct Crowded;

/// A lane, and a bell that rings when it changes.
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
        // Those who wait look by themselves when the budget grows.
        if lane.may_admit() {
            self.changed.notify_waiters();
        }
    }

    /// Waits until the lane admits one more.
    async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<(), Crowded> {
        let place = Place::take(self);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let verdict = self.lane().ask(place.ticket, Instant::now());
            let until = match verdict {
                Verdict::Enter => return Ok(()),
                Verdict::GiveWay => return Err(Crowded),
                Verdict::Wait(until) => until,
            };
            if Instant::now() >= deadline {
                return Err(Crowded);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until.min(deadline)) => {}
            }
        }
    }
}

/// A place among those who wait, given up even when the request goes away.
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

/// Gates by what they belong to; those unused for longest are forgotten first.
struct Gates<K>(HashMap<K, Arc<Gate>>);

impl<K: Copy + Eq + Hash> Gates<K> {
    fn gate(&mut self, key: K, limits: Limits) -> Arc<Gate> {
        if self.0.len() >= MOST_REMEMBERED && !self.0.contains_key(&key) {
            self.forget();
        }
        let gate = self
            .0
            .entry(key)
            .or_insert_with(|| Arc::new(Gate::new(limits)));
        gate.lane().touch(Instant::now(), MEMORY);
        gate.clone()
    }

    /// Forgets the older half.
    fn forget(&mut self) {
        let mut uses: Vec<Instant> = self.0.values().map(|gate| gate.lane().used()).collect();
        uses.sort_unstable();
        let Some(middle) = uses.get(uses.len() / 2).copied() else {
            return;
        };
        self.0.retain(|_, gate| gate.lane().used() > middle);
    }
}

struct Remembered {
    sources: Gates<Source>,
    subjects: Gates<(Source, Subject)>,
}

/// Lets attempts pass as long as they are few.
#[derive(Clone)]
pub(crate) struct Throttle(Arc<Mutex<Remembered>>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Remembered {
            sources: Gates(HashMap::new()),
            subjects: Gates(HashMap::new()),
        })))
    }
}

impl Throttle {
    /// Waits until an attempt of `source` at `subject` may be looked at.
    pub(crate) async fn attempt(
        &self,
        source: Source,
        subject: Subject,
    ) -> Result<Attempt, Crowded> {
        let (of_subject, of_source) = {
            let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (
                remembered.subjects.gate((source, subject), OF_SUBJECT),
                remembered.sources.gate(source, OF_SOURCE),
            )
        };
        let deadline = Instant::now() + PATIENCE;
        // The narrow one first: guesses at one user must not use up what the others need.
        of_subject.enter(deadline).await?;
        let mut attempt = Attempt {
            of_subject,
            of_source: None,
        };
        if let Err(crowded) = of_source.enter(deadline).await {
            attempt.give_back();
            return Err(crowded);
        }
        attempt.of_source = Some(of_source);
        Ok(attempt)
    }
}

/// An attempt that may be looked at. One that is dropped undecided, as its request went away, has
/// used up its part of the budget like a wrong one.
pub(crate) struct Attempt {
    of_subject: Arc<Gate>,
    of_source: Option<Arc<Gate>>,
}

impl Attempt {
    /// Tells how many wrong attempts in a row there were before this process began.
    pub(crate) fn inherit(&self, failures: u32) {
        self.of_subject.lane().inherit(failures);
    }

    /// It was right: it costs nothing, and the wrong ones before it are forgiven, unless answers to
    /// such are still due: whoever guesses beside it gains nothing by it.
    pub(crate) fn right(self) {
        self.of_subject.lane().forgive();
        self.give_back();
    }

    /// It was wrong: returns when that may be told.
    pub(crate) async fn wrong(self) {
        let (before, due) = self.of_subject.lane().fail();
        let _due = Due(self.of_subject.clone());
        tokio::time::sleep(crowded(pause_after(before), due)).await;
    }

    fn give_back(&self) {
        for gate in std::iter::once(&self.of_subject).chain(&self.of_source) {
            gate.change(Lane::give_back);
        }
    }
}

/// An answer that is due, also when nobody waits for it any more.
struct Due(Arc<Gate>);

impl Drop for Due {
    fn drop(&mut self) {
        self.0.lane().answered();
    }
}
