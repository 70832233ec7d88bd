//! The registry over HTTP and its images, on a temporary store.

mod access;
mod apps;
mod blobs;
mod held;
mod http;
mod images;
mod interrupted;
mod lists;
mod manifests;
mod mirror;
mod publish;
mod saved;
mod service;

use ::http::{Request, Response, StatusCode};
use axum::body::Body;
use base64::Engine as _;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::base::Live;
use crate::base::clock::ManualClock;
use crate::docker::ByteReader;

use super::*;
use saved::classic_tar;

const TOKEN: &str = "s3cret";

struct Fixture {
    dir: Arc<tempfile::TempDir>,
    db: Db,
    clock: ManualClock,
    blobs: Blobs,
    registry: Registry,
}

fn fixture() -> Fixture {
    with_anonymous_pull(false)
}

fn with_anonymous_pull(anonymous_pull: bool) -> Fixture {
    with_settings(|settings| settings.anonymous_pull = anonymous_pull)
}

fn with_settings(change: impl FnOnce(&mut Settings)) -> Fixture {
    let dir = Arc::new(tempfile::tempdir().expect("temporary folder"));
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let blobs = Blobs::open(dir.path(), db.clone(), shared.clone()).expect("store");
    let mut settings = Settings {
        port: 5000,
        token: Secret::new(TOKEN.to_owned()),
        anonymous_pull: false,
        names: vec!["registry.cf.localhost".to_owned()],
        upstreams: BTreeMap::new(),
        upstream: upstream::Settings::default(),
        cache_limit: Live::new(u64::MAX),
    };
    change(&mut settings);
    let registry = Registry::new(blobs.clone(), db.clone(), shared, settings);
    Fixture {
        dir,
        db,
        clock,
        blobs,
        registry,
    }
}

impl Fixture {
    /// The same registry with other settings.
    fn again(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.registry.0.settings.clone();
        change(&mut settings);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let registry = Registry::new(self.blobs.clone(), self.db.clone(), clock, settings);
        Self {
            dir: self.dir.clone(),
            db: self.db.clone(),
            clock: self.clock.clone(),
            blobs: self.blobs.clone(),
            registry,
        }
    }

    async fn send(&self, request: ::http::request::Builder) -> Response<Body> {
        let request = request.body(Body::empty()).expect("request");
        let answer = self.registry.router().oneshot(request).await;
        answer.expect("answer")
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(authorized("GET", path)).await
    }

    /// An image of one layer in `stacks/base`.
    async fn base(&self) -> Digest {
        let tar = classic_tar(&[b"base layer"]);
        let imported = self.registry.import_saved("stacks/base", "latest", tar);
        imported.await.expect("import")
    }

    async fn append(&self, base: &Digest, repository: &str, tag: &str, layer: &str) -> Digest {
        let layer = self.blobs.put_bytes(layer.to_owned()).await.expect("layer");
        let change = ImageChange::default();
        let appended = self
            .registry
            .append_layer(base, &layer, repository, tag, change);
        appended.await.expect("append")
    }
}

fn authorized(method: &str, path: &str) -> ::http::request::Builder {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("cflite:{TOKEN}"));
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Basic {credentials}"))
}

async fn bytes(response: Response<Body>) -> Vec<u8> {
    let body = response.into_body().collect().await.expect("body");
    body.to_bytes().to_vec()
}

async fn document(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response).await).expect("json")
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    let value = response.headers().get(name).expect(name);
    value.to_str().expect("text")
}

async fn code(response: Response<Body>) -> String {
    assert_eq!(header(&response, "content-type"), "application/json");
    let error = document(response).await;
    error["errors"][0]["code"]
        .as_str()
        .expect("code")
        .to_owned()
}
