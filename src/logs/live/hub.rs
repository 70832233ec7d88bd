//! All consumers, and the blocks that wait to be given to them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::{Bounds, Queue};
use super::{MAX_CLIENTS, PATIENCE, TooManyStreams, Wanted, shard};
use crate::db::DbError;
use crate::logs::Query;
use crate::logs::envelope::Envelope;
use crate::logs::segment::Segment;
use crate::logs::sources::Stored;

/// Bytes of blocks that wait for the worker.
const MAX_INPUT: usize = 16 << 20;

/// New blocks of a source.
pub(super) struct Published {
    pub(super) source_id: Arc<str>,
    segments: Vec<Segment>,
    /// Everything before was published earlier.
    fresh_from: i64,
    /// How many envelopes are new.
    count: u64,
}

#[derive(Default)]
struct Input {
    waiting: VecDeque<Published>,
    bytes: usize,
    /// Envelopes of blocks for which there was no room.
    lost: HashMap<Arc<str>, u64>,
}

/// All consumers.
#[derive(Default)]
pub(in crate::logs) struct Hub {
    input: Mutex<Input>,
    pub(super) filled: Notify,
    groups: Mutex<HashMap<Group, Vec<Arc<Member>>>>,
    members: AtomicUsize,
    clients: AtomicUsize,
    next_id: AtomicU64,
    closed: CancellationToken,
}

/// Members of one group share the flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Group {
    Alone(u64),
    Shard {
        consumer: &'static str,
        /// Consumers of single sources never take envelopes from those of all sources, who may have
        /// other rights.
        of_all_sources: bool,
        id: String,
    },
}

/// One consumer.
#[derive(Debug)]
pub(super) struct Member {
    id: u64,
    wanted: Wanted,
    queue: Mutex<Queue>,
    /// Notified when there is something to take.
    pub(super) filled: Notify,
    pub(super) closed: CancellationToken,
}

impl Member {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deterministic_name(&self) -> Option<&str> {
        let shard = self.wanted.shard.as_ref()?;
        shard.deterministic_name.as_deref()
    }
}

impl Hub {
    /// Hands over what was stored; never blocks.
    pub(in crate::logs) fn offer(&self, stored: &Stored) {
        if self.members.load(Ordering::Relaxed) == 0 {
            return;
        }
        let published = Published {
            source_id: stored.source_id.clone(),
            segments: stored.segments.clone(),
            fresh_from: stored.fresh_from,
            count: stored.fresh_count as u64,
        };
        let mut input = self.input();
        input.bytes += published.bytes();
        input.waiting.push_back(published);
        while input.bytes > MAX_INPUT
            && let Some(dropped) = input.waiting.pop_front()
        {
            input.bytes -= dropped.bytes();
            *input.lost.entry(dropped.source_id).or_default() += dropped.count;
        }
        drop(input);
        self.filled.notify_one();
    }

    /// Adds a consumer.
    pub(super) fn add(&self, wanted: Wanted) -> Result<Arc<Member>, TooManyStreams> {
        if wanted.is_client && self.clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
            self.clients.fetch_sub(1, Ordering::Relaxed);
            return Err(TooManyStreams);
        }
        self.members.fetch_add(1, Ordering::Relaxed);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let group = match &wanted.shard {
            None => Group::Alone(id),
            Some(shard) => Group::Shard {
                consumer: wanted.name,
                of_all_sources: wanted.selection.sources.is_none(),
                id: shard.id.clone(),
            },
        };
        let member = Arc::new(Member {
            id,
            wanted,
            queue: Mutex::new(Queue::new(Bounds::CONSUMER)),
            filled: Notify::new(),
            closed: self.closed.child_token(),
        });
        self.groups().entry(group).or_default().push(member.clone());
        Ok(member)
    }

    /// Closes every consumer; the platform stops.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Group, Vec<Arc<Member>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_input(&self) -> Option<Published> {
        let mut input = self.input();
        let next = input.waiting.pop_front()?;
        input.bytes -= next.bytes();
        Some(next)
    }

    pub(super) fn report_lost_input(&self) {
        let lost = std::mem::take(&mut self.input().lost);
        for (source_id, count) in lost {
            let groups = self.groups();
            let all = groups.values().flatten();
            for member in all.filter(|one| one.wanted.selection.admits_source(&source_id)) {
                member.queue().lose(count);
            }
        }
    }

    /// Gives new envelopes to those who want them.
    pub(super) fn deliver(&self, published: &Published) -> Result<(), DbError> {
        let groups: Vec<Vec<Arc<Member>>> = {
            let groups = self.groups();
            let wanting = groups.values().map(|members| {
                let wanting = members.iter().filter(|one| one.wants_some_of(published));
                wanting.cloned().collect::<Vec<_>>()
            });
            wanting.filter(|members| !members.is_empty()).collect()
        };
        if groups.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let fresh = Query {
            start: published.fresh_from,
            limit: usize::MAX,
            ..Query::default()
        };
        let mut envelopes = Vec::new();
        for segment in &published.segments {
            segment.select(&published.source_id, &fresh, &mut envelopes)?;
        }
        let mut turn = usize::try_from(self.next_id.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
        for envelope in envelopes {
            let envelope = Arc::new(envelope);
            for members in &groups {
                give(members, &envelope, turn, now);
            }
            turn = turn.wrapping_add(1);
        }
        for member in groups.iter().flatten() {
            member.filled.notify_one();
        }
        Ok(())
    }

    /// Closes clients that take nothing. Their connections may last longer; they keep no place and
    /// no envelopes.
    pub(super) fn close_stalled(&self, now: Instant) {
        let is_stalled = |member: &&Arc<Member>| {
            member.wanted.is_client && member.queue().is_stalled(PATIENCE, now)
        };
        let stalled: Vec<Arc<Member>> = {
            let groups = self.groups();
            let members = groups.values().flatten();
            members.filter(is_stalled).cloned().collect()
        };
        for member in stalled {
            tracing::info!(
                consumer = member.wanted.name,
                "slow log consumer disconnected"
            );
            self.remove(&member);
            member.closed.cancel();
            member.queue().clear();
        }
    }

    /// How many consumers there are.
    #[cfg(test)]
    pub(in crate::logs) fn len(&self) -> usize {
        self.members.load(Ordering::Relaxed)
    }

    /// Removes a consumer, unless it was removed before.
    pub(super) fn remove(&self, member: &Arc<Member>) {
        let mut was_here = false;
        let mut groups = self.groups();
        groups.retain(|_, members| {
            let before = members.len();
            members.retain(|one| one.id != member.id);
            was_here |= members.len() < before;
            !members.is_empty()
        });
        drop(groups);
        if !was_here {
            return;
        }
        self.members.fetch_sub(1, Ordering::Relaxed);
        if member.wanted.is_client {
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Member {
    fn wants_some_of(&self, published: &Published) -> bool {
        let selection = &self.wanted.selection;
        let kinds = selection.kinds();
        selection.admits_source(&published.source_id)
            && !self.closed.is_cancelled()
            && published
                .segments
                .iter()
                .any(|one| one.kinds.intersects(kinds))
    }
}

impl Published {
    fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.body.len()).sum()
    }
}

/// Gives an envelope to one of those members who want it.
fn give(members: &[Arc<Member>], envelope: &Arc<Envelope>, turn: usize, now: Instant) {
    if let [only] = members {
        if only.wanted.selection.admits(envelope) {
            only.queue().push(envelope.clone(), now);
        }
        return;
    }
    let wanting: Vec<&Arc<Member>> = members
        .iter()
        .filter(|one| one.wanted.selection.admits(envelope))
        .collect();
    let names: Vec<Option<&str>> = wanting.iter().map(|one| one.deterministic_name()).collect();
    if let Some(chosen) = shard::choose(&envelope.message, &names, turn) {
        wanting[chosen].queue().push(envelope.clone(), now);
    }
}
