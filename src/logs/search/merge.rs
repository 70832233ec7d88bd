//! Reads several sources as one log, in order of time, a page of each at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::db::DbError;
use crate::logs::envelope::{Envelope, Kinds};
use crate::logs::{Logs, Query};

/// Envelopes read of a source at once.
const PAGE: usize = 200;

/// Lines of several sources between two times.
pub(super) struct Merge {
    logs: Logs,
    range: Query,
    sources: Vec<Source>,
    /// The next line of each source that has one, by its place in time.
    heads: BinaryHeap<(Place, usize)>,
    /// The newest line read of each source.
    newest: HashMap<Arc<str>, i64>,
}

/// Where a line is in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Ascending(Reverse<i64>),
    Descending(i64),
}

struct Source {
    id: Arc<str>,
    page: VecDeque<Envelope>,
    /// Where the next page begins, or ends when reading backwards.
    bound: i64,
    is_complete: bool,
}

impl Merge {
    /// Starts to read from `range.start` up to `range.end`, or backwards.
    pub(super) async fn start(
        logs: Logs,
        sources: impl IntoIterator<Item = Arc<str>>,
        range: Query,
    ) -> Result<Self, DbError> {
        let bound = if range.descending {
            range.end
        } else {
            range.start
        };
        let source = |id| Source {
            id,
            page: VecDeque::new(),
            bound,
            is_complete: false,
        };
        let mut merge = Self {
            logs,
            range,
            sources: sources.into_iter().map(source).collect(),
            heads: BinaryHeap::new(),
            newest: HashMap::new(),
        };
        for index in 0..merge.sources.len() {
            merge.fill(index).await?;
        }
        Ok(merge)
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> Result<Option<Envelope>, DbError> {
        let Some((_, index)) = self.heads.pop() else {
            return Ok(None);
        };
        let next = self.sources[index].page.pop_front();
        self.fill(index).await?;
        Ok(next)
    }

    /// Whether there is no next line.
    pub(super) fn is_over(&self) -> bool {
        self.heads.is_empty()
    }

    /// The newest line read of each source.
    pub(super) fn newest(self) -> HashMap<Arc<str>, i64> {
        self.newest
    }

    /// Makes the next line of a source known, reading a page when there is none.
    async fn fill(&mut self, index: usize) -> Result<(), DbError> {
        let source = &mut self.sources[index];
        if source.page.is_empty() && !source.is_complete {
            let mut query = Query {
                limit: PAGE,
                kinds: Kinds::LOG,
                ..self.range.clone()
            };
            if self.range.descending {
                query.end = source.bound;
            } else {
                query.start = source.bound;
            }
            let page = self.logs.read(&source.id, query).await?;
            source.is_complete = page.len() < PAGE;
            if let Some(last) = page.last() {
                source.bound = if self.range.descending {
                    last.timestamp
                } else {
                    last.timestamp.saturating_add(1)
                };
            }
            if let Some(newest) = page.iter().map(|one| one.timestamp).max() {
                let known = self.newest.entry(source.id.clone()).or_insert(newest);
                *known = newest.max(*known);
            }
            source.page = page.into();
        }
        if let Some(head) = source.page.front() {
            let place = if self.range.descending {
                Place::Descending(head.timestamp)
            } else {
                Place::Ascending(Reverse(head.timestamp))
            };
            self.heads.push((place, index));
        }
        Ok(())
    }
}
