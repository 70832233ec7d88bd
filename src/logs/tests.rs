//! The log store as a whole: writer, memory, disk and restart.

use std::time::Duration;

use super::inbox::{Entry, Origin};
use super::*;
use crate::base::Supervisor;
use crate::base::clock::ManualClock;

const NOW: i64 = 1_700_000_000_000_000;

struct Store {
    dir: tempfile::TempDir,
    clock: ManualClock,
    limits: Limits,
    supervisor: Supervisor,
    logs: Logs,
}

async fn open(dir: &tempfile::TempDir, clock: &ManualClock, limits: &Limits) -> (Supervisor, Logs) {
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let logs = Logs::open_with(db, Arc::new(clock.clone()), limits.clone())
        .await
        .expect("logs");
    let supervisor = Supervisor::new();
    logs.start(&supervisor);
    (supervisor, logs)
}

impl Store {
    async fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let clock = ManualClock::new(Timestamp::from_micros(NOW));
        let (supervisor, logs) = open(&dir, &clock, &limits).await;
        Self {
            dir,
            clock,
            limits,
            supervisor,
            logs,
        }
    }

    async fn restart(&mut self) {
        assert!(self.supervisor.shut_down(Duration::from_secs(10)).await);
        (self.supervisor, self.logs) = open(&self.dir, &self.clock, &self.limits).await;
    }

    fn line(&self, text: &str) {
        self.logs.emit(line("app", text));
    }

    async fn texts(&self, query: Query) -> Vec<String> {
        let found = self.logs.read("app", query).await.expect("readable");
        assert!(
            found
                .windows(2)
                .all(|pair| pair[0].timestamp != pair[1].timestamp),
            "times repeat"
        );
        found.iter().map(text).collect()
    }

    async fn all(&self) -> Vec<String> {
        let limit = usize::MAX;
        self.texts(Query {
            limit,
            ..Query::default()
        })
        .await
    }
}

fn line<'a>(source_id: &'a str, text: &'a str) -> Line<'a> {
    Line {
        source_id,
        source_type: "CELL",
        instance_id: "0",
        stream: LogStream::Out,
        text,
    }
}

fn text(envelope: &Envelope) -> String {
    match &envelope.message {
        Message::Log { payload, .. } => String::from_utf8_lossy(payload).into_owned(),
        other => format!("{other:?}"),
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn times_increase_though_the_clock_stands_still_or_goes_back() {
    let mut store = Store::start(Limits::default()).await;
    store.line("a\nb");
    store.logs.flush().await;
    store.clock = ManualClock::new(Timestamp::from_micros(NOW - 5_000_000));
    store.restart().await;
    store.line("c");
    store.logs.flush().await;
    let found = store
        .logs
        .read("app", Query::default())
        .await
        .expect("readable");
    let found: Vec<_> = found
        .iter()
        .map(|e| (text(e), e.timestamp - NOW * 1000))
        .collect();
    let expected = [("a", 0), ("b", 1), ("c", 2)].map(|(text, at)| (text.to_owned(), at));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_restart_keeps_every_line_in_order() {
    let mut store = Store::start(Limits::default()).await;
    for n in 0..2500 {
        store.line(&n.to_string());
    }
    // No flush: a running writer stores queued lines at shutdown.
    tokio::task::yield_now().await;
    store.restart().await;
    assert!(store.all().await == numbers(0..2500));
    for n in 2500..2600 {
        store.line(&n.to_string());
    }
    store.logs.flush().await;
    // One part comes from disk, the other from memory, in both directions.
    assert!(store.all().await == numbers(0..2600));
    let newest = Query {
        limit: 200,
        descending: true,
        ..Query::default()
    };
    let mut expected = numbers(2400..2600);
    expected.reverse();
    assert_eq!(store.texts(newest).await, expected);
    let first = Query {
        limit: 3,
        ..Query::default()
    };
    assert_eq!(store.texts(first).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn memory_is_bounded_and_disk_fills_the_gap() {
    let limits = Limits {
        memory_count: 50,
        memory_bytes: 2000,
        memory_total: 3000,
        ..Limits::default()
    };
    let store = Store::start(limits).await;
    for n in 0..40 {
        for m in 0..10 {
            store.line(&(n * 10 + m).to_string());
        }
        store.logs.flush().await;
    }
    let view = store
        .logs
        .sources()
        .view("app", &Query::default())
        .expect("known");
    let held: usize = view.segments.iter().map(|segment| segment.count).sum();
    assert!((1..=50).contains(&held), "{held} in memory");
    assert!(view.older_on_disk);
    assert!(store.all().await == numbers(0..400));
}

#[tokio::test]
async fn small_segments_are_merged_transparently() {
    let mut store = Store::start(Limits::default()).await;
    for n in 0..100 {
        store.line(&n.to_string());
        store.logs.flush().await;
    }
    assert_eq!(store.all().await, numbers(0..100));
    let segments = store.logs.sources().view("app", &Query::default());
    let segments = segments.expect("known").segments.len();
    assert!(segments < 40, "{segments} segments");
    store.restart().await;
    assert_eq!(store.all().await, numbers(0..100));
    assert_eq!(store.logs.meta()["app"].count, 100);
}

#[tokio::test]
async fn disk_is_bounded_and_expired_envelopes_are_counted() {
    let limits = Limits {
        disk_count: 2500,
        ..Limits::default()
    };
    let mut store = Store::start(limits).await;
    for n in 0..4000 {
        store.line(&n.to_string());
    }
    store.logs.flush().await;
    assert!(store.all().await == numbers(2000..4000));
    let meta = store.logs.meta()["app"].clone();
    assert_eq!((meta.count, meta.expired), (2000, 2000));
    assert_eq!(meta.newest - meta.oldest, 1999);
    store.restart().await;
    assert_eq!(store.logs.meta()["app"], meta);
    assert!(store.all().await == numbers(2000..4000));
}

#[tokio::test]
async fn the_largest_source_is_trimmed_when_the_disk_limit_is_reached() {
    let limits = Limits {
        disk_total: 60_000,
        ..Limits::default()
    };
    let store = Store::start(limits).await;
    store.logs.emit(line("small", "stays"));
    let long = "x".repeat(1000);
    for _ in 0..200 {
        store.line(&long);
        store.logs.flush().await;
    }
    let meta = store.logs.meta();
    assert_eq!((meta["small"].count, meta["small"].expired), (1, 0));
    assert!((1..60).contains(&meta["app"].count), "{:?}", meta["app"]);
    assert_eq!(meta["app"].count + meta["app"].expired, 200);
}

#[tokio::test]
async fn a_forgotten_source_is_gone_for_good() {
    let mut store = Store::start(Limits::default()).await;
    store.line("a");
    store.logs.flush().await;
    store.line("b");
    store.logs.forget("app");
    store.logs.flush().await;
    assert!(store.all().await.is_empty());
    assert!(store.logs.meta().is_empty());
    store.restart().await;
    assert!(store.all().await.is_empty());
}

struct Names;

impl TagSource for Names {
    fn tags(&self, source_id: &str) -> BTreeMap<String, String> {
        [
            ("app_name".to_owned(), format!("name of {source_id}")),
            ("source_type".to_owned(), "never".to_owned()),
        ]
        .into()
    }
}

#[tokio::test]
async fn current_names_are_on_every_envelope() {
    let store = Store::start(Limits::default()).await;
    store.logs.set_tag_source(Arc::new(Names));
    store.line("a");
    store.logs.emit(Line {
        source_type: "RTR",
        ..line("app", "b")
    });
    let tags = Tags::from([("process_id".to_owned(), "p".to_owned())]);
    store
        .logs
        .emitter("app", "3")
        .tagged(tags)
        .gauges([("cpu", "percentage", 0.5)]);
    store.logs.flush().await;
    let found = store
        .logs
        .read("app", Query::default())
        .await
        .expect("readable");
    let tag = |n: usize, name: &str| found[n].tags.get(name).cloned().unwrap_or_default();
    for (n, source_type, origin) in [(0, "CELL", "rep"), (1, "RTR", "gorouter")] {
        assert_eq!(tag(n, "app_name"), "name of app");
        assert_eq!(tag(n, "source_type"), source_type);
        assert_eq!(tag(n, "origin"), origin);
    }
    assert_eq!(tag(2, "process_id"), "p");
    assert_eq!(
        (&*found[2].instance_id, tag(2, "instance_id").as_str()),
        ("3", "3")
    );
}

#[tokio::test]
async fn dropped_lines_are_reported_in_the_sources_own_log() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let clock = ManualClock::new(Timestamp::from_micros(NOW));
    let logs = Logs::open(db, Arc::new(clock)).await.expect("logs");
    // The writer does not run yet.
    for _ in 0..20_000 {
        logs.emit(line("app", "x"));
    }
    let supervisor = Supervisor::new();
    logs.start(&supervisor);
    logs.flush().await;
    let newest = Query {
        limit: 1,
        descending: true,
        ..Query::default()
    };
    let found = logs.read("app", newest).await.expect("readable");
    let kept = logs.meta()["app"].count - 1;
    let lost = 20_000 - kept;
    assert!(kept > 10_000 && lost > 0);
    assert_eq!(
        text(&found[0]),
        format!(
            "Log message output is too high. {lost} messages dropped (Total {lost} messages \
             dropped) from cflite to log-cache."
        )
    );
    assert_eq!(found[0].tags["source_type"], "LGR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_through_the_writer_is_complete() {
    const LINES: usize = 50_000;
    let store = Store::start(Limits::default()).await;
    let origin = Arc::new(Origin {
        instance_id: "0".into(),
        source_type: Some("APP/PROC/WEB".to_owned()),
        tags: Tags::new(),
    });
    let source_id: Arc<str> = "app".into();
    for chunk in 0..LINES / 100 {
        let entries = (chunk * 100..chunk * 100 + 100).map(|n| Entry {
            source_id: source_id.clone(),
            at: NOW * 1000 + i64::try_from(n).expect("small"),
            origin: origin.clone(),
            own: Tags::new(),
            message: Message::Log {
                payload: format!("{n} {}", "x".repeat(90)).into(),
                stream: LogStream::Out,
            },
        });
        store.logs.inbox().put(entries.collect(), Vec::new()).await;
    }
    store.logs.flush().await;
    let meta = store.logs.meta()["app"].clone();
    assert_eq!(meta.count, i64::try_from(LINES).expect("small"));
    let all = store.all().await;
    assert!(
        all.iter()
            .enumerate()
            .all(|(n, text)| text.starts_with(&format!("{n} ")))
    );
}

/// Sources that have an owner.
#[derive(Default)]
struct Owners(Mutex<BTreeSet<String>>);

impl Owners {
    fn set(&self, sources: &[&str]) {
        let mut owned = self.0.lock().expect("owners");
        *owned = sources.iter().map(|source| (*source).to_owned()).collect();
    }
}

impl SourceOwners for Owners {
    fn keep(&self, _: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError> {
        Ok(self.0.lock().expect("owners").contains(source_id))
    }
}

#[tokio::test]
async fn a_source_without_an_owner_is_swept_and_late_lines_do_not_restore_it() {
    let mut store = Store::start(Limits::default()).await;
    let owners = Arc::new(Owners::default());
    owners.set(&["app", "other"]);
    store.logs.set_source_owners(owners.clone());
    store.line("early");
    store.logs.emit(line("other", "stays"));
    store.logs.flush().await;
    let known = |store: &Store| store.logs.meta().into_keys().collect::<Vec<_>>();
    assert_eq!(known(&store), ["app", "other"]);
    assert_eq!(store.logs.sweep().await.expect("swept"), 0);

    owners.set(&["other"]);
    store.line("late");
    store.logs.flush().await;
    assert_eq!(store.all().await, ["early"], "not yet swept");
    // The process dies before a sweep.
    store.restart().await;
    store.logs.set_source_owners(owners.clone());
    store.line("later");
    assert_eq!(store.logs.sweep().await.expect("swept"), 1);
    store.line("after the sweep");
    store.logs.flush().await;
    assert_eq!(known(&store), ["other"]);
    store.restart().await;
    assert_eq!(known(&store), ["other"]);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_hides_no_other() {
    let mut store = Store::start(Limits::default()).await;
    store.line("one");
    store.logs.emit(line("other", "two"));
    store.logs.flush().await;
    let damage = "update log_sources set source_id = cast(x'ff' as text) where source_id = 'other';
                  insert into log_cursors (container_id, stream, nanos) values
                      (cast(x'ff' as text), 'out', 1), ('c', 'out', 7);";
    let write = store
        .logs
        .db()
        .write(move |tx| Ok::<_, DbError>(tx.sql().execute_batch(damage)?));
    write.await.expect("damaged");
    store.restart().await;
    assert_eq!(store.all().await, ["one"]);
    let cursors = store.logs.db().read(store::cursors).await;
    assert_eq!(cursors.expect("cursors").len(), 1);
}

#[tokio::test]
async fn a_damaged_segment_hides_only_its_own_lines() {
    let mut store = Store::start(Limits::default()).await;
    for text in ["first", "second", "third"] {
        store.line(text);
        store.logs.flush().await;
    }
    let damage = store.logs.db().write(|tx| {
        let sql = "update log_segments set body = x'0201' \
                   where first = (select max(first) from log_segments)";
        tx.sql().execute(sql, [])?;
        Ok::<_, DbError>(())
    });
    damage.await.expect("written");
    store.restart().await;
    assert_eq!(store.all().await, ["first", "second"]);
    store.line("fourth");
    store.logs.flush().await;
    assert_eq!(store.all().await, ["first", "second", "fourth"]);
}
