//! What a drain's URL selects: kinds of envelopes, sources of lines, and whether tags go along.

use std::collections::BTreeSet;

use crate::logs::envelope::{Envelope, Kinds, Message};

/// The options of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) kinds: Kinds,
    /// Whether tags are sent.
    pub(super) metadata: bool,
    /// Only lines of these sources, by the first part of their type in lower case.
    include: Option<BTreeSet<String>>,
    exclude: BTreeSet<String>,
}

const METRICS: Kinds = Kinds::GAUGE.with(Kinds::COUNTER);

impl Options {
    /// The options in a query string. `include-metrics-deprecated` beats `drain-data`, which beats
    /// `drain-type`; unknown values count as absent.
    pub(super) fn parse(query: &str) -> Self {
        let (mut kind, mut data, mut everything) = (None, None, false);
        let mut options = Self {
            kinds: Kinds::LOG.with(Kinds::EVENT),
            metadata: true,
            include: None,
            exclude: BTreeSet::new(),
        };
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "drain-type" => kind = of_type(&value),
                "drain-data" => data = of_data(&value),
                "include-metrics-deprecated" => everything = true,
                "disable-metadata" | "omit-metadata" => options.metadata = &*value != "true",
                "include-log-types" | "include-log-source-types" => {
                    let include = options.include.get_or_insert_default();
                    include.extend(names(&value));
                }
                "exclude-log-types" | "exclude-log-source-types" => {
                    options.exclude.extend(names(&value));
                }
                _ => {}
            }
        }
        let selected = if everything {
            Some(Kinds::ANY)
        } else {
            data.or(kind)
        };
        options.kinds = selected.unwrap_or(options.kinds);
        options
    }

    /// Whether an envelope of the right kind is sent.
    pub(super) fn admit(&self, envelope: &Envelope) -> bool {
        if !matches!(envelope.message, Message::Log { .. }) {
            return true;
        }
        let source_type = envelope.tags.get("source_type");
        let first = source_type.and_then(|source| source.split('/').next());
        let Some(first) = first.filter(|first| !first.is_empty()) else {
            return self.include.is_none();
        };
        let first = first.to_ascii_lowercase();
        let included = self.include.as_ref();
        !self.exclude.contains(&first) && included.is_none_or(|names| names.contains(&first))
    }
}

fn of_type(value: &str) -> Option<Kinds> {
    match value {
        "logs" => Some(Kinds::LOG),
        "metrics" => Some(METRICS),
        "all" => Some(Kinds::LOG.with(METRICS)),
        _ => None,
    }
}

fn of_data(value: &str) -> Option<Kinds> {
    match value {
        "logs" => Some(Kinds::LOG.with(Kinds::EVENT)),
        "metrics" => Some(METRICS),
        "traces" => Some(Kinds::TIMER),
        "all" => Some(Kinds::ANY),
        _ => None,
    }
}

fn names(list: &str) -> impl Iterator<Item = String> {
    let names = list.split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logs::live::testing::{gauge, line};

    #[test]
    fn parameters_select_kinds() {
        let logs_and_events = Kinds::LOG.with(Kinds::EVENT);
        for (query, kinds) in [
            ("", logs_and_events),
            ("drain-data=logs", logs_and_events),
            ("drain-type=logs", Kinds::LOG),
            ("drain-type=metrics", METRICS),
            ("drain-type=all", Kinds::LOG.with(METRICS)),
            ("drain-data=metrics", METRICS),
            ("drain-data=traces", Kinds::TIMER),
            ("drain-data=all", Kinds::ANY),
            ("drain-data=traces&drain-type=logs", Kinds::TIMER),
            ("include-metrics-deprecated&drain-data=logs", Kinds::ANY),
            ("drain-type=nonsense", logs_and_events),
        ] {
            assert_eq!(Options::parse(query).kinds, kinds, "{query}");
        }
        assert!(Options::parse("disable-metadata=false").metadata);
        assert!(!Options::parse("disable-metadata=true").metadata);
        assert!(!Options::parse("omit-metadata=true").metadata);
    }

    #[test]
    fn lines_can_be_selected_by_their_source() {
        let of = |source_type: Option<&str>| {
            let mut envelope = (*line(1, "x")).clone();
            let tags = source_type.map(|one| ("source_type".to_owned(), one.to_owned()));
            envelope.tags = Arc::new(tags.into_iter().collect());
            envelope
        };
        for (query, sent) in [
            ("", [true, true, true]),
            ("include-log-types=app,STG", [true, false, false]),
            ("exclude-log-source-types=rtr", [true, false, true]),
            (
                "include-log-types=app,rtr&exclude-log-types=app",
                [false, true, false],
            ),
        ] {
            let options = Options::parse(query);
            let all = [Some("APP/PROC/WEB"), Some("RTR"), None];
            assert_eq!(all.map(|one| options.admit(&of(one))), sent, "{query}");
        }
        assert!(Options::parse("include-log-types=app").admit(&gauge(&["cpu"])));
    }
}
