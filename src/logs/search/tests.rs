//! Searches in a real store.

use std::time::Duration;

use regex::bytes::Regex;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Clock, Supervisor, Timestamp};
use crate::db::Db;
use crate::logs::{Line, LogStream, Message};

const SECOND: i64 = 1_000_000_000;
const BEGIN: i64 = 1_700_000_000 * SECOND;

struct Store {
    _dir: tempfile::TempDir,
    _supervisor: Supervisor,
    clock: ManualClock,
    logs: Logs,
}

impl Store {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = ManualClock::new(Timestamp::from_micros(BEGIN / 1000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let logs = Logs::open(db, shared).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        Self {
            _dir: dir,
            _supervisor: supervisor,
            clock,
            logs,
        }
    }

    /// One line a second, of two sources in turn.
    async fn lines(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.logs.emit(Line {
                source_id: ["web", "api"][number % 2],
                source_type: ["APP/PROC/WEB", "RTR"][number / 2 % 2],
                instance_id: "0",
                stream: LogStream::Out,
                text: &number.to_string(),
            });
            self.clock.advance(Duration::from_secs(1));
        }
        self.logs.flush().await;
    }

    async fn found(&self, search: Search) -> Vec<usize> {
        let mut results = self.logs.search(search).await.expect("results");
        let mut found = Vec::new();
        while let Some(lines) = results.next().await.expect("lines") {
            found.extend(lines.iter().map(number));
        }
        found
    }
}

fn number(envelope: &Envelope) -> usize {
    let Message::Log { payload, .. } = &envelope.message else {
        panic!("no line: {envelope:?}");
    };
    std::str::from_utf8(payload)
        .expect("text")
        .parse()
        .expect("a number")
}

fn all() -> Search {
    Search {
        sources: None,
        filter: Filter::default(),
        since: i64::MIN,
        until: i64::MAX,
        last: None,
        follow: false,
        bounds: Bounds::default(),
    }
}

#[tokio::test]
async fn sources_are_merged_in_order_of_time() {
    let store = Store::start().await;
    store.lines(0..1500).await;
    assert!(store.found(all()).await.into_iter().eq(0..1500));
    let one = Search {
        sources: Some(vec!["api".into(), "unknown".into()]),
        ..all()
    };
    assert!(
        store
            .found(one.clone())
            .await
            .into_iter()
            .eq((0..1500).filter(|n| n % 2 == 1))
    );
    let last = Search {
        last: Some(700),
        ..all()
    };
    assert!(store.found(last).await.into_iter().eq(800..1500));
    let last = Search {
        last: Some(2),
        ..one
    };
    assert_eq!(store.found(last).await, [1497, 1499]);
}

#[tokio::test]
async fn text_source_and_time_narrow_a_search() {
    let store = Store::start().await;
    store.lines(0..500).await;
    let between = Search {
        since: BEGIN + 100 * SECOND,
        until: BEGIN + 104 * SECOND,
        ..all()
    };
    assert_eq!(store.found(between).await, [100, 101, 102, 103]);
    let filtered = Search {
        filter: Filter {
            grep: Some(Regex::new("^4.1$").expect("a pattern")),
            not: Some(Regex::new("45").expect("a pattern")),
            source_types: vec!["app".to_owned()],
            ..Filter::default()
        },
        ..all()
    };
    let expected = [401, 421, 441, 461, 481];
    assert_eq!(store.found(filtered.clone()).await, expected);
    let last = Search {
        last: Some(2),
        ..filtered
    };
    assert_eq!(store.found(last).await, expected[3..]);
}

#[tokio::test]
async fn a_search_ends_at_its_bounds_and_says_where() {
    let store = Store::start().await;
    store.lines(0..1000).await;
    let bounds = |looked, bytes| Bounds { looked, bytes };
    let unlimited = usize::MAX;
    let fives = |numbers: std::ops::Range<usize>| numbers.skip(5).step_by(10).collect();
    // Of 100 lines it found 10; another page begins where it ended.
    let (looked, read) = (bounds(100, unlimited), bounds(unlimited, 7));
    let (all_looked, none) = (bounds(1000, unlimited), Bounds::default());
    let cases: [(_, _, Vec<usize>, _); 6] = [
        (
            Some(500),
            looked,
            fives(900..1000),
            Some((900, StopBy::Looked)),
        ),
        (None, looked, fives(0..100), Some((99, StopBy::Looked))),
        (
            Some(500),
            read,
            fives(970..1000),
            Some((975, StopBy::Bytes)),
        ),
        (Some(1), none, vec![995], Some((995, StopBy::Count))),
        (Some(500), all_looked, fives(0..1000), None),
        (None, all_looked, fives(0..1000), None),
    ];
    let pattern = Regex::new("^[0-9]*5$").expect("a pattern");
    for (last, bounds, found, stop) in cases {
        let search = Search {
            filter: Filter {
                grep: Some(pattern.clone()),
                ..Filter::default()
            },
            last,
            bounds,
            ..all()
        };
        let mut results = store.logs.search(search).await.expect("results");
        let mut numbers = Vec::new();
        while let Some(lines) = results.next().await.expect("lines") {
            numbers.extend(lines.iter().map(number));
        }
        assert_eq!(numbers, found, "{last:?} {bounds:?}");
        let stop = stop.map(|(number, by)| Stop {
            at: BEGIN + number * SECOND,
            by,
        });
        assert_eq!(results.stop(), stop, "{last:?} {bounds:?}");
    }
}

#[tokio::test]
async fn who_follows_gets_the_history_and_then_each_new_line_once() {
    for last in [None, Some(3)] {
        let store = Store::start().await;
        store.lines(0..10).await;
        let search = Search {
            last,
            follow: true,
            sources: Some(vec!["web".into()]),
            ..all()
        };
        let mut results = store.logs.search(search).await.expect("results");
        // New before the history was read to its end.
        store.lines(10..20).await;
        let mut found = Vec::new();
        while found.last().is_none_or(|last| *last < 18) {
            let lines = tokio::time::timeout(Duration::from_secs(20), results.next()).await;
            let lines = lines.expect("in time").expect("lines").expect("more");
            found.extend(lines.iter().map(number));
        }
        let first = last.map_or(0, |_| 4);
        assert!(
            found.iter().copied().eq((first..20).step_by(2)),
            "{found:?}"
        );
    }
}
