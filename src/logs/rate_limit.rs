//! An app's log rate limit: bytes per second of one instance or build. Instances are measured by the
//! timestamps of their lines, so that catching up after a restart drops the same lines as a live
//! reader.

/// The decision about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is stored.
    Pass,
    /// It is dropped, and the app's log reports the exceeded limit.
    Report,
    /// It is dropped silently.
    Drop,
}

const SECOND: i64 = 1_000_000_000;

/// A token bucket with the capacity of one second; an instance that exceeds it is muted for a
/// second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// `None` = no limit.
    limit: Option<i64>,
    /// Bytes times [`SECOND`], so that slow limits refill exactly.
    level: i128,
    last: i64,
    muted_until: i64,
}

impl RateLimit {
    /// Bytes per second; negative = none, zero = nothing passes.
    pub(crate) fn new(bytes_per_second: i64) -> Self {
        let limit = (bytes_per_second >= 0).then_some(bytes_per_second);
        Self {
            limit,
            level: full(bytes_per_second.max(0)),
            last: i64::MIN,
            muted_until: i64::MIN,
        }
    }

    /// Decides about a line of `size` bytes written at `nanos`.
    pub(crate) fn admit(&mut self, nanos: i64, size: usize) -> Verdict {
        let Some(limit) = self.limit else {
            return Verdict::Pass;
        };
        if limit == 0 || nanos < self.muted_until {
            return Verdict::Drop;
        }
        self.refill(limit, nanos);
        let need = i128::try_from(size).unwrap_or(i128::MAX / 2) * i128::from(SECOND);
        if need <= self.level {
            self.level -= need;
            Verdict::Pass
        } else {
            self.muted_until = nanos.saturating_add(SECOND);
            Verdict::Report
        }
    }

    /// The line that takes the place of what is dropped.
    pub(crate) fn report(&self) -> String {
        let limit = self.limit.unwrap_or(-1);
        format!("app instance exceeded log rate limit ({limit} bytes/sec)")
    }

    fn refill(&mut self, limit: i64, nanos: i64) {
        let elapsed = i128::from(nanos) - i128::from(self.last);
        if elapsed > 0 {
            self.level = (self.level + elapsed * i128::from(limit)).min(full(limit));
            self.last = nanos;
        }
    }
}

fn full(limit: i64) -> i128 {
    i128::from(limit) * i128::from(SECOND)
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Drop, Pass, Report};
    use super::*;

    type Lines = &'static [(i64, usize, Verdict)];

    const T: i64 = 1_700_000_000 * SECOND;

    #[test]
    fn limits_report_once_and_then_mute_for_a_second() {
        const MS: i64 = SECOND / 1000;
        let cases: [(i64, Lines); 4] = [
            (-1, &[(0, 1 << 30, Pass), (0, 1 << 30, Pass)]),
            (0, &[(0, 1, Drop), (5 * SECOND, 1, Drop)]),
            (
                1024,
                &[
                    (0, 1024, Pass),
                    (MS, 100, Report),
                    (2 * MS, 1, Drop),
                    (999 * MS, 1, Drop),
                    (SECOND + 2 * MS, 1024, Pass),
                ],
            ),
            (
                1024,
                &[
                    (0, 1025, Report),
                    (SECOND, 1025, Report),
                    (2 * SECOND, 9, Pass),
                ],
            ),
        ];
        for (limit, lines) in cases {
            let mut rate = RateLimit::new(limit);
            for (at, size, expected) in lines {
                assert_eq!(rate.admit(T + at, *size), *expected, "{limit} {at} {size}");
            }
        }
    }

    #[test]
    fn a_time_before_the_last_one_refills_nothing() {
        let mut rate = RateLimit::new(10);
        assert_eq!(rate.admit(T, 10), Pass);
        assert_eq!(rate.admit(T - SECOND, 10), Report);
    }
}
