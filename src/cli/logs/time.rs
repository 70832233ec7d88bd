//! Times on the command line: how long ago, or a date with its zone.

use std::time::Duration;

use anyhow::{Context, bail};

use crate::base::Timestamp;

/// `10m` before `now`, or `2026-01-02T03:04:05Z`.
pub(super) fn parse(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        _ => bail!("{text:?} is no time: use 90s, 10m, 2h, 1d or 2026-01-02T03:04:05Z"),
    };
    let number: u32 = text[..text.len() - 1].parse().with_context(|| {
        format!("{text:?} is no time: use 90s, 10m, 2h, 1d or 2026-01-02T03:04:05Z")
    })?;
    Ok(now.minus(Duration::from_secs(seconds * u64::from(number))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_or_dates() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let ago = |text: &str| parse(text, now).ok().map(|time| now.since(time).as_secs());
        assert_eq!(ago("90s"), Some(90));
        assert_eq!(ago("10m"), Some(600));
        assert_eq!(ago("2h"), Some(7200));
        assert_eq!(ago("1d"), Some(86_400));
        assert_eq!(ago("2023-11-14T22:13:00Z"), Some(20));
        for bad in ["", "m", "10", "-1m", "1é", "soon", "99999999999d"] {
            assert_eq!(ago(bad), None, "{bad}");
        }
    }
}
