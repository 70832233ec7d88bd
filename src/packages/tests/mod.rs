//! The package cache over HTTP, with registries on a port of this machine.

mod cache;
mod downloads;
mod limits;
mod prefetch;
mod upstream;

use ::http::{HeaderMap, Method, Request, StatusCode};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::base::clock::ManualClock;
use crate::net::outside::scripted::{Fault, PATIENCE};
use upstream::Upstream;

const HOST: &str = "172.30.0.1:4711";
/// A file of PyPI.
const WHEEL: &str = "/pypi/files/x-1.0-py3-none-any.whl";

struct Bench {
    dir: tempfile::TempDir,
    db: Db,
    clock: ManualClock,
    blobs: Blobs,
    packages: Packages,
    upstream: Upstream,
}

/// An answer that was read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().expect("text"))
    }
}

async fn bench() -> Bench {
    bench_with(|_| {}).await
}

async fn bench_with(change: impl FnOnce(&mut Settings)) -> Bench {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let blobs = Blobs::open(dir.path(), db.clone(), shared.clone()).expect("store");
    let upstream = Upstream::start().await;
    let url = |source: Source| {
        let url = format!("http://127.0.0.1:{}/{source}", upstream.port);
        (source, Url::parse(&url).expect("a URL"))
    };
    let short = Duration::from_millis(5);
    let mut settings = Settings {
        upstreams: Source::ALL.map(url).into(),
        patience: Patience {
            again: short,
            resume: short,
            ..Patience::default()
        },
        ..Settings::new(1 << 30)
    };
    change(&mut settings);
    let packages = Packages::new(blobs.clone(), db.clone(), shared, settings);
    Bench {
        dir,
        db,
        clock,
        blobs,
        packages,
        upstream,
    }
}

impl Bench {
    /// The same store with other settings, as after a restart.
    fn restarted(&self, change: impl FnOnce(&mut Settings)) -> Packages {
        let mut settings = self.packages.0.settings.clone();
        change(&mut settings);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Packages::new(self.blobs.clone(), self.db.clone(), clock, settings)
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        read(send(&self.packages, Method::GET, path, headers).await).await
    }

    /// How often the registries were asked for something.
    fn asked(&self, part: &str) -> usize {
        self.upstream.script.asked(part).len()
    }

    /// Nothing is kept: neither a row nor a file.
    async fn assert_nothing_kept(&self) {
        let copies = self.db.read(store::all).await.expect("rows");
        assert_eq!(copies, []);
        let temporary = self.dir.path().join("tmp");
        let left = std::fs::read_dir(temporary).expect("a folder").count();
        assert_eq!(left, 0, "temporary files");
    }

    /// Waits until a copy is there.
    async fn until_kept(&self, count: usize) {
        let kept = async {
            loop {
                let copies = self.db.read(store::all).await.expect("rows");
                if copies.len() == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, kept)
            .await
            .expect("a copy in time");
    }
}

async fn send(
    packages: &Packages,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answered = respond::router(packages).oneshot(request);
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    match answered.expect("an answer in time") {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn read(response: Response) -> Answer {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await;
    let body = body.expect("an end in time").expect("a body");
    Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    }
}
