//! What a drain did not send before it started: a restart of the platform, or its end, came between.
//!
//! The log store has it. A round reads each source from the drain's position to what was its end when
//! the round began; the live queue is emptied before, since the store has all that was in it. When the
//! queue lost nothing during the round, it goes on exactly where the round ended. Otherwise the store
//! has what it lost, and another round follows. Their number is bounded: a drain that is slower than
//! its app must not read old segments for ever.
//!
//! What cannot be read stays unread and is asked for again. After [`PATIENCE`] it is told as a gap: a
//! damaged part must not hold up all that follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Progress;
use crate::db::DbError;
use crate::logs::envelope::{Envelope, Kinds};
use crate::logs::live::{Item, Subscription};
use crate::logs::{Logs, Query};

/// Envelopes read at once.
const PAGE: usize = 500;
/// Rounds of a backlog.
const MOST_ROUNDS: u32 = 20;
/// For how long a part that cannot be read is asked for again.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// The stored envelopes that a drain still has to send.
pub(super) struct Backlog {
    source_id: Option<Arc<str>>,
    kinds: Kinds,
    rounds: u32,
    /// What this round has to read.
    unread: Vec<Unread>,
    is_over: bool,
    /// How far each source was read here.
    read: HashMap<Arc<str>, i64>,
}

/// A part of a source: later than one time, up to another one.
struct Unread {
    source_id: Arc<str>,
    after: i64,
    until: i64,
    /// Since when reading fails.
    fails_since: Option<Instant>,
}

/// A part of the backlog.
#[derive(Debug)]
pub(super) enum Part {
    /// Envelopes of one source, in order.
    Items(Vec<Item>),
    /// The store has no more what is between these times, or cannot read it.
    Gap {
        source_id: Arc<str>,
        from: i64,
        until: i64,
    },
}

impl Backlog {
    /// The backlog of a drain of one source, or of all.
    pub(super) fn new(source_id: Option<Arc<str>>, kinds: Kinds) -> Self {
        Self {
            source_id,
            kinds,
            rounds: 0,
            unread: Vec::new(),
            is_over: false,
            read: HashMap::new(),
        }
    }

    /// The next part; `None` when everything else comes from the live queue. After an error the same is
    /// read when it is asked for again.
    pub(super) async fn next(
        &mut self,
        logs: &Logs,
        live: &Subscription,
        progress: &Progress,
    ) -> Result<Option<Part>, DbError> {
        while !self.is_over {
            let Some(unread) = self.unread.last_mut() else {
                if let Some(lost) = self.next_round(logs, live, progress) {
                    return Ok(Some(Part::Items(vec![lost])));
                }
                continue;
            };
            if let Some(oldest) = dropped_before(logs, unread) {
                let from = std::mem::replace(&mut unread.after, oldest - 1);
                let source_id = unread.source_id.clone();
                let until = oldest;
                return Ok(Some(Part::Gap {
                    source_id,
                    from,
                    until,
                }));
            }
            let page = match read(logs, unread, self.kinds).await {
                Ok(page) => page,
                Err(error) => return self.failed(error),
            };
            unread.fails_since = None;
            let Some(last) = page.last() else {
                self.read.insert(unread.source_id.clone(), unread.until);
                self.unread.pop();
                continue;
            };
            unread.after = last.timestamp;
            let page = page.into_iter().map(|one| Item::Envelope(Arc::new(one)));
            return Ok(Some(Part::Items(page.collect())));
        }
        Ok(None)
    }

    /// Reading the last part failed: the error, or a gap when it failed for too long.
    fn failed(&mut self, error: DbError) -> Result<Option<Part>, DbError> {
        let Some(unread) = self.unread.last_mut() else {
            return Err(error);
        };
        let since = *unread.fails_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            return Err(error);
        }
        let source_id = unread.source_id.clone();
        tracing::error!(%source_id, %error, "stored log lines cannot be read; a drain goes on without them");
        let (from, until) = (unread.after, unread.until);
        self.read.insert(source_id.clone(), until);
        self.unread.pop();
        Ok(Some(Part::Gap {
            source_id,
            from,
            until,
        }))
    }

    /// Whether everything else comes from the live queue.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether an envelope of the live queue was read here already.
    pub(super) fn has_read(&self, envelope: &Envelope) -> bool {
        let read = self.read.get(&envelope.source_id);
        read.is_some_and(|read| envelope.timestamp <= *read)
    }

    /// Begins a round, unless none is needed; gives what is lost when there may be no more rounds.
    fn next_round(
        &mut self,
        logs: &Logs,
        live: &Subscription,
        progress: &Progress,
    ) -> Option<Item> {
        if self.rounds > 0 {
            let lost = live.take_loss();
            if lost.is_none() || self.rounds >= MOST_ROUNDS {
                self.is_over = true;
                return lost.map(Item::Lost);
            }
        }
        self.rounds += 1;
        // Before the ends of the sources are looked up: what is thrown away must be in this round.
        while !live.take(usize::MAX).is_empty() {}
        let totals = logs.sources().totals().into_iter();
        let wanted = totals.filter(|(source_id, _)| {
            let own = self.source_id.as_ref();
            own.is_none_or(|own| own == source_id)
        });
        let unread = wanted.map(|(source_id, totals)| Unread {
            after: self.position(&source_id, progress),
            until: totals.newest,
            source_id,
            fails_since: None,
        });
        let unread = unread.filter(|unread| unread.after < unread.until);
        self.unread = unread.collect();
        None
    }

    fn position(&self, source_id: &Arc<str>, progress: &Progress) -> i64 {
        let read = self.read.get(source_id).copied();
        read.unwrap_or_else(|| progress.position(source_id))
    }
}

/// The time of the oldest envelope that the store has, if it may have dropped some that are unread.
fn dropped_before(logs: &Logs, unread: &Unread) -> Option<i64> {
    let totals = logs.sources().totals_of(&unread.source_id)?;
    let is_dropped = totals.expired > 0 && totals.oldest > unread.after.saturating_add(1);
    is_dropped.then_some(totals.oldest)
}

async fn read(logs: &Logs, unread: &Unread, kinds: Kinds) -> Result<Vec<Envelope>, DbError> {
    let query = Query {
        start: unread.after.saturating_add(1),
        end: unread.until.saturating_add(1),
        limit: PAGE,
        kinds,
        ..Query::default()
    };
    logs.read(&unread.source_id, query).await
}
