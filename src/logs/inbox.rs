//! A bounded queue between all log producers and the single writer.
//!
//! The platform's own lines never block: if the queue is full, they are dropped, counted and
//! reported. Lines from Docker wait while it is half full, because Docker keeps them; so a chatty
//! app cannot displace the platform's own lines.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::cursor::Cursor;
use super::envelope::{LogStream, Message, Tags};

const MAX_ENTRIES: usize = 16_384;
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Above these sizes the writer does not wait for more.
const URGENT_ENTRIES: usize = 4096;
const URGENT_BYTES: usize = 1024 * 1024;

/// A log entry before it has its final timestamp.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source_id: Arc<str>,
    /// When it was written, in nanoseconds.
    pub(super) at: i64,
    pub(super) origin: Arc<Origin>,
    /// Tags of this entry alone, which others of its origin do not share.
    pub(super) own: Tags,
    pub(super) message: Message,
}

impl Entry {
    /// A rough estimate of its memory use.
    pub(super) fn size_estimate(&self) -> usize {
        let tags = self.own.iter();
        let own: usize = tags.map(|(tag, value)| tag.len() + value.len() + 48).sum();
        self.message.size_estimate() + own
    }
}

/// Its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) instance_id: Arc<str>,
    pub(super) source_type: Option<String>,
    pub(super) tags: Tags,
}

/// One output of one container.
pub(super) type Output = (Arc<str>, LogStream);

/// A batch taken from the queue, to be stored in one transaction.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    pub(super) cursors: HashMap<Output, Cursor>,
    /// Dropped own lines per source.
    pub(super) lost: BTreeMap<Arc<str>, u64>,
    pub(super) forgotten_sources: Vec<Arc<str>>,
    pub(super) forgotten_containers: Vec<Arc<str>>,
    /// How many times something was queued so far.
    pub(super) sequence: u64,
    bytes: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Taken>,
    /// Notified when there is something to store.
    pub(super) filled: Notify,
    /// Notified when a lot is queued, or when a caller waits for it.
    pub(super) urgent: Notify,
    room: Notify,
}

impl Inbox {
    /// Queues an own entry, or counts it as lost.
    pub(super) fn offer(&self, entry: Entry) {
        let mut waiting = self.lock();
        if waiting.entries.len() >= MAX_ENTRIES || waiting.bytes >= MAX_BYTES {
            *waiting.lost.entry(entry.source_id).or_default() += 1;
            return;
        }
        waiting.push(entry);
        self.wake(waiting);
    }

    /// Queues an own entry that is worth less than a line: only while there is much room.
    pub(super) fn offer_if_quiet(&self, entry: Entry) {
        let mut waiting = self.lock();
        if waiting.entries.len() >= URGENT_ENTRIES || waiting.bytes >= URGENT_BYTES {
            return;
        }
        waiting.push(entry);
        self.wake(waiting);
    }

    /// Queues entries from a container with their cursors, as soon as there is room.
    pub(super) async fn put(&self, entries: Vec<Entry>, cursors: Vec<(Output, Cursor)>) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut waiting = self.lock();
                if waiting.entries.len() < MAX_ENTRIES / 2 && waiting.bytes < MAX_BYTES / 2 {
                    for entry in entries {
                        waiting.push(entry);
                    }
                    waiting.cursors.extend(cursors);
                    self.wake(waiting);
                    return;
                }
            }
            room.await;
        }
    }

    /// Requests the removal of a source.
    pub(super) fn forget_source(&self, source_id: &str) {
        let mut waiting = self.lock();
        waiting
            .entries
            .retain(|entry| &*entry.source_id != source_id);
        waiting.forgotten_sources.push(source_id.into());
        self.wake(waiting);
    }

    /// Requests the removal of a container's cursors.
    pub(super) fn forget_container(&self, container_id: &Arc<str>) {
        let mut waiting = self.lock();
        waiting.cursors.retain(|(id, _), _| id != container_id);
        waiting.forgotten_containers.push(container_id.clone());
        self.wake(waiting);
    }

    /// Takes everything that is queued.
    pub(super) fn take(&self) -> Taken {
        let mut waiting = self.lock();
        let next = Taken {
            sequence: waiting.sequence,
            ..Taken::default()
        };
        let taken = std::mem::replace(&mut *waiting, next);
        drop(waiting);
        self.room.notify_waiters();
        taken
    }

    /// How many times something was queued so far.
    pub(super) fn sequence(&self) -> u64 {
        self.lock().sequence
    }

    fn wake(&self, mut waiting: MutexGuard<'_, Taken>) {
        waiting.sequence += 1;
        let many = waiting.entries.len() >= URGENT_ENTRIES || waiting.bytes >= URGENT_BYTES;
        drop(waiting);
        self.filled.notify_one();
        if many {
            self.urgent.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.size_estimate();
        self.entries.push(entry);
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.cursors.is_empty()
            && self.lost.is_empty()
            && self.forgotten_sources.is_empty()
            && self.forgotten_containers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn entry(text: &'static str) -> Entry {
        Entry {
            source_id: "s".into(),
            at: 1,
            origin: Arc::new(Origin {
                instance_id: "0".into(),
                source_type: None,
                tags: Tags::new(),
            }),
            own: Tags::new(),
            message: Message::Log {
                payload: text.into(),
                stream: LogStream::Out,
            },
        }
    }

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|_| entry("x")).collect()
    }

    #[tokio::test]
    async fn container_lines_wait_while_own_lines_still_fit() {
        let inbox = Inbox::default();
        inbox.put(entries(MAX_ENTRIES / 2), Vec::new()).await;
        let cursor = (("c".into(), LogStream::Out), Cursor::default());
        let mut waits = Box::pin(inbox.put(entries(1), vec![cursor]));
        assert!((&mut waits).now_or_never().is_none());
        inbox.offer(entry("own"));
        let taken = inbox.take();
        assert_eq!(taken.entries.len(), MAX_ENTRIES / 2 + 1);
        assert!(taken.cursors.is_empty());
        assert!(waits.now_or_never().is_some());
        let taken = inbox.take();
        assert_eq!((taken.entries.len(), taken.cursors.len()), (1, 1));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn own_lines_dropped_by_a_full_queue_are_counted() {
        let inbox = Inbox::default();
        for _ in 0..MAX_ENTRIES + 3 {
            inbox.offer(entry("x"));
        }
        let taken = inbox.take();
        assert_eq!(taken.entries.len(), MAX_ENTRIES);
        assert_eq!(taken.lost.get("s"), Some(&3));
    }
}
