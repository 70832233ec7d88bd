//! The in-memory state of every source: totals, the newest timestamp, and the tail of its segments,
//! bounded per source and in total.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::query::Query;
use super::segment::{self, Segment};
use super::store::Totals;

/// This many small segments at the end of a source are merged into one.
pub(super) const MERGE_AT: usize = 32;

/// How much is kept in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryLimits {
    pub(super) source_count: usize,
    pub(super) source_bytes: usize,
    pub(super) total_bytes: usize,
}

/// All sources.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_id: HashMap<Arc<str>, Source>,
    /// Bytes of all tails.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Source {
    totals: Totals,
    tail: VecDeque<Segment>,
    tail_count: usize,
    tail_bytes: usize,
}

/// A snapshot for a reader.
#[derive(Debug)]
pub(super) struct View {
    pub(super) source_id: Arc<str>,
    /// Segments in memory that can match, oldest first.
    pub(super) segments: Vec<Segment>,
    /// Everything before this time is on disk only.
    pub(super) floor: i64,
    /// Whether possible matches are on disk only.
    pub(super) older_on_disk: bool,
}

/// New segments of a source that are stored on disk.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) source_id: Arc<str>,
    pub(super) segments: Vec<Segment>,
    pub(super) replaced_from: Option<i64>,
    /// The time of the first new envelope: a merged segment has older ones, too.
    pub(super) fresh_from: i64,
    /// The number of new envelopes.
    pub(super) fresh_count: usize,
}

impl Sources {
    /// The state after a restart: totals only.
    pub(super) fn new(known: Vec<(Arc<str>, Totals)>) -> Self {
        let known = known.into_iter().map(|(id, totals)| {
            let source = Source {
                totals,
                ..Source::default()
            };
            (id, source)
        });
        Self {
            by_id: known.collect(),
            bytes: 0,
        }
    }

    /// The newest timestamp of a source.
    pub(super) fn newest(&self, source_id: &str) -> Option<i64> {
        self.by_id.get(source_id).map(|source| source.totals.newest)
    }

    /// Totals of every source.
    pub(super) fn totals(&self) -> Vec<(Arc<str>, Totals)> {
        self.by_id
            .iter()
            .map(|(id, source)| (id.clone(), source.totals.clone()))
            .collect()
    }

    /// Totals of one source.
    pub(super) fn totals_of(&self, source_id: &str) -> Option<Totals> {
        self.by_id
            .get(source_id)
            .map(|source| source.totals.clone())
    }

    /// A snapshot for a reader; `None` for an unknown source.
    pub(super) fn view(&self, source_id: &str, query: &Query) -> Option<View> {
        let (id, source) = self.by_id.get_key_value(source_id)?;
        let floor = source
            .tail
            .front()
            .map_or(i64::MAX, |segment| segment.first);
        let segments = source
            .tail
            .iter()
            .filter(|segment| segment.intersects(query));
        Some(View {
            source_id: id.clone(),
            segments: segments.cloned().collect(),
            floor,
            older_on_disk: source.totals.oldest < floor && query.start < floor,
        })
    }

    /// The small segments at the end of a source, if one more makes them worth merging.
    pub(super) fn mergeable(&self, source_id: &str, next: &Segment) -> Option<Vec<Segment>> {
        let source = self.by_id.get(source_id)?;
        let small = |segment: &Segment| segment.count < MERGE_AT;
        if !small(next) {
            return None;
        }
        let run = source
            .tail
            .iter()
            .rev()
            .take_while(|segment| small(segment));
        let run: Vec<&Segment> = run.take(MERGE_AT - 1).collect();
        let bytes: usize = run.iter().map(|segment| segment.body.len()).sum();
        (run.len() == MERGE_AT - 1 && bytes < segment::MAX_BYTES)
            .then(|| run.into_iter().rev().cloned().collect())
    }

    /// Adds stored segments.
    pub(super) fn publish(&mut self, stored: Stored, limits: MemoryLimits) {
        let source = self.by_id.entry(stored.source_id).or_default();
        if let Some(from) = stored.replaced_from {
            while source
                .tail
                .back()
                .is_some_and(|segment| segment.first >= from)
            {
                if let Some(old) = source.tail.pop_back() {
                    self.bytes -= source.subtract(&old);
                }
            }
        }
        for segment in stored.segments {
            source.tail_count += segment.count;
            source.tail_bytes += segment.body.len();
            self.bytes += segment.body.len();
            source.tail.push_back(segment);
        }
        while source.tail_count > limits.source_count || source.tail_bytes > limits.source_bytes {
            let Some(old) = source.tail.pop_front() else {
                break;
            };
            self.bytes -= source.subtract(&old);
        }
        while self.bytes > limits.total_bytes {
            let largest = self
                .by_id
                .values_mut()
                .max_by_key(|source| source.tail_bytes);
            let Some(source) = largest else { break };
            let Some(old) = source.tail.pop_front() else {
                break;
            };
            self.bytes -= source.subtract(&old);
        }
    }

    /// Sets totals, and evicts segments that were trimmed on disk.
    pub(super) fn set_totals(&mut self, source_id: &Arc<str>, totals: Totals) {
        let source = self.by_id.entry(source_id.clone()).or_default();
        while source
            .tail
            .front()
            .is_some_and(|segment| segment.first < totals.oldest)
        {
            if let Some(old) = source.tail.pop_front() {
                self.bytes -= source.subtract(&old);
            }
        }
        source.totals = totals;
    }

    /// Removes a source.
    pub(super) fn forget(&mut self, source_id: &str) {
        if let Some(source) = self.by_id.remove(source_id) {
            self.bytes -= source.tail_bytes;
        }
    }
}

impl Source {
    fn subtract(&mut self, segment: &Segment) -> usize {
        self.tail_count -= segment.count;
        self.tail_bytes -= segment.body.len();
        segment.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::envelope::Kinds;

    fn segment(first: i64, count: usize, bytes: usize) -> Segment {
        Segment {
            first,
            last: first + i64::try_from(count).expect("small") - 1,
            kinds: Kinds::LOG,
            count,
            body: vec![0; bytes].into(),
        }
    }

    fn stored(source_id: &str, segments: Vec<Segment>) -> Stored {
        Stored {
            source_id: source_id.into(),
            segments,
            replaced_from: None,
            fresh_from: 0,
            fresh_count: 0,
        }
    }

    const LIMITS: MemoryLimits = MemoryLimits {
        source_count: 10,
        source_bytes: 100,
        total_bytes: 150,
    };

    fn firsts(sources: &Sources, source_id: &str) -> Vec<i64> {
        let view = sources.view(source_id, &Query::default()).expect("known");
        view.segments.iter().map(|segment| segment.first).collect()
    }

    #[test]
    fn tails_are_bounded_by_count_bytes_and_together() {
        let mut sources = Sources::default();
        let segments = vec![segment(0, 4, 10), segment(4, 4, 10), segment(8, 4, 10)];
        sources.publish(stored("count", segments), LIMITS);
        assert_eq!(firsts(&sources, "count"), [4, 8]);

        let segments = vec![segment(0, 1, 60), segment(1, 1, 60)];
        sources.publish(stored("bytes", segments), LIMITS);
        assert_eq!(firsts(&sources, "bytes"), [1]);

        sources.publish(
            stored("other", vec![segment(0, 1, 40), segment(1, 1, 50)]),
            LIMITS,
        );
        assert_eq!(firsts(&sources, "other"), [1], "the largest is evicted");
        assert_eq!(sources.bytes, 20 + 60 + 50);
        sources.forget("bytes");
        assert_eq!(sources.bytes, 20 + 50);
        assert!(sources.view("bytes", &Query::default()).is_none());
    }

    #[test]
    fn a_view_shows_whether_older_envelopes_are_on_disk() {
        let mut sources = Sources::default();
        let totals = Totals {
            oldest: 5,
            newest: 30,
            ..Totals::default()
        };
        sources.set_totals(&"s".into(), totals);
        let view = |sources: &Sources, start| {
            let query = Query {
                start,
                ..Query::default()
            };
            let view = sources.view("s", &query).expect("known");
            (view.floor, view.older_on_disk)
        };
        assert_eq!(view(&sources, 0), (i64::MAX, true));
        sources.publish(stored("s", vec![segment(20, 5, 1)]), LIMITS);
        assert_eq!(view(&sources, 0), (20, true));
        assert_eq!(view(&sources, 20), (20, false));
    }

    #[test]
    fn small_segments_are_merged_when_there_are_many() {
        let mut sources = Sources::default();
        let limits = MemoryLimits {
            source_count: 1000,
            ..LIMITS
        };
        let next = segment(900, 1, 1);
        for first in 0..31 {
            assert!(sources.mergeable("s", &next).is_none());
            sources.publish(stored("s", vec![segment(first, 1, 1)]), limits);
        }
        let run = sources.mergeable("s", &next).expect("enough of them");
        assert_eq!((run[0].first, run.len()), (0, MERGE_AT - 1));
        assert!(sources.mergeable("s", &segment(900, 500, 1)).is_none());
        let merged = Stored {
            source_id: "s".into(),
            segments: vec![segment(0, MERGE_AT, 9)],
            replaced_from: Some(0),
            fresh_from: 0,
            fresh_count: 1,
        };
        sources.publish(merged, limits);
        assert_eq!(firsts(&sources, "s"), [0]);
        assert_eq!(sources.bytes, 9);
    }
}
