//! What waits to be stored: a bounded queue between all who log and the one writer.
//!
//! Own lines are never waited for: when the queue is full they are counted and reported. Lines from
//! Docker wait while it is half full, because Docker keeps them for us; so a chatty app cannot crowd
//! out the platform's own lines.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::cursor::Cursor;
use super::envelope::{LogStream, Message, Tags};

const MOST_ENTRIES: usize = 16_384;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// From here on the writer does not wait for more.
const MANY_ENTRIES: usize = 4096;
const MANY_BYTES: usize = 1024 * 1024;

/// Something logged, before it has its final time.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source_id: Arc<str>,
    /// When it was written, in nanoseconds.
    pub(super) at: i64,
    pub(super) origin: Arc<Origin>,
    pub(super) message: Message,
}

/// Who wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) instance_id: Arc<str>,
    pub(super) source_type: Option<String>,
    pub(super) tags: Tags,
}

/// One output of one container.
pub(super) type Output = (Arc<str>, LogStream);

/// Everything taken out at once, to be stored in one transaction.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    pub(super) cursors: HashMap<Output, Cursor>,
    /// Own lines per source that found no room.
    pub(super) lost: BTreeMap<Arc<str>, u64>,
    pub(super) forgotten_sources: Vec<Arc<str>>,
    pub(super) forgotten_containers: Vec<Arc<str>>,
    /// How many times something was put in so far.
    pub(super) sequence: u64,
    bytes: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Taken>,
    /// There is something to store.
    pub(super) filled: Notify,
    /// There is so much to store, or somebody waits for it, that it should be done now.
    pub(super) urgent: Notify,
    room: Notify,
}

impl Inbox {
    /// Puts an own entry in, or counts it as lost.
    pub(super) fn offer(&self, entry: Entry) {
        let mut waiting = self.lock();
        if waiting.entries.len() >= MOST_ENTRIES || waiting.bytes >= MOST_BYTES {
            *waiting.lost.entry(entry.source_id).or_default() += 1;
            return;
        }
        waiting.push(entry);
        self.wake(waiting);
    }

    /// Puts what was read from a container in, with how far it was read, as soon as there is room.
    pub(super) async fn put(&self, entries: Vec<Entry>, cursors: Vec<(Output, Cursor)>) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut waiting = self.lock();
                if waiting.entries.len() < MOST_ENTRIES / 2 && waiting.bytes < MOST_BYTES / 2 {
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

    /// Has everything of a source removed.
    pub(super) fn forget_source(&self, source_id: &str) {
        let mut waiting = self.lock();
        waiting
            .entries
            .retain(|entry| &*entry.source_id != source_id);
        waiting.forgotten_sources.push(source_id.into());
        self.wake(waiting);
    }

    /// Has the cursors of a removed container removed.
    pub(super) fn forget_container(&self, container_id: &Arc<str>) {
        let mut waiting = self.lock();
        waiting.cursors.retain(|(id, _), _| id != container_id);
        waiting.forgotten_containers.push(container_id.clone());
        self.wake(waiting);
    }

    /// Everything that waits.
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

    /// How many times something was put in so far.
    pub(super) fn sequence(&self) -> u64 {
        self.lock().sequence
    }

    fn wake(&self, mut waiting: MutexGuard<'_, Taken>) {
        waiting.sequence += 1;
        let many = waiting.entries.len() >= MANY_ENTRIES || waiting.bytes >= MANY_BYTES;
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
        self.bytes += entry.message.weight();
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
    async fn dockers_lines_wait_while_own_lines_still_find_room() {
        let inbox = Inbox::default();
        inbox.put(entries(MOST_ENTRIES / 2), Vec::new()).await;
        let cursor = (("c".into(), LogStream::Out), Cursor::default());
        let mut waits = Box::pin(inbox.put(entries(1), vec![cursor]));
        assert!((&mut waits).now_or_never().is_none());
        inbox.offer(entry("own"));
        let taken = inbox.take();
        assert_eq!(taken.entries.len(), MOST_ENTRIES / 2 + 1);
        assert!(taken.cursors.is_empty());
        assert!(waits.now_or_never().is_some());
        let taken = inbox.take();
        assert_eq!((taken.entries.len(), taken.cursors.len()), (1, 1));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn own_lines_that_find_no_room_are_counted() {
        let inbox = Inbox::default();
        for _ in 0..MOST_ENTRIES + 3 {
            inbox.offer(entry("x"));
        }
        let taken = inbox.take();
        assert_eq!(taken.entries.len(), MOST_ENTRIES);
        assert_eq!(taken.lost.get("s"), Some(&3));
    }
}
