//! Search: the lines of some sources or of all, in order of time, by text, source and time, and
//! then what is new. The command line uses it by an operator's route.
//!
//! History is read in pages, so that a search over a large log holds little of it. Who follows
//! subscribes first and reads the history then: nothing is missed in between, and what is in both
//! is shown once.

mod filter;
mod level;
mod merge;
mod operator;
mod parameters;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub use filter::Filter;
pub use level::Level;
pub use operator::{LogSources, NamedSource};

use super::envelope::{Envelope, Kinds, Message};
use super::live::{Item, Selection, Subscription, Wanted};
use super::{Logs, Query, warning};
use crate::db::DbError;
use merge::Merge;

/// The maximum for [`Search::last`].
pub(super) const MAX_LAST: usize = 100_000;
/// The source of a search's own lines, about what its reader did not get.
pub const OWN: &str = "search";
/// Lines returned at once.
const BATCH: usize = 200;
/// Lines looked at before others get their turn.
const STEP: usize = 2000;

/// What to search.
#[derive(Debug, Clone)]
pub struct Search {
    /// Sources; `None` = all.
    pub sources: Option<Vec<Arc<str>>>,
    /// Conditions.
    pub filter: Filter,
    /// From this time on, in nanoseconds.
    pub since: i64,
    /// Before this time.
    pub until: i64,
    /// Only the last so many of them.
    pub last: Option<usize>,
    /// Whether to go on with new lines.
    pub follow: bool,
    /// Where it ends although there may be more.
    pub bounds: Bounds,
}

/// How much of the history a search costs at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines looked at.
    pub looked: usize,
    /// Bytes of the texts of [`Search::last`] lines; the line that reaches them is the last one.
    pub bytes: usize,
}

impl Default for Bounds {
    /// None.
    fn default() -> Self {
        Self {
            looked: usize::MAX,
            bytes: usize::MAX,
        }
    }
}

/// Where a search of the history ended although there was more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The time of the last line looked at, in nanoseconds.
    pub at: i64,
    /// What ended it.
    pub by: StopBy,
}

/// What ended a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopBy {
    /// [`Search::last`].
    Count,
    /// [`Bounds::bytes`].
    Bytes,
    /// [`Bounds::looked`].
    Looked,
}

/// A search in progress.
pub struct Results {
    logs: Logs,
    search: Search,
    stage: Stage,
    subscription: Option<Subscription>,
    /// Lines up to these times were found in the history.
    seen: HashMap<Arc<str>, i64>,
    /// Lines of the history looked at so far, and the time of the last one.
    looked: (usize, i64),
    stop: Option<Stop>,
}

enum Stage {
    /// The last lines, oldest first.
    Last(VecDeque<Envelope>),
    History(Box<Merge>),
    Live,
}

impl Logs {
    /// Starts a search.
    pub async fn search(&self, search: Search) -> Result<Results, DbError> {
        let subscription = search.follow.then(|| self.follow(&search)).flatten();
        let sources = match &search.sources {
            Some(sources) => sources.clone(),
            None => self
                .sources()
                .totals()
                .into_iter()
                .map(|(id, _)| id)
                .collect(),
        };
        let range = Query {
            start: search.since,
            end: search.until,
            descending: search.last.is_some(),
            ..Query::default()
        };
        let mut merge = Merge::start(self.clone(), sources, range).await?;
        let mut results = Results {
            logs: self.clone(),
            stage: Stage::Live,
            search,
            subscription,
            seen: HashMap::new(),
            looked: (0, 0),
            stop: None,
        };
        if let Some(last) = results.search.last {
            let last = results.last(&mut merge, last.min(MAX_LAST)).await?;
            results.seen = merge.newest();
            results.stage = Stage::Last(last);
        } else {
            results.stage = Stage::History(Box::new(merge));
        }
        Ok(results)
    }

    fn follow(&self, search: &Search) -> Option<Subscription> {
        let everything = Selection::everything().only(Kinds::LOG);
        let sources = search.sources.clone();
        let wanted = Wanted {
            name: "search",
            selection: Selection {
                sources: sources.map(|sources| sources.into_iter().collect()),
                ..everything
            },
            shard: None,
            // A pager may stand still for long.
            is_client: false,
        };
        self.subscribe(wanted).ok()
    }
}

impl Results {
    /// Whether a line may be in the results.
    pub fn admits(&self, envelope: &Envelope) -> bool {
        let search = &self.search;
        (search.since..search.until).contains(&envelope.timestamp) && search.filter.admits(envelope)
    }

    /// The next lines, oldest first; `None` at the end. May be empty.
    pub async fn next(&mut self) -> Result<Option<Vec<Envelope>>, DbError> {
        match &mut self.stage {
            Stage::Last(lines) if !lines.is_empty() => {
                let count = lines.len().min(BATCH);
                return Ok(Some(lines.drain(..count).collect()));
            }
            Stage::Last(_) => self.stage = Stage::Live,
            Stage::History(_) => {
                if let Some(found) = self.history().await? {
                    return Ok(Some(found));
                }
            }
            Stage::Live => {}
        }
        Ok(self.live().await)
    }

    /// Where it ended although there was more; known of the last lines from the start, otherwise
    /// when [`Results::next`] is over.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    async fn last(
        &mut self,
        merge: &mut Merge,
        count: usize,
    ) -> Result<VecDeque<Envelope>, DbError> {
        let (mut last, mut bytes) = (VecDeque::new(), 0_usize);
        loop {
            let by = if last.len() >= count {
                Some(StopBy::Count)
            } else if bytes >= self.search.bounds.bytes {
                Some(StopBy::Bytes)
            } else {
                self.is_tired().then_some(StopBy::Looked)
            };
            if let Some(by) = by {
                let at = self.looked.1;
                self.stop = (!merge.is_over()).then_some(Stop { at, by });
                break;
            }
            let Some(line) = merge.next().await? else {
                break;
            };
            self.looked = (self.looked.0 + 1, line.timestamp);
            if self.admits(&line) {
                if let Message::Log { payload, .. } = &line.message {
                    bytes = bytes.saturating_add(payload.len());
                }
                last.push_front(line);
            }
        }
        Ok(last)
    }

    /// Whether it looked at as much as it may.
    fn is_tired(&self) -> bool {
        self.looked.0 >= self.search.bounds.looked
    }

    /// The next lines of the history; `None` when it is over.
    async fn history(&mut self) -> Result<Option<Vec<Envelope>>, DbError> {
        let Stage::History(mut merge) = std::mem::replace(&mut self.stage, Stage::Live) else {
            return Ok(None);
        };
        let mut found = Vec::new();
        for _ in 0..STEP {
            if self.is_tired() && !merge.is_over() {
                let (at, by) = (self.looked.1, StopBy::Looked);
                self.stop = Some(Stop { at, by });
                self.seen = merge.newest();
                return Ok((!found.is_empty()).then_some(found));
            }
            let Some(line) = merge.next().await? else {
                self.seen = merge.newest();
                return Ok((!found.is_empty()).then_some(found));
            };
            self.looked = (self.looked.0 + 1, line.timestamp);
            if self.admits(&line) {
                found.push(line);
            }
            if found.len() >= BATCH {
                break;
            }
        }
        self.stage = Stage::History(merge);
        Ok(Some(found))
    }

    async fn live(&mut self) -> Option<Vec<Envelope>> {
        let items = self.subscription.as_ref()?.next(BATCH).await?;
        let new = items.into_iter().filter_map(|item| match item {
            Item::Lost(loss) => {
                let now = self.logs.now_nanos();
                Some(warning::lost(loss, OWN.into(), OWN, now))
            }
            Item::Envelope(envelope) => {
                let seen = self.seen.get(&envelope.source_id);
                let is_new = seen.is_none_or(|seen| envelope.timestamp > *seen);
                (is_new && self.admits(&envelope)).then(|| (*envelope).clone())
            }
        });
        Some(new.collect())
    }
}

#[cfg(test)]
mod tests;
