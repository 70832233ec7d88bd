//! Reading containers on the engine in memory.

use std::path::Path;

use super::*;
use crate::base::clock::ManualClock;
use crate::db::Db;

use crate::base::Timestamp;
use crate::docker::{ContainerSpec, Engine as _, FakeEngine, LABEL_OWNER, LONGEST_FRAME, Verb};
use crate::logs::envelope::LogStream;
use crate::logs::{
    Envelope, LABEL_INSTANCE_ID, LABEL_RATE_LIMIT, LABEL_SIDECARS, LABEL_SOURCE_TYPE,
    LABEL_TAG_PREFIX, LONGEST_LINE, Logs, Message, Query,
};

const NOW: i64 = 1_700_000_000_000_000;
const LIMIT: Duration = Duration::from_secs(20);

struct World {
    dir: tempfile::TempDir,
    clock: ManualClock,
    engine: FakeEngine,
}

struct Platform {
    supervisor: Supervisor,
    logs: Logs,
    ingest: Ingest,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(NOW));
        let engine = FakeEngine::new(Arc::new(clock.clone()));
        engine.add_image("app:latest");
        Self {
            dir: tempfile::tempdir().expect("temporary folder"),
            clock,
            engine,
        }
    }

    fn database(&self) -> Db {
        let path: &Path = self.dir.path();
        Db::open(&path.join("cflite.db")).expect("database")
    }

    async fn start(&self) -> Platform {
        let clock = Arc::new(self.clock.clone());
        let logs = Logs::open(self.database(), clock).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        let ingest = Ingest::new(logs.clone(), Arc::new(self.engine.clone()), "p1");
        ingest.start(&supervisor);
        Platform {
            supervisor,
            logs,
            ingest,
        }
    }

    /// Creates and starts a container that logs for source `app`.
    async fn container(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let all = [
            (LABEL_OWNER, "p1"),
            (LABEL_SOURCE_ID, "app"),
            (LABEL_SOURCE_TYPE, "APP/PROC/WEB"),
            (LABEL_INSTANCE_ID, "0"),
        ];
        let all = all.iter().chain(labels);
        let spec = ContainerSpec {
            name: name.to_owned(),
            image: "app:latest".to_owned(),
            labels: all
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..ContainerSpec::default()
        };
        let id = self.engine.create(&spec).await.expect("made");
        self.engine.start(&id).await.expect("started");
        id
    }

    fn out(&self, id: &str, text: &str) {
        self.engine.print(id, LogStream::Out, format!("{text}\n"));
    }
}

impl Platform {
    async fn all(&self) -> Vec<Envelope> {
        let query = Query {
            limit: usize::MAX,
            ..Query::default()
        };
        self.logs.read("app", query).await.expect("readable")
    }

    async fn texts(&self) -> Vec<String> {
        self.all().await.iter().map(text).collect()
    }

    /// Waits until `count` envelopes are stored.
    async fn arrived(&self, count: usize) -> Vec<String> {
        let mut written = self.logs.written().subscribe();
        let enough = async {
            while self.all().await.len() < count {
                written.changed().await.expect("writer");
            }
        };
        tokio::time::timeout(Duration::from_secs(120), enough)
            .await
            .expect("the lines arrive");
        self.texts().await
    }
}

fn text(envelope: &Envelope) -> String {
    match &envelope.message {
        Message::Log { payload, .. } => String::from_utf8_lossy(payload).into_owned(),
        other => format!("{other:?}"),
    }
}

fn stream(envelope: &Envelope) -> Option<LogStream> {
    match envelope.message {
        Message::Log { stream, .. } => Some(stream),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_containers_lines_arrive_with_its_labels() {
    let world = World::new();
    let platform = world.start().await;
    let app_name = format!("{LABEL_TAG_PREFIX}app_name");
    let id = world
        .container("a", &[(&app_name, "dora"), (LABEL_INSTANCE_ID, "3")])
        .await;
    let other = world.container("b", &[(LABEL_OWNER, "p2")]).await;
    world.out(&other, "somebody else's");
    world.out(&id, "hello");
    world
        .engine
        .print(&id, LogStream::Err, "progress 1\rprogress 2\r\n\n");
    platform.arrived(3).await;
    let found = platform.all().await;
    let found: Vec<_> = found.iter().map(|e| (text(e), stream(e))).collect();
    let (out, err) = (Some(LogStream::Out), Some(LogStream::Err));
    let expected = [("hello", out), ("progress 1", err), ("progress 2", err)];
    assert_eq!(
        found,
        expected.map(|(text, stream)| (text.to_owned(), stream))
    );
    let envelope = platform.all().await.remove(0);
    assert_eq!(&*envelope.instance_id, "3");
    let tag = |name: &str| envelope.tags.get(name).map(String::as_str);
    assert_eq!(tag("app_name"), Some("dora"));
    assert_eq!(tag("source_type"), Some("APP/PROC/WEB"));
    assert_eq!(tag("origin"), Some("rep"));
    assert_eq!(envelope.timestamp, NOW * 1000, "Docker's own time");
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_container_is_drained_before_it_is_removed() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    world.out(&id, "last words");
    world.engine.print(&id, LogStream::Out, "without newline");
    world.engine.exit(&id, 1);
    assert!(platform.ingest.drained(&id, LIMIT).await);
    // No waiting: drained means stored.
    assert_eq!(platform.texts().await, ["last words", "without newline"]);
    let cursors = world
        .database()
        .read(store::cursors)
        .await
        .expect("cursors");
    assert_eq!(cursors.len(), 1);

    world.engine.remove(&id).await.expect("removed");
    assert!(platform.ingest.drained(&id, LIMIT).await, "gone is drained");
    while !world
        .database()
        .read(store::cursors)
        .await
        .expect("cursors")
        .is_empty()
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_starts_again_is_followed_again() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    for round in ["one", "two", "three"] {
        world.out(&id, round);
        world.engine.exit(&id, 0);
        assert!(platform.ingest.drained(&id, LIMIT).await);
        world.clock.advance(Duration::from_secs(1));
        world.engine.start(&id).await.expect("started");
    }
    world.out(&id, "four");
    assert_eq!(platform.arrived(4).await, ["one", "two", "three", "four"]);
}

#[tokio::test(start_paused = true)]
async fn draining_stops_at_its_limit_and_needs_no_labels() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    assert!(!platform.ingest.drained(&id, LIMIT).await, "it still runs");
    world
        .engine
        .fail(Verb::Logs, DockerError::Unreachable("away".into()));
    world.out(&id, "unread");
    world.engine.exit(&id, 0);
    assert!(
        !platform.ingest.drained(&id, LIMIT).await,
        "it cannot be read"
    );
    world.engine.heal();
    assert!(platform.ingest.drained(&id, LIMIT).await);
    assert_eq!(platform.texts().await, ["unread"]);
    assert!(platform.ingest.drained("nobody", LIMIT).await);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_follow_is_noticed() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    world.out(&id, "before");
    platform.arrived(1).await;
    world.engine.silence_follows();
    world.out(&id, "meanwhile");
    assert_eq!(platform.arrived(2).await, ["before", "meanwhile"]);
    world.out(&id, "after");
    assert_eq!(platform.arrived(3).await, ["before", "meanwhile", "after"]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_restart_loses_no_lines() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    world.out(&id, "before");
    platform.arrived(1).await;
    world.engine.set_reachable(false);
    world.out(&id, "meanwhile");
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.engine.set_reachable(true);
    world.out(&id, "after");
    assert_eq!(platform.arrived(3).await, ["before", "meanwhile", "after"]);
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_of_the_label_drops_and_reports() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[(LABEL_RATE_LIMIT, "1024")]).await;
    world.out(&id, &"x".repeat(1024));
    world.out(&id, "too much");
    world.out(&id, "and more");
    world.clock.advance(Duration::from_secs(2));
    world.out(&id, "later");
    let found = platform.arrived(4).await;
    let expected = "app instance exceeded log rate limit (1024 bytes/sec)";
    assert_eq!([&found[1], &found[3]], [expected, "later"]);
    let all = platform.all().await;
    assert_eq!(stream(&all[1]), Some(LogStream::Out));
    let name = "AppInstanceExceededLogRateLimitCount".to_owned();
    let (delta, total) = (1, 1);
    assert_eq!(all[2].message, Message::Counter { name, delta, total });
}

#[tokio::test(start_paused = true)]
async fn sidecars_are_told_apart_from_their_process() {
    let world = World::new();
    let platform = world.start().await;
    let id = world
        .container("a", &[(LABEL_SIDECARS, r#"["cache"]"#)])
        .await;
    world.out(&id, "process");
    world.out(&id, "\u{1e}0\0sidecar");
    assert_eq!(platform.arrived(2).await, ["process", "sidecar"]);
    let all = platform.all().await;
    let types: Vec<&str> = { all.iter() }
        .map(|envelope| envelope.tags["source_type"].as_str())
        .collect();
    assert_eq!(types, ["APP/PROC/WEB", "APP/PROC/WEB/SIDECAR/CACHE"]);
}

#[tokio::test(start_paused = true)]
async fn the_log_rate_is_bytes_per_second() {
    let world = World::new();
    let platform = world.start().await;
    let id = world.container("a", &[]).await;
    world.out(&id, "first");
    platform.arrived(1).await;
    assert_eq!(platform.ingest.log_rate(&id), 0);
    world.out(&id, &"x".repeat(3000));
    platform.arrived(2).await;
    world.clock.advance(Duration::from_secs(15));
    assert_eq!(platform.ingest.log_rate(&id), 200);
    assert_eq!(platform.ingest.log_rate("nobody"), 0);
}

/// Lines of all sizes, so that parts, splits and batches vary.
fn burst(round: usize) -> Vec<String> {
    let sizes = [
        1,
        20,
        300,
        LONGEST_FRAME - 1,
        LONGEST_FRAME * 2 + 9,
        LONGEST_LINE + 77,
        5,
    ];
    (0..60)
        .map(|n| {
            let size = if n % 9 == 0 {
                sizes[(round + n / 9) % sizes.len()]
            } else {
                10
            };
            format!("{round}-{n} {}", "x".repeat(size))
        })
        .collect()
}

/// Dropping the runtime ends every future at its await point, as kill -9 would; only a transaction
/// that is being committed completes.
#[test]
fn a_kill_at_any_moment_neither_loses_nor_repeats_a_line() {
    let world = World::new();
    let mut printed = Vec::new();
    let mut id = String::new();
    let mut found = Vec::new();
    for round in 0..16 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            if round == 0 {
                id = world.container("a", &[]).await;
            }
            let platform = world.start().await;
            let mut written = platform.logs.written().subscribe();
            for (n, line) in burst(round).into_iter().enumerate() {
                let stream = if n % 3 == 0 {
                    LogStream::Err
                } else {
                    LogStream::Out
                };
                world.engine.print(&id, stream, format!("{line}\n"));
                printed.push((stream, line));
                if n % 16 == round {
                    written.changed().await.expect("writer");
                }
            }
            if round == 15 {
                world.engine.exit(&id, 0);
                assert!(platform.ingest.drained(&id, LIMIT).await);
                found = platform.all().await;
                assert!(platform.supervisor.shut_down(LIMIT).await);
            }
        });
        drop(runtime);
        world.clock.advance(Duration::from_millis(700));
    }
    for wanted in [LogStream::Out, LogStream::Err] {
        let lines = printed.iter().filter(|(stream, _)| *stream == wanted);
        let expected: String = lines.map(|(_, line)| line.as_str()).collect();
        let pieces = found.iter().filter(|e| stream(e) == Some(wanted));
        let pieces: String = pieces.map(text).collect();
        assert!(pieces == expected, "{wanted:?} differs");
    }
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].timestamp < pair[1].timestamp)
    );
}
