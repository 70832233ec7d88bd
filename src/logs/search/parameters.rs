//! The parameters of a search over HTTP.

use regex::bytes::{Regex, RegexBuilder};

use super::{Filter, MAX_LAST};

/// The maximum memory of a compiled pattern.
const MAX_PATTERN: usize = 1 << 20;

/// What a request asks for, sources by their names.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) apps: Vec<String>,
    pub(super) services: Vec<String>,
    pub(super) all: bool,
    pub(super) filter: Filter,
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) last: Option<usize>,
    pub(super) follow: bool,
}

/// Parses a query string; the error is for the caller.
pub(super) fn parse(query: &str) -> Result<Parameters, String> {
    let mut parameters = Parameters {
        apps: Vec::new(),
        services: Vec::new(),
        all: false,
        filter: Filter::default(),
        since: i64::MIN,
        until: i64::MAX,
        last: None,
        follow: false,
    };
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "app" => parameters.apps.push(value.into_owned()),
            "service" => parameters.services.push(value.into_owned()),
            "all" => parameters.all = true,
            "follow" => parameters.follow = true,
            "grep" => parameters.filter.grep = Some(pattern(&value)?),
            "not" => parameters.filter.not = Some(pattern(&value)?),
            "source" => {
                let types = value
                    .split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty());
                parameters
                    .filter
                    .source_types
                    .extend(types.map(str::to_owned));
            }
            "since" => parameters.since = number(&key, &value)?,
            "until" => parameters.until = number(&key, &value)?,
            "last" => {
                let last: i64 = number(&key, &value)?;
                let last = usize::try_from(last).ok().filter(|last| *last <= MAX_LAST);
                let refusal = || format!("last must be between 0 and {MAX_LAST}");
                parameters.last = Some(last.ok_or_else(refusal)?);
            }
            other => return Err(format!("unknown parameter {other:?}")),
        }
    }
    if !parameters.all && parameters.apps.is_empty() && parameters.services.is_empty() {
        return Err("name an app or a service, or ask for all".to_owned());
    }
    Ok(parameters)
}

fn number(key: &str, value: &str) -> Result<i64, String> {
    value
        .parse()
        .map_err(|_| format!("{key} is no whole number: {value:?}"))
}

fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
    built.map_err(|error| {
        // The parser's error spans several lines; the last one has the reason.
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        format!("{text:?} is no regular expression: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_read_or_refused() {
        let parsed =
            parse("app=web&app=api&grep=a%7Cb&not=c&source=RTR,app&since=-5&last=9&follow=");
        let parsed = parsed.expect("valid");
        assert_eq!(parsed.apps, ["web", "api"]);
        assert_eq!(parsed.filter.source_types, ["RTR", "app"]);
        assert_eq!(
            (parsed.since, parsed.until, parsed.last),
            (-5, i64::MAX, Some(9))
        );
        assert!(parsed.follow && !parsed.all);
        for (query, part) in [
            ("", "name an app"),
            (
                "app=a&grep=(",
                "\"(\" is no regular expression: unclosed group",
            ),
            ("all&not=a{1000}{1000}", "no regular expression"),
            ("all&since=today", "since is no whole number"),
            ("all&last=-1", "last must be"),
            ("all&last=100001", "last must be"),
            ("all&grpe=x", "unknown parameter \"grpe\""),
        ] {
            let refused = parse(query).expect_err(query);
            assert!(refused.contains(part), "{query}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_answered(query in "(&?(all|app|grep|not|last|since|source)(=[^&]{0,20})?){0,6}") {
            drop(parse(&query));
        }
    }
}
