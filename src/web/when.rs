//! Times in addresses: how long ago, or a date. One selector serves logs, metrics and requests.

use std::time::Duration;

use crate::base::Timestamp;

/// What a time looks like, for messages.
const KINDS: &str = "use 90s, 10m, 2h, 1d or 2026-01-02T03:04Z";

/// A time in nanoseconds since 1970: `10m` before `now`, `2026-01-02T03:04:05Z`, the same without
/// seconds or zone (UTC), or nanoseconds themselves. What is earlier than 1970 is 1970: no log is
/// that old, and the difference of two times stays a number.
pub(super) fn nanos(text: &str, now: Timestamp) -> Result<i64, String> {
    let text = text.trim();
    let refusal = || format!("{text:?} is no time: {KINDS}");
    if text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| refusal());
    }
    if let Some(at) = date(text) {
        return Ok(at.max(0));
    }
    let ago = age(text).ok_or_else(refusal)?;
    Ok(now.minus(ago).as_nanos().max(0))
}

/// How long ago `90s`, `10m`, `2h` or `1d` is; `None` for what is no such text.
pub(super) fn age(text: &str) -> Option<Duration> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let number: u32 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(seconds * u64::from(number)))
}

fn date(text: &str) -> Option<i64> {
    let text = text.replace(' ', "T");
    let exact = text.parse::<jiff::Timestamp>().ok();
    let at = exact.or_else(|| {
        let civil: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    i64::try_from(at.as_nanosecond()).ok()
}

/// A time as `2026-01-02T03:04:05.678Z`.
pub(super) fn iso(nanos: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    format!("{at:.3}")
}

/// The time of its day, in UTC: `03:04:05.678`.
pub(super) fn clock(nanos: i64) -> String {
    let iso = iso(nanos);
    let time = iso.split('T').nth(1).unwrap_or_default();
    time.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_dates_or_nanoseconds() {
        const NOW: i64 = 1_700_000_000;
        let now = Timestamp::from_micros(NOW * 1_000_000);
        for (text, seconds) in [
            ("90s", NOW - 90),
            ("2h", NOW - 7200),
            ("2023-11-14T22:13:00Z", NOW - 20),
            ("2023-11-14T22:13", NOW - 20),
            ("2023-11-14 22:13Z", NOW - 20),
            ("2023-11-14T23:13:00+01:00", NOW - 20),
            ("1700000000000000000", NOW),
        ] {
            assert_eq!(nanos(text, now), Ok(seconds * 1_000_000_000), "{text}");
        }
        for (text, expected) in [
            ("4294967295d", 0),
            ("1700-01-01T00:00Z", 0),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(nanos(text, now), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "m",
            "10",
            "-1m",
            "1é",
            "soon",
            "99999999999d",
            "99999999999999999999",
        ] {
            assert!(nanos(bad, now).is_err(), "{bad}");
        }
        assert_eq!(
            iso(NOW * 1_000_000_000 + 7_000_000),
            "2023-11-14T22:13:20.007Z"
        );
        assert_eq!(clock(NOW * 1_000_000_000), "22:13:20.000");
    }
}
