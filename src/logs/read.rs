//! Reading: the newest envelopes from memory, older ones from SQLite.

use std::sync::Arc;

use regex::Regex;

use super::envelope::{Envelope, Kinds};
use super::{Logs, store};
use crate::db::DbError;

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

impl Logs {
    /// The envelopes of a source that match the query, in the order it asks for.
    pub async fn read(&self, source_id: &str, query: Query) -> Result<Vec<Envelope>, DbError> {
        // Memory before disk: a segment that moves out of memory in between is on disk since its
        // commit, so nothing can fall through.
        let Some(view) = self.sources().view(source_id, &query) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        if query.descending {
            for segment in view.segments.iter().rev() {
                segment.select(&view.source_id, &query, &mut found)?;
            }
        }
        if view.older_on_disk && found.len() < query.limit {
            let older = Query {
                end: query.end.min(view.floor),
                ..query.clone()
            };
            let source_id: Arc<str> = view.source_id.clone();
            found = self
                .db()
                .read(move |tx| store::select(tx, &source_id, &older, found))
                .await?;
        }
        if !query.descending {
            for segment in &view.segments {
                segment.select(&view.source_id, &query, &mut found)?;
            }
        }
        Ok(found)
    }
}
