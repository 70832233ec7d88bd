//! What a drain did not send before it started: a restart of the platform, or its end, came between.
//!
//! The log store has it. A round reads every source from the drain's position on, page by page; what
//! the live queue holds meanwhile is in the store, too, and is thrown away before the next round. After a
//! round that found nothing, the live queue begins exactly where the store ended.

use std::collections::HashMap;
use std::sync::Arc;

use super::progress::Progress;
use crate::logs::envelope::{Envelope, Kinds};
use crate::logs::live::{Item, Subscription};
use crate::logs::{Logs, Query};

/// Envelopes read at once, unless their segment has fewer.
const PAGE: usize = 500;

/// The stored envelopes that a drain still has to send.
pub(super) struct Backlog {
    source_id: Option<Arc<str>>,
    kinds: Kinds,
    /// Sources that this round has not finished.
    round: Vec<Arc<str>>,
    /// Whether this round found something; the first one is begun as if it had.
    found: bool,
    is_over: bool,
    /// The time of the last envelope of each source that was read here.
    read: HashMap<Arc<str>, i64>,
}

/// A part of the backlog.
#[derive(Debug)]
pub(super) enum Part {
    /// Envelopes of one source, in order.
    Envelopes(Vec<Item>),
    /// The store has no more what is between these times.
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
            round: Vec::new(),
            found: true,
            is_over: false,
            read: HashMap::new(),
        }
    }

    /// The next part; `None` when everything else comes from the live queue.
    pub(super) async fn next(
        &mut self,
        logs: &Logs,
        live: &Subscription,
        progress: &Progress,
    ) -> Option<Part> {
        while !self.is_over {
            let Some(source_id) = self.round.last().cloned() else {
                self.begin_round(logs, live, progress);
                continue;
            };
            let from = self.position(&source_id, progress);
            let totals = logs.sources().totals_of(&source_id);
            if let Some(totals) = totals.filter(|all| all.expired > 0 && all.oldest > from + 1) {
                self.read.insert(source_id.clone(), totals.oldest - 1);
                let until = totals.oldest;
                return Some(Part::Gap {
                    source_id,
                    from,
                    until,
                });
            }
            let query = Query {
                start: from.saturating_add(1),
                limit: PAGE,
                kinds: self.kinds,
                ..Query::default()
            };
            let page = match logs.read(&source_id, query).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%source_id, %error, "cannot read stored log lines for a drain");
                    Vec::new()
                }
            };
            let Some(last) = page.last() else {
                self.round.pop();
                continue;
            };
            self.found = true;
            self.read.insert(source_id, last.timestamp);
            let page = page.into_iter().map(|one| Item::Envelope(Arc::new(one)));
            return Some(Part::Envelopes(page.collect()));
        }
        None
    }

    /// Whether an envelope of the live queue was sent from here already.
    pub(super) fn has_sent(&self, envelope: &Envelope) -> bool {
        let read = self.read.get(&envelope.source_id);
        read.is_some_and(|read| envelope.timestamp <= *read)
    }

    fn begin_round(&mut self, logs: &Logs, live: &Subscription, progress: &Progress) {
        if !std::mem::take(&mut self.found) {
            self.is_over = true;
            return;
        }
        // Whatever is in the queue is stored: the pages of this round have it.
        while !live.take(usize::MAX).is_empty() {}
        let all = match &self.source_id {
            Some(source_id) => {
                let totals = logs.sources().totals_of(source_id);
                totals
                    .map(|totals| (source_id.clone(), totals))
                    .into_iter()
                    .collect()
            }
            None => logs.sources().totals(),
        };
        let newer = all
            .into_iter()
            .filter(|(source_id, totals)| totals.newest > self.position(source_id, progress));
        self.round = newer.map(|(source_id, _)| source_id).collect();
    }

    fn position(&self, source_id: &Arc<str>, progress: &Progress) -> i64 {
        let read = self.read.get(source_id).copied();
        read.unwrap_or_else(|| progress.position(source_id))
    }
}
