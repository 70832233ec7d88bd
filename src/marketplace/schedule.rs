//! When brokers are asked again.

use std::time::Duration;

/// The pause before the second question; the first is asked at once.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause a broker did not ask for.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause a broker may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(86_400);
/// Polling ends after this: 10,080 minutes.
const WHOLE: Duration = Duration::from_secs(7 * 86_400);
/// How often something that may be left behind is deleted, at most.
pub const MITIGATIONS: u32 = 11;

/// The pause after so many polls: one and a half times as long as the one before, and never shorter
/// than the broker asks for.
pub fn next_poll(polls: u32, retry_after: Option<Duration>) -> Duration {
    let mut pause = FIRST;
    for _ in 0..polls.min(20) {
        pause = pause.mul_f32(1.5).min(LONGEST);
    }
    let asked = retry_after.map_or(Duration::ZERO, |asked| asked.min(LONGEST_ASKED));
    pause.max(asked)
}

/// How long an operation may take: what the plan says, if that is shorter than the platform's limit.
pub fn longest(maximum_polling_duration: Option<i64>) -> Duration {
    let own = maximum_polling_duration.and_then(|seconds| u64::try_from(seconds).ok());
    own.map_or(WHOLE, |seconds| Duration::from_secs(seconds).min(WHOLE))
}

/// The pause after so many failed deletions of what may be left behind; `None` = it is given up.
pub fn next_mitigation(failures: u32) -> Option<Duration> {
    (failures < MITIGATIONS).then(|| Duration::from_secs(1 << failures.min(16)))
}

/// `Retry-After` in seconds, or as the time until then.
pub fn retry_after(header: &str, now: i64) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header.trim()).ok()?;
    let seconds = date.timestamp().as_second().saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_and_brokers_may_ask_for_longer_pauses() {
        let seconds = |polls, asked: Option<u64>| {
            next_poll(polls, asked.map(Duration::from_secs)).as_secs_f32()
        };
        let table = [
            (0, None, 1.0),
            (1, None, 1.5),
            (2, None, 2.25),
            (9, None, 30.0),
            (1000, None, 30.0),
            (0, Some(10), 10.0),
            (9, Some(10), 30.0),
            (0, Some(100_000), 86_400.0),
        ];
        for (polls, asked, expected) in table {
            assert!(
                (seconds(polls, asked) - expected).abs() < 0.01,
                "{polls} {asked:?}"
            );
        }
    }

    #[test]
    fn the_plans_limit_counts_where_it_is_shorter() {
        assert_eq!(longest(None), WHOLE);
        assert_eq!(longest(Some(60)), Duration::from_secs(60));
        assert_eq!(longest(Some(i64::MAX)), WHOLE);
        assert_eq!(longest(Some(-1)), WHOLE);
    }

    #[test]
    fn deletions_are_tried_eleven_times() {
        let mut pauses = Vec::new();
        let mut failures = 1;
        while let Some(pause) = next_mitigation(failures) {
            pauses.push(pause.as_secs());
            failures += 1;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        assert_eq!(retry_after("120", 0), Some(Duration::from_secs(120)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(
            retry_after(date, 1_445_412_470),
            Some(Duration::from_secs(10))
        );
        assert_eq!(retry_after(date, 1_445_412_490), Some(Duration::ZERO));
        for odd in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(odd, 0), None, "{odd}");
        }
    }
}
