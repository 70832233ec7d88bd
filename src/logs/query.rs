//! What a reader asks for.

use regex::Regex;

use super::envelope::Kinds;

/// Envelopes a read gives when it does not say how many.
pub const DEFAULT_LIMIT: usize = 100;

/// Which envelopes of a source are wanted.
#[derive(Debug, Clone)]
pub struct Query {
    /// From this time on, in nanoseconds.
    pub start: i64,
    /// Before this time.
    pub end: i64,
    /// At most so many.
    pub limit: usize,
    /// The newest first (and, with a limit, only those) instead of the oldest.
    pub descending: bool,
    /// Only these kinds.
    pub kinds: Kinds,
    /// Only counters, timers and metrics with such a name.
    pub name: Option<Regex>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            start: i64::MIN,
            end: i64::MAX,
            limit: DEFAULT_LIMIT,
            descending: false,
            kinds: Kinds::ANY,
            name: None,
        }
    }
}

impl Query {
    /// Whether it is a question of somebody who reads lines as they come.
    pub(super) fn follows(&self) -> bool {
        !self.descending && self.end == i64::MAX && self.kinds.meets(Kinds::LOG)
    }
}
