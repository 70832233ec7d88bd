//! Pauses between attempts: each twice as long as the one before, up to a limit.

use std::time::Duration;

/// How long to wait after a failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, from 0.
    pub fn after(self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// The pauses of one loop.
    pub fn pauses(self) -> Pauses {
        Pauses {
            backoff: self,
            failures: 0,
        }
    }
}

/// Counts the failures of one loop.
#[derive(Clone, Debug)]
pub struct Pauses {
    backoff: Backoff,
    failures: u32,
}

impl Pauses {
    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = self.backoff.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// An attempt succeeded: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(5),
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let mut pauses = BACKOFF.pauses();
        let seconds: Vec<u64> = (0..5).map(|_| pauses.pause().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
        pauses.reset();
        assert_eq!(pauses.pause(), BACKOFF.first);
    }

    #[test]
    fn any_number_of_failures_has_a_pause() {
        assert_eq!(BACKOFF.after(u32::MAX), BACKOFF.longest);
    }
}
