//! Consumers of a real store.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Supervisor, Timestamp};
use crate::db::Db;
use crate::logs::{Envelope, Kinds, Line, LogStream, Logs, Message};

struct Store {
    _dir: tempfile::TempDir,
    supervisor: Supervisor,
    logs: Logs,
}

impl Store {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let logs = Logs::open(db, Arc::new(clock)).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        Self {
            _dir: dir,
            supervisor,
            logs,
        }
    }

    /// Numbered lines of one source.
    async fn lines(&self, source_id: &str, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.logs.emit(Line {
                source_id,
                source_type: "APP",
                instance_id: "0",
                stream: LogStream::Out,
                text: &number.to_string(),
            });
            // The inbox is bounded, too.
            if number % 5000 == 4999 {
                self.logs.flush().await;
            }
        }
        self.logs.flush().await;
    }

    fn subscribe(&self, selection: Selection) -> Subscription {
        self.logs
            .subscribe(wanted(selection))
            .expect("a subscription")
    }
}

fn wanted(selection: Selection) -> Wanted {
    Wanted {
        name: "test",
        selection,
        shard: None,
        is_client: true,
    }
}

fn text(envelope: &Envelope) -> usize {
    let Message::Log { payload, .. } = &envelope.message else {
        panic!("no line: {envelope:?}");
    };
    std::str::from_utf8(payload)
        .expect("text")
        .parse()
        .expect("a number")
}

/// Reads until so many envelopes came or were lost.
async fn read(subscription: &Subscription, count: usize) -> (Vec<usize>, u64) {
    let (mut read, mut lost) = (Vec::new(), 0);
    while read.len() + usize::try_from(lost).expect("small") < count {
        let items = tokio::time::timeout(Duration::from_secs(30), subscription.next(100)).await;
        for item in items.expect("in time").expect("open") {
            match item {
                Item::Envelope(envelope) => read.push(text(&envelope)),
                Item::Lost(loss) => lost += loss.since,
            }
        }
    }
    (read, lost)
}

#[tokio::test]
async fn a_consumer_gets_what_is_new_and_what_it_wants() {
    let store = Store::start().await;
    store.lines("app", 0..3).await;
    let one = store.subscribe(Selection::of_source("app"));
    let all = store.subscribe(Selection::everything().only(Kinds::LOG));
    let gauges = store.subscribe(Selection::everything().only(Kinds::GAUGE));
    store.lines("other", 3..5).await;
    store.lines("app", 5..8).await;
    assert_eq!(read(&one, 3).await, (vec![5, 6, 7], 0));
    assert_eq!(read(&all, 5).await, (vec![3, 4, 5, 6, 7], 0));
    assert!(gauges.take(9).is_empty());
}

#[tokio::test]
async fn a_slow_consumer_loses_the_oldest_and_slows_nobody() {
    const LINES: usize = 25_000;
    let store = Store::start().await;
    let slow = store.subscribe(Selection::of_source("app"));
    let fast = store.subscribe(Selection::of_source("app"));
    // A slow machine is no slow consumer.
    tokio::time::pause();
    let ((), (all, lost)) = tokio::join!(store.lines("app", 0..LINES), read(&fast, LINES));
    assert_eq!((all.len(), lost), (LINES, 0));
    assert!(all.iter().copied().eq(0..LINES), "in order");
    let first = slow.take(1);
    let expected = (LINES - 10_000) as u64;
    let loss = Loss {
        since: expected,
        total: expected,
    };
    assert_eq!(first, [Item::Lost(loss)]);
    let (rest, _) = read(&slow, 10_000).await;
    assert!(rest.iter().copied().eq(LINES - 10_000..LINES));
}

#[tokio::test]
async fn members_of_a_shard_share_the_flow() {
    let store = Store::start().await;
    let shard = |id: &str| Wanted {
        shard: Some(Shard {
            id: id.to_owned(),
            deterministic_name: None,
        }),
        ..wanted(Selection::everything())
    };
    let subscribe = |id: &str| store.logs.subscribe(shard(id)).expect("a subscription");
    let (a, b, other) = (subscribe("s"), subscribe("s"), subscribe("t"));
    let mut narrow = shard("s");
    narrow.selection = Selection::of_source("app");
    let narrow = store.logs.subscribe(narrow).expect("a subscription");
    store.lines("app", 0..100).await;
    assert_eq!(read(&other, 100).await.0.len(), 100);
    assert_eq!(read(&narrow, 100).await.0.len(), 100, "has other rights");
    let (of_a, of_b) = (read(&a, 50).await.0, read(&b, 50).await.0);
    let mut both: Vec<_> = of_a.into_iter().chain(of_b).collect();
    both.sort_unstable();
    assert!(both.into_iter().eq(0..100));
    drop(a);
    store.lines("app", 100..110).await;
    assert_eq!(read(&b, 10).await.0.len(), 10, "the rest is for the other");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed_but_a_part_of_the_platform_is_not() {
    let store = Store::start().await;
    let client = store.subscribe(Selection::everything());
    let part = Wanted {
        is_client: false,
        ..wanted(Selection::everything())
    };
    let part = store.logs.subscribe(part).expect("a subscription");
    let idle = store.subscribe(Selection::of_source("other"));
    store.lines("app", 0..1).await;
    tokio::time::pause();
    tokio::time::timeout(PATIENCE * 2, client.closed())
        .await
        .expect("closed");
    assert_eq!(client.next(9).await, None);
    assert_eq!(store.logs.hub().len(), 2, "its place is free at once");
    drop(client);
    assert_eq!(store.logs.hub().len(), 2);
    assert_eq!(part.take(9).len(), 1);
    assert!(idle.is_empty());
    tokio::time::resume();
    store.lines("other", 1..2).await;
    assert_eq!(read(&idle, 1).await.0, [1]);
}

#[tokio::test]
async fn clients_are_limited_and_end_with_the_platform() {
    let store = Store::start().await;
    let all: Vec<_> = (0..MAX_CLIENTS)
        .map(|_| store.subscribe(Selection::everything()))
        .collect();
    let refused = store.logs.subscribe(wanted(Selection::everything()));
    assert_eq!(refused.err(), Some(TooManyStreams));
    drop(all);
    let last = store.subscribe(Selection::everything());
    // So the workers have begun.
    store.lines("app", 0..1).await;
    assert_eq!(read(&last, 1).await.0, [0]);
    assert!(store.supervisor.shut_down(Duration::from_secs(10)).await);
    assert_eq!(last.next(1).await, None);
}
