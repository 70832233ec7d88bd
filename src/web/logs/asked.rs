//! What an address asks of the log: all of it is in the query, so that reload, back and a colleague
//! see the same lines.

use regex::bytes::{Regex, RegexBuilder};

use crate::base::Timestamp;
use crate::logs::{Filter, Level, LogStream};
use crate::web::show::Refused;
use crate::web::when;

/// The maximum memory of a compiled pattern.
const MAX_PATTERN: usize = 1 << 20;
/// The longest text of a field.
const MAX_TEXT: usize = 1000;

/// The fields of the filter as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::web) struct Asked {
    /// A text, or `/regex/`; with `-` before it only what does not match.
    pub(in crate::web) q: String,
    /// The same, for lines to leave out.
    pub(in crate::web) not: String,
    /// Source types: `APP`, `RTR`, …
    pub(in crate::web) sources: Vec<String>,
    /// Numbers of instances, with commas.
    pub(in crate::web) instance: String,
    /// `out`, `err` or empty.
    pub(in crate::web) stream: String,
    /// `debug`, `info`, `warn`, `error` or empty.
    pub(in crate::web) level: String,
    /// A time whose surroundings are shown.
    pub(in crate::web) at: String,
    pub(in crate::web) since: String,
    pub(in crate::web) until: String,
    /// A space of the explorer.
    pub(in crate::web) space: String,
    /// Apps or services of the explorer.
    pub(in crate::web) apps: Vec<String>,
}

/// The times between which lines are wanted, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Range {
    pub(in crate::web) since: i64,
    pub(in crate::web) until: i64,
    pub(in crate::web) at: Option<i64>,
}

impl Range {
    /// Whether new lines belong to it.
    pub(in crate::web) fn is_live(&self) -> bool {
        self.until == i64::MAX && self.at.is_none()
    }
}

impl Asked {
    /// Reads a query; what is unknown is ignored, as other parts of the page have theirs.
    pub(in crate::web) fn parse(query: &str) -> Self {
        let mut asked = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.chars().take(MAX_TEXT).collect();
            match &*key {
                "q" => asked.q = value,
                "not" => asked.not = value,
                "source" => asked.sources.extend(words(&value)),
                "instance" => asked.instance = value,
                "stream" => asked.stream = value,
                "level" => asked.level = value,
                "at" => asked.at = value,
                "since" => asked.since = value,
                "until" => asked.until = value,
                "space" => asked.space = value,
                "app" if !value.is_empty() => asked.apps.push(value),
                _ => {}
            }
        }
        asked
    }

    /// The query again, without what is empty.
    pub(in crate::web) fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", &self.q),
            ("not", &self.not),
            ("instance", &self.instance),
            ("stream", &self.stream),
            ("level", &self.level),
            ("at", &self.at),
            ("since", &self.since),
            ("until", &self.until),
            ("space", &self.space),
        ];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        query.extend_pairs(fields);
        query.extend_pairs(self.sources.iter().map(|source| ("source", source)));
        query.extend_pairs(self.apps.iter().map(|app| ("app", app)));
        query.finish()
    }

    /// The part of the query that names the explorer's space and apps, with a `&` behind it.
    pub(super) fn place(&self) -> String {
        let place = Self {
            space: self.space.clone(),
            apps: self.apps.clone(),
            ..Self::default()
        };
        let mut query = place.query();
        if !query.is_empty() {
            query.push('&');
        }
        query
    }

    /// Whether some lines are hidden by it, apart from those of other times.
    pub(in crate::web) fn hides(&self) -> bool {
        let texts = [
            &self.q,
            &self.not,
            &self.instance,
            &self.stream,
            &self.level,
        ];
        !self.sources.is_empty() || texts.iter().any(|text| !text.is_empty())
    }

    /// Whether a source type is chosen.
    pub(in crate::web) fn has_source(&self, source: &str) -> bool {
        self.sources.iter().any(|one| one == source)
    }

    /// The conditions on a line.
    pub(in crate::web) fn filter(&self) -> Result<Filter, Refused> {
        let unwanted = self.q.strip_prefix('-').filter(|text| !text.is_empty());
        let mut wanted = None;
        let mut without: Vec<String> = expression(&self.not).into_iter().collect();
        match unwanted {
            Some(unwanted) => without.extend(expression(unwanted)),
            None => wanted = expression(&self.q),
        }
        // A fault is told at the field that has it.
        let of_q = unwanted.and_then(expression);
        pattern("q", of_q.as_deref())?;
        let grep = pattern("q", wanted.as_deref())?;
        let without = (!without.is_empty()).then(|| without.join("|"));
        let not = pattern("not", without.as_deref())?;
        Ok(Filter {
            grep,
            not,
            source_types: self.sources.clone(),
            instances: words(&self.instance).collect(),
            stream: match self.stream.as_str() {
                "" => None,
                "out" => Some(LogStream::Out),
                "err" => Some(LogStream::Err),
                _ => return Err(Refused::field("stream", "The stream is out or err")),
            },
            level: match self.level.as_str() {
                "" => None,
                name => Some(Level::named(name).ok_or_else(|| {
                    Refused::field("level", "The level is debug, info, warn or error")
                })?),
            },
        })
    }

    /// The times.
    pub(in crate::web) fn range(&self, now: Timestamp) -> Result<Range, Refused> {
        let time = |field: &str, text: &str| match text {
            "" => Ok(None),
            text => when::nanos(text, now)
                .map(Some)
                .map_err(|fault| Refused::field(field, &fault)),
        };
        Ok(Range {
            since: time("since", &self.since)?.unwrap_or(i64::MIN),
            until: time("until", &self.until)?.unwrap_or(i64::MAX),
            at: time("at", &self.at)?,
        })
    }
}

/// Parts between commas.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

/// A text in any case, or `/a regular expression/`, or with `i` behind it in any case.
fn expression(text: &str) -> Option<String> {
    let between = text.strip_prefix('/').and_then(|rest| {
        let exact = rest.strip_suffix('/').map(|body| ("", body));
        exact.or_else(|| rest.strip_suffix("/i").map(|body| ("i", body)))
    });
    match between.filter(|(_, body)| !body.is_empty()) {
        Some((flags, body)) => Some(format!("(?{flags}:{body})")),
        None if text.is_empty() => None,
        None => Some(format!("(?i:{})", regex::escape(text))),
    }
}

fn pattern(field: &str, expression: Option<&str>) -> Result<Option<Regex>, Refused> {
    let Some(expression) = expression else {
        return Ok(None);
    };
    let built = RegexBuilder::new(expression)
        .size_limit(MAX_PATTERN)
        .build();
    built.map(Some).map_err(|error| {
        // The parser's error spans several lines; the last one has the reason.
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        Refused::field(field, &format!("This is no regular expression: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_read_and_written() {
        let text = "q=a%26b&not=%2Fx%2F&instance=0%2C2&stream=err&level=warn&since=10m&source=APP&source=RTR&app=g";
        let asked = Asked::parse(&format!("{text}&source=&other=1&app="));
        assert_eq!(asked.query(), text);
        assert!(asked.hides() && asked.has_source("RTR") && !asked.has_source("STG"));
        let filter = asked.filter().expect("a filter");
        assert_eq!(filter.instances, ["0", "2"]);
        assert_eq!(filter.stream, Some(LogStream::Err));
        assert_eq!(filter.level, Some(Level::Warn));
        let range = asked
            .range(Timestamp::from_micros(600_000_001))
            .expect("a range");
        assert!(range.is_live());
        assert_eq!(range.since, 1000);
        assert!(!Asked::default().hides());
        assert_eq!(
            Asked::parse("q=x&app=a%26&space=s&at=1").place(),
            "space=s&app=a%26&"
        );
        assert_eq!(Asked::parse("q=x").place(), "");
    }

    #[test]
    fn a_text_is_a_text_and_slashes_make_an_expression() {
        let matches = |q: &str, not: &str, line: &str| {
            let asked = Asked {
                q: q.to_owned(),
                not: not.to_owned(),
                ..Asked::default()
            };
            let filter = asked.filter().expect("a filter");
            let found = filter
                .grep
                .is_none_or(|grep| grep.is_match(line.as_bytes()));
            found && !filter.not.is_some_and(|not| not.is_match(line.as_bytes()))
        };
        for (q, not, line, expected) in [
            ("a.b", "", "A.B", true),
            ("a.b", "", "axb", false),
            ("/a.b/", "", "axb", true),
            ("/a.b/", "", "AXB", false),
            ("/a.b/i", "", "AXB", true),
            ("-health", "", "GET /health", false),
            ("-health", "", "GET /", true),
            ("-", "", "a-b", true),
            ("-", "", "ab", false),
            ("/", "", "a/b", true),
            ("", "b", "ab", false),
            ("-a", "b", "xbx", false),
            ("-a", "b", "xcx", true),
        ] {
            assert_eq!(matches(q, not, line), expected, "{q} {not}: {line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for query in [
            "q=/(/",
            "not=/a{1000}{1000}/",
            "stream=x",
            "level=loud",
            "since=soon",
            "at=x",
        ] {
            let asked = Asked::parse(query);
            let now = Timestamp::from_micros(0);
            assert!(
                asked.filter().is_err() || asked.range(now).is_err(),
                "{query}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read(query in "(&?(q|not|at|since|source|level)(=[^&]{0,20})?){0,6}") {
            let asked = Asked::parse(&query);
            prop_assert_eq!(&Asked::parse(&asked.query()), &asked);
            drop(asked.filter());
            drop(asked.range(Timestamp::from_micros(0)));
        }
    }
}
