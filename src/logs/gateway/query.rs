//! The parameters of `/v2/read`. Keys may repeat and need no value.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::logs::live::{Selection, Shard, Want};

/// The maximum number of sources of one stream.
const MAX_SOURCES: usize = 1000;

/// What a stream asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StreamQuery {
    pub(super) selection: Selection,
    pub(super) shard: Option<Shard>,
}

/// A request that is rejected: its code and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

const EMPTY: Invalid = Invalid {
    code: "empty_query",
    message: "query cannot be empty",
};
const NO_TYPE: Invalid = Invalid {
    code: "missing_envelope_type",
    message: "query must provide at least one envelope type",
};
const NO_COUNTER: Invalid = Invalid {
    code: "missing_counter_name",
    message: "counter.name is invalid without value",
};
const NO_GAUGE: Invalid = Invalid {
    code: "missing_gauge_name",
    message: "gauge.name is invalid without value",
};
const TOO_MANY: Invalid = Invalid {
    code: "too_many_source_ids",
    message: "query must not have more than 1000 source ids",
};

/// Parses a query string.
pub(super) fn parse(query: &str) -> Result<StreamQuery, Invalid> {
    if query.is_empty() {
        return Err(EMPTY);
    }
    let mut wants = Vec::new();
    let mut sources: BTreeSet<Arc<str>> = BTreeSet::new();
    let (mut shard, mut deterministic_name) = (String::new(), None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let want = match &*key {
            "log" => Want::Logs,
            "counter" => Want::Counters(None),
            "gauge" => Want::Gauges(Vec::new()),
            "timer" => Want::Timers,
            "event" => Want::Events,
            "counter.name" if value.is_empty() => return Err(NO_COUNTER),
            "counter.name" => Want::Counters(Some(value.into_owned())),
            "gauge.name" if value.is_empty() => return Err(NO_GAUGE),
            "gauge.name" => Want::Gauges(value.split(',').map(str::to_owned).collect()),
            "source_id" if sources.len() >= MAX_SOURCES => return Err(TOO_MANY),
            "source_id" => {
                sources.insert((*value).into());
                continue;
            }
            "shard_id" => {
                shard = value.into_owned();
                continue;
            }
            "deterministic_name" => {
                deterministic_name = Some(value.into_owned()).filter(|name| !name.is_empty());
                continue;
            }
            _ => continue,
        };
        if !wants.contains(&want) && wants.len() < MAX_SOURCES {
            wants.push(want);
        }
    }
    if wants.is_empty() {
        return Err(NO_TYPE);
    }
    Ok(StreamQuery {
        selection: Selection {
            sources: (!sources.is_empty()).then_some(sources),
            wants,
        },
        shard: (!shard.is_empty()).then_some(Shard {
            id: shard,
            deterministic_name,
        }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn keys_repeat_and_need_no_value() {
        let query = "log&counter=&gauge.name=cpu,memory&counter.name=a&counter.name=b&log&\
                     source_id=x&source_id=y&shard_id=s&deterministic_name=n&unknown=1";
        let parsed = parse(query).expect("valid");
        let wants = [
            Want::Logs,
            Want::Counters(None),
            Want::Gauges(names(&["cpu", "memory"])),
            Want::Counters(Some("a".into())),
            Want::Counters(Some("b".into())),
        ];
        assert_eq!(parsed.selection.wants, wants);
        let sources: Vec<_> = parsed
            .selection
            .sources
            .expect("sources")
            .into_iter()
            .collect();
        assert_eq!(sources, ["x".into(), "y".into()]);
        let shard = Shard {
            id: "s".into(),
            deterministic_name: Some("n".into()),
        };
        assert_eq!(parsed.shard, Some(shard));
        let plain = parse("timer&event&shard_id=").expect("valid");
        assert_eq!((plain.selection.sources, plain.shard), (None, None));
    }

    #[test]
    fn what_is_missing_has_a_code() {
        for (query, code) in [
            ("", "empty_query"),
            ("source_id=x", "missing_envelope_type"),
            ("log&counter.name", "missing_counter_name"),
            ("gauge.name=", "missing_gauge_name"),
        ] {
            assert_eq!(parse(query).expect_err(query).code, code, "{query}");
        }
        let many: Vec<String> = (0..1001).map(|n| format!("&source_id={n}")).collect();
        let refused = parse(&format!("log{}", many.concat())).expect_err("too many");
        assert_eq!(refused.code, "too_many_source_ids");
    }

    proptest! {
        /// No query panics, and every accepted one asks for something.
        #[test]
        fn any_query_is_answered(query in "[a-z_.&=,%0-9\u{80}-\u{ff}]{0,80}", tail in "(&(log|gauge.name=a,,b|counter.name|source_id|shard_id=%ff))*") {
            if let Ok(parsed) = parse(&format!("{query}{tail}")) {
                prop_assert!(!parsed.selection.wants.is_empty());
            }
        }
    }
}
