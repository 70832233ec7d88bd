//! The budget of one source, or of one source for one subject: how many attempts may be checked,
//! and which waiting attempt is next. Pure; time is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// The limits of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Attempts at once with a full budget.
    pub(super) burst: u32,
    /// Time in which the budget grows by one attempt.
    pub(super) every: Duration,
    /// Attempts that may wait.
    pub(super) waiting: usize,
}

/// The decision about a waiting attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be checked now.
    Enter,
    /// Not before this time, unless budget is returned.
    Wait(Instant),
    /// Newer attempts evicted it.
    Evicted,
}

/// The state of a lane.
#[derive(Debug)]
pub(super) struct Lane {
    limits: Limits,
    budget: u32,
    /// Up to when the budget has grown.
    grown: Instant,
    used: Instant,
    waiting: BTreeSet<u64>,
    tickets: u64,
    failures: u32,
    inherited: bool,
    due: u32,
}

impl Lane {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            budget: limits.burst,
            grown: now,
            used: now,
            waiting: BTreeSet::new(),
            tickets: 0,
            failures: 0,
            inherited: false,
            due: 0,
        }
    }

    /// Records a use; failures older than `memory` are reset.
    pub(super) fn touch(&mut self, now: Instant, memory: Duration) {
        if now.duration_since(self.used) > memory {
            self.failures = 0;
        }
        self.used = now;
    }

    /// When it was last used.
    pub(super) fn used(&self) -> Instant {
        self.used
    }

    /// Queues the newest attempt. The oldest one is evicted when there are too many.
    pub(super) fn join(&mut self) -> u64 {
        self.tickets += 1;
        self.waiting.insert(self.tickets);
        if self.waiting.len() > self.limits.waiting {
            self.waiting.pop_first();
        }
        self.tickets
    }

    /// Removes an attempt from the queue, if it is still there.
    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// Decides about an attempt: as many as the budget allows, the newest first.
    pub(super) fn ask(&mut self, ticket: u64, now: Instant) -> Verdict {
        if !self.waiting.contains(&ticket) {
            return Verdict::Evicted;
        }
        self.grow(now);
        let newer = self.waiting.range(ticket + 1..).count();
        if usize::try_from(self.budget).unwrap_or(usize::MAX) > newer {
            self.budget -= 1;
            self.waiting.remove(&ticket);
            return Verdict::Enter;
        }
        Verdict::Wait(self.grown + self.limits.every)
    }

    /// Whether a waiting attempt could enter.
    pub(super) fn may_admit(&self) -> bool {
        self.budget > 0 && !self.waiting.is_empty()
    }

    /// Returns the budget that an attempt used.
    pub(super) fn refund(&mut self) {
        self.budget = self.limits.burst.min(self.budget + 1);
    }

    /// Adds the failures from before this process, once.
    pub(super) fn add_earlier_failures(&mut self, failures: u32) {
        if !self.inherited {
            self.inherited = true;
            self.failures = self.failures.saturating_add(failures);
        }
    }

    /// Counts a failure. Returns how many failures preceded it in a row, and how many delayed
    /// responses are pending including this one.
    pub(super) fn fail(&mut self) -> (u32, u32) {
        let before = self.failures;
        self.failures = before.saturating_add(1);
        self.due = self.due.saturating_add(1);
        (before, self.due)
    }

    /// A delayed response was sent.
    pub(super) fn answered(&mut self) {
        self.due = self.due.saturating_sub(1);
    }

    /// Resets the failures, unless delayed responses are pending: another client of this source is
    /// guessing.
    pub(super) fn reset_failures(&mut self) {
        self.inherited = true;
        if self.due == 0 {
            self.failures = 0;
        }
    }

    fn grow(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.grown).as_nanos();
        let grown = u32::try_from(passed / self.limits.every.as_nanos()).unwrap_or(u32::MAX);
        if grown >= self.limits.burst - self.budget {
            self.budget = self.limits.burst;
            // A full budget does not grow, so time counts from the next attempt.
            if grown > 0 {
                self.grown = now;
            }
        } else {
            self.budget += grown;
            self.grown += self.limits.every * grown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        burst: 2,
        every: Duration::from_secs(1),
        waiting: 3,
    };

    fn lane() -> (Lane, Instant) {
        let now = Instant::now();
        (Lane::new(LIMITS, now), now)
    }

    #[test]
    fn a_budget_is_used_up_and_grows_again_to_its_burst() {
        let (mut lane, begin) = lane();
        for _ in 0..2 {
            let ticket = lane.join();
            assert_eq!(lane.ask(ticket, begin), Verdict::Enter);
        }
        let late = lane.join();
        let next = begin + LIMITS.every;
        assert_eq!(lane.ask(late, begin), Verdict::Wait(next));
        let almost = next.checked_sub(Duration::from_millis(1)).expect("later");
        assert_eq!(lane.ask(late, almost), Verdict::Wait(next));
        assert_eq!(lane.ask(late, next), Verdict::Enter);
        let rested = next + 100 * LIMITS.every;
        for expected in [true, true, false] {
            let ticket = lane.join();
            assert_eq!(lane.ask(ticket, rested) == Verdict::Enter, expected);
        }
    }

    #[test]
    fn right_attempts_cost_nothing() {
        let (mut lane, now) = lane();
        for _ in 0..100 {
            let ticket = lane.join();
            assert_eq!(lane.ask(ticket, now), Verdict::Enter);
            lane.refund();
        }
        lane.refund();
        assert_eq!(lane.budget, LIMITS.burst);
    }

    #[test]
    fn the_newest_is_next_and_the_oldest_is_evicted() {
        let (mut lane, begin) = lane();
        lane.budget = 0;
        let tickets: Vec<u64> = (0..4).map(|_| lane.join()).collect();
        assert_eq!(lane.ask(tickets[0], begin), Verdict::Evicted);
        let then = begin + LIMITS.every;
        assert!(matches!(lane.ask(tickets[1], then), Verdict::Wait(_)));
        assert!(matches!(lane.ask(tickets[2], then), Verdict::Wait(_)));
        assert_eq!(lane.ask(tickets[3], then), Verdict::Enter);
        let then = then + 2 * LIMITS.every;
        assert_eq!(lane.ask(tickets[1], then), Verdict::Enter, "both may");
        assert_eq!(lane.ask(tickets[2], then), Verdict::Enter);
        lane.leave(tickets[2]);
        assert!(lane.waiting.is_empty());
    }

    #[test]
    fn failures_count_until_a_right_attempt_or_a_long_pause() {
        let (mut lane, begin) = lane();
        lane.add_earlier_failures(3);
        lane.add_earlier_failures(3);
        assert_eq!(lane.fail(), (3, 1));
        assert_eq!(lane.fail(), (4, 2));
        lane.answered();
        lane.reset_failures();
        assert_eq!(lane.fail(), (5, 2), "an answer was due");
        lane.answered();
        lane.answered();
        lane.reset_failures();
        assert_eq!(lane.fail(), (0, 1));
        let hour = Duration::from_secs(3600);
        lane.touch(begin + hour, hour);
        assert_eq!(lane.fail().0, 1);
        lane.touch(begin + 3 * hour, hour);
        assert_eq!(lane.fail().0, 0);
    }
}
