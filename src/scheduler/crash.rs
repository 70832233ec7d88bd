//! Crash handling: counting, backoff and exit descriptions.
//!
//! The first two crashes in a row restart at once, later ones wait 30 s × 2^(n−3), at most 16
//! minutes; after 200 the instance is not restarted. Five minutes of RUNNING reset the count.

use std::time::Duration;

use super::instance::{Phase, Record};
use crate::base::Backoff;
use crate::base::Timestamp;

const IMMEDIATE_RESTARTS: u32 = 2;
const MAX_CRASHES: u32 = 200;
const WAITS: Backoff = Backoff {
    first: Duration::from_secs(30),
    longest: Duration::from_secs(960),
};
const RESET_AFTER: Duration = Duration::from_secs(300);

/// What follows a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    AtOnce,
    After(Duration),
    Never,
}

/// What follows the `count`th crash in a row.
pub(super) fn restart_after(count: u32) -> Restart {
    if count <= IMMEDIATE_RESTARTS {
        return Restart::AtOnce;
    }
    if count >= MAX_CRASHES {
        return Restart::Never;
    }
    Restart::After(WAITS.after(count - IMMEDIATE_RESTARTS - 1))
}

/// The crash count of `record` if it crashes now.
pub(super) fn next_count(record: &Record, now: Timestamp) -> u32 {
    if record.phase == Phase::Running && now.since(record.since) > RESET_AFTER {
        1
    } else {
        record.crash_count.saturating_add(1)
    }
}

/// When to restart a crashed instance; `None` = never.
pub(super) fn due(record: &Record, now: Timestamp) -> Option<Timestamp> {
    let crashed_at = record.last_crash_at.unwrap_or(record.since);
    // A clock that was set back must not delay the restart.
    if crashed_at > now {
        return Some(now);
    }
    match restart_after(record.crash_count) {
        Restart::AtOnce => Some(crashed_at),
        Restart::After(wait) => Some(crashed_at.plus(wait)),
        Restart::Never => None,
    }
}

/// The description of an exit in events and in the API.
pub(super) fn exit_description(process_type: &str, code: i64, out_of_memory: bool) -> String {
    if code == 0 {
        return "Codependent step exited".to_owned();
    }
    let (kind, cause) = (process_type.to_uppercase(), cause(out_of_memory));
    format!("APP/PROC/{kind}: Exited with status {code}{cause}")
}

/// The suffix of an exit status.
pub(super) fn cause(out_of_memory: bool) -> &'static str {
    if out_of_memory {
        " (out of memory)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::instance::Slot;

    fn record(phase: Phase, since: i64, crash_count: u32) -> Record {
        Record {
            guid: "i".into(),
            slot: Slot {
                process_guid: "p".into(),
                version: "v".to_owned(),
                index: 0,
                app_guid: "a".into(),
                process_type: "web".to_owned(),
            },
            phase,
            since: Timestamp::from_micros(since),
            container_id: None,
            ready: false,
            serving: false,
            crash_count,
            last_crash_at: Some(Timestamp::from_micros(since)),
            details: None,
        }
    }

    #[test]
    fn backoff_doubles_from_30_seconds_to_16_minutes_and_ends_at_200() {
        let seconds = |n| Restart::After(Duration::from_secs(n));
        let table = [
            (1, Restart::AtOnce),
            (2, Restart::AtOnce),
            (3, seconds(30)),
            (4, seconds(60)),
            (5, seconds(120)),
            (6, seconds(240)),
            (7, seconds(480)),
            (8, seconds(960)),
            (9, seconds(960)),
            (199, seconds(960)),
            (200, Restart::Never),
            (u32::MAX, Restart::Never),
        ];
        for (count, expected) in table {
            assert_eq!(restart_after(count), expected, "crash {count}");
        }
    }

    #[test]
    fn more_than_five_minutes_of_running_reset_the_count() {
        let five_minutes = 300_000_000;
        let at = |micros| Timestamp::from_micros(micros);
        let running = record(Phase::Running, 0, 7);
        assert_eq!(next_count(&running, at(five_minutes)), 8);
        assert_eq!(next_count(&running, at(five_minutes + 1)), 1);
        let starting = record(Phase::Starting, 0, 7);
        assert_eq!(next_count(&starting, at(five_minutes + 1)), 8);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_prolong_the_wait() {
        let crashed = record(Phase::Crashed, 1_000_000_000, 3);
        let early = Timestamp::from_micros(5);
        assert_eq!(due(&crashed, early), Some(early));
        let later = Timestamp::from_micros(1_000_000_001);
        assert_eq!(
            due(&crashed, later),
            Some(Timestamp::from_micros(1_030_000_000))
        );
        assert_eq!(due(&record(Phase::Crashed, 0, 200), later), None);
    }

    #[test]
    fn exits_are_described_as_in_cloud_foundry() {
        let table = [
            (0, false, "Codependent step exited"),
            (1, false, "APP/PROC/WEB: Exited with status 1"),
            (
                137,
                true,
                "APP/PROC/WEB: Exited with status 137 (out of memory)",
            ),
        ];
        for (code, out_of_memory, text) in table {
            assert_eq!(exit_description("web", code, out_of_memory), text);
        }
    }
}
