//! The embedded registry and a real daemon: an image goes in, gets a layer, comes out by digest
//! and runs.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cflite::base::{Secret, Supervisor, SystemClock};
use cflite::blobs::{Blob, Blobs, Digest};
use cflite::db::Db;
use cflite::docker::{Behaviour, ByteReader, ContainerSpec, LogReading, RegistryAuth};
use cflite::registry::{ImageChange, Registry, Settings};
use futures_util::{FutureExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::bench::{Bench, soon};

/// Collects a shell, what it needs and `cat` in one folder.
const COLLECT: &str = "mkdir /tmp/r && for f in /bin/sh /bin/cat $(ldd /bin/sh /bin/cat \
    | grep -o '/[^ :]*'); do cp -L --parents $f /tmp/r; done";

struct Platform {
    _dir: tempfile::TempDir,
    blobs: Blobs,
    registry: Registry,
    supervisor: Supervisor,
}

impl Platform {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = Arc::new(SystemClock);
        let blobs = Blobs::open(dir.path(), db.clone(), clock.clone()).expect("store");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let settings = Settings {
            port: listener.local_addr().expect("address").port(),
            token: Secret::new("s3cretT0ken".to_owned()),
            anonymous_pull: false,
            names: Vec::new(),
            upstreams: BTreeMap::new(),
            upstream: cflite::registry::upstream::Settings::default(),
            cache_limit: cflite::base::Live::new(u64::MAX),
        };
        let registry = Registry::new(blobs.clone(), db, clock, settings);
        let supervisor = Supervisor::new();
        let (served, token) = (registry.clone(), supervisor.token());
        supervisor.once(async move {
            served.serve(listener, token).await.expect("served");
        });
        Self {
            _dir: dir,
            blobs,
            registry,
            supervisor,
        }
    }

    /// A layer with one file.
    async fn layer(&self, path: &str, text: &str) -> Blob {
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, path, text.as_bytes());
        let bytes = tar.into_inner().expect("tar");
        self.blobs.put_bytes(bytes).await.expect("layer")
    }
}

#[tokio::test]
async fn an_image_with_an_appended_layer_is_pulled_by_digest_and_runs() {
    let Some(bench) = Bench::real().await else {
        return;
    };
    bench
        .run(|bench| async move {
            let platform = Platform::start().await;
            let small = bench.name("small");
            let result = AssertUnwindSafe(journey(&bench, &platform, &small)).catch_unwind();
            let result = result.await;
            drop(bench.engine.remove_image(&small).await);
            assert!(platform.supervisor.shut_down(Duration::from_secs(10)).await);
            if let Err(panic) = result {
                std::panic::resume_unwind(panic);
            }
        })
        .await;
}

async fn journey(bench: &Bench, platform: &Platform, small: &str) {
    let (engine, registry) = (&bench.engine, &platform.registry);
    let root = root_folder(bench).await;
    engine.import(small, root).await.expect("import");
    let saved = engine.save(small).await.expect("save");
    let base = registry.import_saved("stacks/small", "latest", saved);
    let base = base.await.expect("taken in");

    let layer = platform.layer("hello", "moin from the layer\n").await;
    let change = ImageChange {
        labels: bench.labels(),
        environment: vec![("FILE".to_owned(), "/hello".to_owned())],
        comment: "droplet".to_owned(),
        ..ImageChange::default()
    };
    let appended = registry.append_layer(&base, &layer, "droplets/1", "latest", change);
    let reference = registry.reference("droplets/1", &appended.await.expect("appended"));

    let wrong = RegistryAuth {
        password: Secret::new("wr0ng".to_owned()),
        ..registry.auth()
    };
    for refused in [None, Some(wrong)] {
        let pulled = engine.pull(&reference, refused, progress());
        assert!(pulled.await.is_err(), "pulled without the token");
    }
    // The second time the daemon asks for the layers only: it kept the manifest.
    for round in ["first", "after removal"] {
        let pulled = soon(engine.pull(&reference, Some(registry.auth()), progress()));
        pulled.await.expect(round);
        let text = run(bench, &reference, round).await;
        assert_eq!(text, "moin from the layer\n", "{round}");
        let image = engine.image(&reference).await.expect("image");
        let image = image.expect("pulled");
        let last = Digest::parse(image.diff_ids.last().expect("layers"));
        assert_eq!(last.expect("digest"), layer.digest);
        assert_eq!(image.diff_ids.len(), 2);
        engine.remove_image(&reference).await.expect("removed");
    }
}

/// Runs a container of the image and gives what it wrote.
async fn run(bench: &Bench, reference: &str, round: &str) -> String {
    let spec = ContainerSpec {
        image: reference.to_owned(),
        ..bench.shell(&round.replace(' ', "-"), "cat $FILE", Behaviour::default())
    };
    let engine = &bench.engine;
    let id = engine.create(&spec).await.expect("created");
    engine.start(&id).await.expect("started");
    assert_eq!(soon(engine.wait(&id)).await.expect("ended"), 0);
    let frames = engine.logs(&id, 0, LogReading::Once).await.expect("logs");
    let frames: Vec<_> = frames.collect().await;
    engine.remove(&id).await.expect("removed");
    let lines = frames.into_iter().map(|frame| frame.expect("frame").data);
    String::from_utf8(lines.flatten().collect()).expect("text")
}

/// A root file system of a few files, taken out of the stack.
async fn root_folder(bench: &Bench) -> ByteReader {
    let id = bench
        .started("collect", COLLECT, Behaviour::default())
        .await;
    assert_eq!(soon(bench.engine.wait(&id)).await.expect("ended"), 0);
    let mut tar = bench
        .engine
        .download(&id, "/tmp/r")
        .await
        .expect("download");
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes).await.expect("whole");
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(Cursor::new(bytes))
        .entries()
        .expect("tar")
    {
        let mut entry = entry.expect("entry");
        if entry.header().entry_type().is_file() {
            let path = entry.path().expect("path");
            let path = path.strip_prefix("r").expect("below /tmp/r").to_owned();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
            files.insert(path, content);
        }
    }
    let mut root = tar::Builder::new(Vec::new());
    for (path, content) in files {
        append(&mut root, path.to_str().expect("text"), &content);
    }
    Box::pin(Cursor::new(root.into_inner().expect("tar")))
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, path, content).expect("file");
}

fn progress() -> cflite::docker::Progress {
    tokio::sync::mpsc::unbounded_channel().0
}
