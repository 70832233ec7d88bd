//! The options of `cflite logs` that show the same lines as a page.

use super::PAGE;
use super::asked::Asked;
use crate::base::Timestamp;
use crate::web::{fmt, when};

impl Asked {
    /// The options, each with a space before it; `None` when the command has no such filter.
    pub(in crate::web) fn options(&self, now: Timestamp) -> Option<String> {
        let filter = self.filter().ok()?;
        let range = self.range(now).ok()?;
        let is_unknown = filter.level.is_some()
            || filter.stream.is_some()
            || !filter.instances.is_empty()
            || range.at.is_some()
            || (self.apps.is_empty() && !self.space.is_empty());
        if is_unknown {
            return None;
        }
        let mut options = format!(" -n {PAGE}");
        let mut add = |name: &str, value: &str| {
            // What begins with a dash would be an option.
            let between = if value.starts_with('-') { "=" } else { " " };
            let option = format!(" {name}{between}{}", fmt::word(value));
            options.push_str(&option);
        };
        for (name, pattern) in [("--grep", &filter.grep), ("--not", &filter.not)] {
            if let Some(pattern) = pattern {
                add(name, pattern.as_str());
            }
        }
        if !filter.source_types.is_empty() {
            add("--source", &filter.source_types.join(","));
        }
        for (name, text, nanos) in [
            ("--since", &self.since, range.since),
            ("--until", &self.until, range.until),
        ] {
            if !text.is_empty() {
                add(name, &time(text.trim(), nanos)?);
            }
        }
        if range.is_live() {
            options.push_str(" --follow");
        }
        Some(options)
    }
}

/// A time as the command takes it: how long ago, or a date with its zone, in microseconds.
fn time(text: &str, nanos: i64) -> Option<String> {
    if when::age(text).is_some() {
        return Some(text.to_owned());
    }
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
    (nanos % 1000 == 0).then(|| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_the_filter_of_the_page_or_there_is_none() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        for (query, expected) in [
            ("", Some("-n 200 --follow")),
            ("q=a.b", Some(r"-n 200 --grep '(?i:a\.b)' --follow")),
            ("q=/a|b/", Some("-n 200 --grep '(?:a|b)' --follow")),
            ("q=/a/i", Some("-n 200 --grep '(?i:a)' --follow")),
            ("q=-a", Some("-n 200 --not '(?i:a)' --follow")),
            (
                "q=a&not=/it's/",
                Some(r"-n 200 --grep '(?i:a)' --not '(?:it'\''s)' --follow"),
            ),
            ("q=-a&not=b", Some("-n 200 --not '(?i:b)|(?i:a)' --follow")),
            (
                "source=APP&source=RTR",
                Some("-n 200 --source APP,RTR --follow"),
            ),
            ("source=-x", Some("-n 200 --source=-x --follow")),
            ("since=10m", Some("-n 200 --since 10m --follow")),
            (
                "since=2023-11-14T22:13&until=2023-11-14+23:13:00%2B01:00",
                Some("-n 200 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:13:00Z"),
            ),
            (
                "until=1700000000000007000",
                Some("-n 200 --until 2023-11-14T22:13:20.000007Z"),
            ),
            ("until=1700000000000007001", None),
            ("app=g&space=s", Some("-n 200 --follow")),
            ("space=s", None),
            ("level=warn", None),
            ("stream=err", None),
            ("instance=0", None),
            ("at=10m", None),
            ("q=/(/", None),
            ("since=soon", None),
        ] {
            let options = Asked::parse(query).options(now);
            assert_eq!(options.as_deref().map(str::trim), expected, "{query}");
        }
    }
}
