//! Which envelopes a consumer wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::logs::envelope::{Envelope, Kinds, Message};

/// One kind of envelope, by name where it has names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Log lines.
    Logs,
    /// Counters, all or one.
    Counters(Option<String>),
    /// Gauges that have all of these metrics.
    Gauges(Vec<String>),
    /// Timers.
    Timers,
    /// Events.
    Events,
}

/// The envelopes of some sources, or of all, that at least one [`Want`] names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// `None` = every source.
    pub sources: Option<BTreeSet<Arc<str>>>,
    /// Kinds.
    pub wants: Vec<Want>,
}

impl Want {
    fn kind(&self) -> Kinds {
        match self {
            Self::Logs => Kinds::LOG,
            Self::Counters(_) => Kinds::COUNTER,
            Self::Gauges(_) => Kinds::GAUGE,
            Self::Timers => Kinds::TIMER,
            Self::Events => Kinds::EVENT,
        }
    }

    fn admits(&self, message: &Message) -> bool {
        match (self, message) {
            (Self::Logs, Message::Log { .. })
            | (Self::Timers, Message::Timer { .. })
            | (Self::Events, Message::Event { .. })
            | (Self::Counters(None), Message::Counter { .. }) => true,
            (Self::Counters(Some(wanted)), Message::Counter { name, .. }) => wanted == name,
            (Self::Gauges(names), Message::Gauge(metrics)) => {
                names.iter().all(|name| metrics.contains_key(name))
            }
            _ => false,
        }
    }
}

impl Selection {
    /// Everything of every source.
    pub fn everything() -> Self {
        Self {
            sources: None,
            wants: vec![
                Want::Logs,
                Want::Counters(None),
                Want::Gauges(Vec::new()),
                Want::Timers,
                Want::Events,
            ],
        }
    }

    /// Everything of one source.
    pub fn of_source(source_id: &str) -> Self {
        Self {
            sources: Some(BTreeSet::from([source_id.into()])),
            ..Self::everything()
        }
    }

    /// The same, restricted to some kinds.
    #[must_use]
    pub fn only(mut self, kinds: Kinds) -> Self {
        self.wants.retain(|want| want.kind().intersects(kinds));
        self
    }

    /// Whether it may select envelopes of a source.
    pub(super) fn admits_source(&self, source_id: &str) -> bool {
        let sources = self.sources.as_ref();
        sources.is_none_or(|sources| sources.contains(source_id))
    }

    /// The kinds that it may select.
    pub(super) fn kinds(&self) -> Kinds {
        let kinds = self.wants.iter().map(Want::kind);
        kinds.fold(Kinds::NONE, Kinds::with)
    }

    /// Whether it selects an envelope of an admitted source.
    pub(super) fn admits(&self, envelope: &Envelope) -> bool {
        self.wants.iter().any(|want| want.admits(&envelope.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::live::testing::{counter, gauge, line};

    #[test]
    fn kinds_and_names_select() {
        let (log, requests) = (line(1, "x"), counter("requests"));
        let usage = gauge(&["cpu", "memory"]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let cases = [
            (Want::Logs, [true, false, false]),
            (Want::Counters(None), [false, true, false]),
            (
                Want::Counters(Some("requests".into())),
                [false, true, false],
            ),
            (Want::Counters(Some("other".into())), [false, false, false]),
            (Want::Gauges(Vec::new()), [false, false, true]),
            (
                Want::Gauges(names(&["memory", "cpu"])),
                [false, false, true],
            ),
            (Want::Gauges(names(&["cpu", "disk"])), [false, false, false]),
            (Want::Timers, [false, false, false]),
            (Want::Events, [false, false, false]),
        ];
        for (want, expected) in cases {
            let selection = Selection {
                sources: None,
                wants: vec![want.clone()],
            };
            let admitted = [&log, &requests, &usage].map(|one| selection.admits(one));
            assert_eq!(admitted, expected, "{want:?}");
        }
    }

    #[test]
    fn sources_are_all_or_named() {
        assert!(Selection::everything().admits_source("any"));
        let one = Selection::of_source("app").only(Kinds::LOG);
        assert!(one.admits_source("app") && !one.admits_source("other"));
        assert_eq!(one.wants, [Want::Logs]);
        assert_eq!(one.kinds(), Kinds::LOG);
    }
}
