//! What containers write on a real daemon is stored exactly once, whatever happens to the reader.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cflite::base::{Supervisor, SystemClock};
use cflite::db::Db;
use cflite::docker::{Behaviour, LABEL_OWNER, LogStream};
use cflite::logs::{
    Envelope, Ingest, LABEL_SOURCE_ID, LABEL_SOURCE_TYPE, LONGEST_LINE, Logs, Message, Query,
};

use crate::bench::{Bench, daemon, soon};

/// In bursts, so that readers die before, within and after them; a line longer than an envelope and
/// one that ends without newline at the end.
const SCRIPT: &str = "
for part in 1 2 3 4 5 6; do
  seq -f \"$part-%.0f\" 1 10000
  seq -f \"$part-%.0f\" 1 300 >&2
  sleep 0.15
done
head -c 100000 /dev/zero | tr '\\0' x
printf '\\nlast words'";

struct Reader {
    supervisor: Supervisor,
    logs: Logs,
    ingest: Ingest,
}

impl Reader {
    async fn start(database: &Path, owner: &str) -> Self {
        let engine = daemon().await.expect("a daemon, as before");
        let db = Db::open(database).expect("database");
        let logs = Logs::open(db, Arc::new(SystemClock)).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        let ingest = Ingest::new(logs.clone(), Arc::new(engine), owner);
        ingest.start(&supervisor);
        Self {
            supervisor,
            logs,
            ingest,
        }
    }

    fn count(&self) -> i64 {
        self.logs.meta().get("app").map_or(0, |meta| meta.count)
    }

    /// Until it stored this many envelopes more.
    async fn reads(&self, more: i64) {
        let before = self.count();
        while self.count() < before + more {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A reader in a runtime of its own: dropping that ends every future where it waits, as kill -9
/// would, but for a transaction that is being committed.
fn short_life(database: &Path, owner: &str, more: i64) {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let reader = Reader::start(database, owner).await;
        soon(reader.reads(more)).await;
    });
}

fn texts(envelopes: &[Envelope], wanted: LogStream) -> Vec<String> {
    let lines = envelopes
        .iter()
        .filter_map(|envelope| match &envelope.message {
            Message::Log { payload, stream } if *stream == wanted => {
                Some(String::from_utf8_lossy(payload).into_owned())
            }
            _ => None,
        });
    lines.collect()
}

fn numbered(last: usize) -> Vec<String> {
    let parts = 1..=6;
    parts
        .flat_map(|part| (1..=last).map(move |n| format!("{part}-{n}")))
        .collect()
}

async fn dying_readers_lose_and_repeat_nothing(bench: Arc<Bench>) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let database: PathBuf = dir.path().join("cflite.db");
    let mut spec = bench.shell("chatty", SCRIPT, Behaviour::runs());
    for (name, value) in [
        (LABEL_SOURCE_ID, "app"),
        (LABEL_SOURCE_TYPE, "APP/PROC/WEB"),
    ] {
        spec.labels.insert(name.to_owned(), value.to_owned());
    }
    let owner = spec.labels[LABEL_OWNER].clone();
    let id = bench.engine.create(&spec).await.expect("created");
    bench.engine.start(&id).await.expect("started");
    for more in [1, 2500, 7000, 1, 12_000, 3000] {
        let (database, owner) = (database.clone(), owner.clone());
        let life = tokio::task::spawn_blocking(move || short_life(&database, &owner, more));
        life.await.expect("a short life");
    }
    let reader = Reader::start(&database, &owner).await;
    soon(bench.engine.wait(&id)).await.expect("ended");
    assert!(reader.ingest.drained(&id, Duration::from_secs(30)).await);
    let query = Query {
        limit: usize::MAX,
        ..Query::default()
    };
    let found = reader.logs.read("app", query).await.expect("readable");
    let mut expected = numbered(10_000);
    expected.push("x".repeat(LONGEST_LINE));
    expected.push("x".repeat(100_000 - LONGEST_LINE));
    expected.push("last words".to_owned());
    assert!(texts(&found, LogStream::Out) == expected, "stdout differs");
    assert!(
        texts(&found, LogStream::Err) == numbered(300),
        "stderr differs"
    );
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].timestamp < pair[1].timestamp)
    );
    assert!(reader.supervisor.shut_down(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_container_is_stored_once() {
    if let Some(bench) = Bench::real().await {
        bench.run(dying_readers_lose_and_repeat_nothing).await;
    }
}
