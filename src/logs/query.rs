//! Read queries.

use regex::Regex;

use super::envelope::Kinds;

/// The default limit of a read.
pub const DEFAULT_LIMIT: usize = 100;

/// Selects envelopes of a source.
#[derive(Debug, Clone)]
pub struct Query {
    /// From this time on, in nanoseconds.
    pub start: i64,
    /// Before this time.
    pub end: i64,
    /// The maximum number.
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
    /// Whether it is the query of a reader that follows the log.
    pub(super) fn follows(&self) -> bool {
        !self.descending && self.end == i64::MAX && self.kinds.intersects(Kinds::LOG)
    }
}
