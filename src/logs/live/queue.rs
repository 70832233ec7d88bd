//! The bounded queue of one consumer, without waiting or locks.
//!
//! A full queue drops its oldest envelopes. They were in front of everything that is left, so the
//! loss is reported before the next envelope: there the gap is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::logs::envelope::Envelope;

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) envelopes: usize,
    pub(super) bytes: usize,
}

impl Bounds {
    /// As many envelopes as Cloud Foundry keeps for a consumer; long lines fill it earlier.
    pub(super) const CONSUMER: Self = Self {
        envelopes: 10_000,
        bytes: 8 << 20,
    };
}

/// About how many bytes are taken at once, unless one envelope has more.
const MOST_TAKEN: usize = 512 << 10;
/// What a tag takes besides its letters.
const TAG: usize = 48;

/// What a consumer gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An envelope.
    Envelope(Arc<Envelope>),
    /// Envelopes that it did not get, since it read too slowly.
    Lost(Loss),
}

/// How many envelopes a consumer lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Since the last report.
    pub since: u64,
    /// In total.
    pub total: u64,
}

/// An envelope in a queue.
#[derive(Debug)]
struct Waiting {
    envelope: Arc<Envelope>,
    /// What it counts.
    bytes: usize,
}

/// The queue of one consumer.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    lost: u64,
    lost_in_total: u64,
    /// Since when something waits without being taken.
    waits_since: Option<Instant>,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            bytes: 0,
            lost: 0,
            lost_in_total: 0,
            waits_since: None,
        }
    }

    /// Adds an envelope; the oldest go when there is no room.
    pub(super) fn push(&mut self, envelope: Arc<Envelope>, now: Instant) {
        let before = self.waiting.back().map(|before| &*before.envelope);
        let bytes = size(&envelope, before);
        self.bytes += bytes;
        self.waiting.push_back(Waiting { envelope, bytes });
        self.waits_since.get_or_insert(now);
        while self.waiting.len() > self.bounds.envelopes
            || (self.bytes > self.bounds.bytes && self.waiting.len() > 1)
        {
            self.drop_oldest();
            self.lose(1);
        }
    }

    /// Counts envelopes that never came here.
    pub(super) fn lose(&mut self, count: u64) {
        self.lost += count;
        self.lost_in_total += count;
    }

    /// Takes at most `limit` items and not many more than [`MOST_TAKEN`] bytes, oldest first.
    pub(super) fn take(&mut self, limit: usize, now: Instant) -> Vec<Item> {
        let mut taken = Vec::with_capacity(limit.min(self.waiting.len() + 1));
        taken.extend(self.take_loss().map(Item::Lost));
        let mut bytes = 0;
        while taken.len() < limit
            && bytes < MOST_TAKEN
            && let Some(oldest) = self.drop_oldest()
        {
            bytes += oldest.bytes;
            taken.push(Item::Envelope(oldest.envelope));
        }
        self.waits_since = (!self.waiting.is_empty()).then_some(now);
        taken
    }

    /// Forgets everything; nobody will take it.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.bounds);
    }

    /// The loss that was not reported yet.
    pub(super) fn take_loss(&mut self) -> Option<Loss> {
        let since = std::mem::take(&mut self.lost);
        (since > 0).then_some(Loss {
            since,
            total: self.lost_in_total,
        })
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// Whether something waits for longer than `patience`.
    pub(super) fn is_stalled(&self, patience: Duration, now: Instant) -> bool {
        let since = self.waits_since;
        since.is_some_and(|since| now.duration_since(since) > patience)
    }

    fn drop_oldest(&mut self) -> Option<Waiting> {
        let oldest = self.waiting.pop_front()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }
}

/// What an envelope counts behind another one; tags that it shares with that one are counted there.
fn size(envelope: &Envelope, before: Option<&Envelope>) -> usize {
    let tags = &envelope.tags;
    let shared = before.is_some_and(|before| Arc::ptr_eq(&before.tags, tags));
    let own: usize = if shared {
        0
    } else {
        let each = |(name, value): (&String, &String)| name.len() + value.len() + TAG;
        tags.iter().map(each).sum()
    };
    envelope.message.size_estimate() + own
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::envelope::Tags;
    use crate::logs::live::testing::line;

    const SMALL: Bounds = Bounds {
        envelopes: 3,
        bytes: 10_000,
    };

    fn shown(items: &[Item]) -> Vec<String> {
        let show = |item: &Item| match item {
            Item::Envelope(envelope) => envelope.timestamp.to_string(),
            Item::Lost(loss) => format!("-{}/{}", loss.since, loss.total),
        };
        items.iter().map(show).collect()
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest_and_says_so_where_the_gap_is() {
        let now = Instant::now();
        let mut queue = Queue::new(SMALL);
        let fill = |queue: &mut Queue, times: std::ops::Range<i64>| {
            times.for_each(|at| queue.push(line(at, "x"), now));
        };
        fill(&mut queue, 0..5);
        assert_eq!(shown(&queue.take(2, now)), ["-2/2", "2"]);
        assert_eq!(shown(&queue.take(9, now)), ["3", "4"]);
        assert!(queue.is_empty());
        fill(&mut queue, 5..9);
        assert_eq!(shown(&queue.take(9, now)), ["-1/3", "6", "7", "8"]);
        queue.lose(4);
        assert!(!queue.is_empty());
        assert_eq!(shown(&queue.take(9, now)), ["-4/7"]);
        assert_eq!(queue.take_loss(), None);
    }

    #[tokio::test]
    async fn long_lines_fill_a_queue_earlier_but_one_always_fits() {
        let now = Instant::now();
        let mut queue = Queue::new(SMALL);
        queue.push(line(0, &"x".repeat(20_000)), now);
        queue.push(line(1, &"x".repeat(20_000)), now);
        assert_eq!(shown(&queue.take(9, now)), ["-1/1", "1"]);
    }

    #[tokio::test]
    async fn tags_count_once_for_those_that_share_them() {
        let tags = Tags::from([("name".to_owned(), "x".repeat(4000))]);
        let tags = Arc::new(tags);
        let tagged = |at: i64, tags: &Arc<Tags>| {
            let mut envelope = (*line(at, "x")).clone();
            envelope.tags = tags.clone();
            Arc::new(envelope)
        };
        let now = Instant::now();
        let mut queue = Queue::new(SMALL);
        (0..3).for_each(|at| queue.push(tagged(at, &tags), now));
        assert_eq!(shown(&queue.take(9, now)), ["0", "1", "2"]);
        let copy = |at: i64| tagged(at, &Arc::new((*tags).clone()));
        (3..6).for_each(|at| queue.push(copy(at), now));
        assert_eq!(shown(&queue.take(9, now)), ["-1/1", "4", "5"]);
    }

    #[tokio::test]
    async fn not_everything_is_taken_at_once() {
        let now = Instant::now();
        let mut queue = Queue::new(Bounds::CONSUMER);
        let long = "x".repeat(MOST_TAKEN / 2);
        (0..5).for_each(|at| queue.push(line(at, &long), now));
        assert_eq!(shown(&queue.take(9, now)), ["0", "1"]);
        queue.clear();
        assert!(queue.is_empty() && !queue.is_stalled(Duration::ZERO, now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_stalled_when_nothing_is_taken() {
        let patience = Duration::from_secs(6);
        let begun = Instant::now();
        let mut queue = Queue::new(SMALL);
        assert!(!queue.is_stalled(patience, begun + patience * 2));
        queue.push(line(0, "x"), begun);
        queue.push(line(1, "x"), begun + patience);
        assert!(!queue.is_stalled(patience, begun + patience));
        assert!(queue.is_stalled(patience, begun + patience * 2));
        queue.take(1, begun + patience * 2);
        assert!(!queue.is_stalled(patience, begun + patience * 2));
        queue.take(1, begun + patience * 2);
        assert!(!queue.is_stalled(patience, begun + patience * 9));
    }

    proptest! {
        /// What is taken and what is reported as lost is everything, in order.
        #[test]
        fn nothing_is_lost_in_silence(steps in prop::collection::vec((0_usize..8, 0_usize..5), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let _inside = runtime.enter();
            let now = Instant::now();
            let mut queue = Queue::new(SMALL);
            let (mut pushed, mut next) = (0, 0);
            for (push, take) in steps {
                for _ in 0..push {
                    queue.push(line(pushed, "x"), now);
                    pushed += 1;
                }
                for item in queue.take(take, now) {
                    match item {
                        Item::Lost(loss) => next += i64::try_from(loss.since).expect("small"),
                        Item::Envelope(envelope) => {
                            prop_assert_eq!(envelope.timestamp, next);
                            next += 1;
                        }
                    }
                }
            }
            let rest = queue.take(usize::MAX, now);
            let rest: i64 = rest.iter().map(|item| match item {
                Item::Lost(loss) => i64::try_from(loss.since).expect("small"),
                Item::Envelope(_) => 1,
            }).sum();
            prop_assert_eq!(next + rest, pushed);
        }
    }
}
