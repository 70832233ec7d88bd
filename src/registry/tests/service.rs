//! The registry on a port of its own, and a client of it.

use std::net::SocketAddr;

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

use crate::base::Supervisor;

use super::*;

pub(super) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A running registry.
pub(super) struct Service {
    pub(super) f: Fixture,
    pub(super) address: SocketAddr,
    client: reqwest::Client,
    supervisor: Supervisor,
}

/// A complete response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.to_str().expect("text")
    }

    pub(super) fn json(&self) -> Value {
        assert!(self.header("content-type").contains("json"));
        serde_json::from_slice(&self.body).expect("json")
    }

    /// The code of an error.
    pub(super) fn code(&self) -> String {
        let json = self.json();
        assert!(json["errors"][0]["message"].is_string(), "{json}");
        json["errors"][0]["code"].as_str().expect("code").to_owned()
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// The two algorithms that clients name content with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

impl Algorithm {
    pub(super) fn of(self, bytes: &[u8]) -> AnyDigest {
        match self {
            Self::Sha256 => AnyDigest::Sha256(Digest::of(bytes)),
            Self::Sha512 => AnyDigest::Sha512(crate::blobs::Sha512Digest::of(bytes)),
        }
    }
}

/// Bytes that differ for each seed.
pub(super) fn content(seed: &str, size: usize) -> Vec<u8> {
    let pattern = format!("{seed}-").into_bytes();
    pattern.into_iter().cycle().take(size).collect()
}

impl Service {
    pub(super) async fn start() -> Self {
        Self::of(fixture()).await
    }

    pub(super) async fn of(f: Fixture) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let address = listener.local_addr().expect("address");
        let supervisor = Supervisor::new();
        let (registry, token) = (f.registry.clone(), supervisor.token());
        supervisor.once(async move { registry.serve(listener, token).await.expect("clean end") });
        let client = crate::net::http_client::plain().no_proxy().build();
        Self {
            f,
            address,
            client: client.expect("client"),
            supervisor,
        }
    }

    /// Ends the service as a crash would, and starts it anew on what is on disk.
    pub(super) async fn restart(self) -> Self {
        let Self { f, supervisor, .. } = self;
        assert!(supervisor.shut_down(Duration::from_secs(5)).await);
        let shared: Arc<dyn Clock> = Arc::new(f.clock.clone());
        let db = Db::open(&f.dir.path().join("cflite.db")).expect("database");
        let blobs = Blobs::open(f.dir.path(), db.clone(), shared.clone()).expect("store");
        let settings = f.registry.0.settings.clone();
        let registry = Registry::new(blobs.clone(), db.clone(), shared, settings);
        let (dir, clock) = (f.dir, f.clock);
        Self::of(Fixture {
            dir,
            db,
            clock,
            blobs,
            registry,
        })
        .await
    }

    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("method");
        let url = format!("http://{}{path}", self.address);
        self.client
            .request(method, url)
            .basic_auth(USER, Some(TOKEN))
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("answer");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("body"),
        }
    }

    pub(super) async fn call(&self, method: &str, path: &str) -> Answer {
        self.send(self.request(method, path)).await
    }

    pub(super) async fn call_with(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(self.request(method, path).body(body.to_vec()))
            .await
    }

    /// `PATCH` or `PUT` with a `Content-Range`.
    pub(super) async fn piece(
        &self,
        method: &str,
        path: &str,
        first: usize,
        body: &[u8],
    ) -> Answer {
        let range = format!("{first}-{}", first + body.len() - 1);
        let request = self.request(method, path).header("content-range", range);
        self.send(request.body(body.to_vec())).await
    }

    /// A new upload's location.
    pub(super) async fn begin(&self, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.call("POST", &path).await.expect(202);
        assert_eq!(answer.header("range"), "0-0");
        answer.header("location").to_owned()
    }

    /// Pushes a blob in one request.
    pub(super) async fn push(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.call_with("POST", &path, bytes).await.expect(201);
        digest
    }

    pub(super) async fn put_manifest(&self, path: &str, kind: &str, bytes: &[u8]) -> Answer {
        let request = self.request("PUT", path).header("content-type", kind);
        self.send(request.body(bytes.to_vec())).await
    }

    /// The blob is there, by HEAD and by GET, and at `location`.
    pub(super) async fn expect_blob(&self, repository: &str, digest: &AnyDigest, bytes: &[u8]) {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let head = self.call("HEAD", &path).await.expect(200);
        let get = self.call("GET", &path).await.expect(200);
        for answer in [&head, &get] {
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), digest.as_str());
        }
        assert_eq!(get.body, bytes);
    }

    /// The answer to a complete push of a blob.
    pub(super) async fn expect_created(
        &self,
        answer: Answer,
        repository: &str,
        digest: &AnyDigest,
        bytes: &[u8],
    ) {
        let answer = answer.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest.as_str());
        let at = self
            .call("GET", answer.header("location"))
            .await
            .expect(200);
        assert_eq!(at.body, bytes);
        self.expect_blob(repository, digest, bytes).await;
    }

    /// An image with a configuration and layers of this text, all pushed.
    pub(super) async fn image(&self, repository: &str, texts: &[&str]) -> Value {
        let mut parts = Vec::new();
        for text in texts {
            self.push(repository, text.as_bytes()).await;
            parts.push(descriptor(LAYER, text.as_bytes()));
        }
        let mut config = parts.remove(0);
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        json!({ "schemaVersion": 2, "mediaType": OCI, "config": config, "layers": parts })
    }

    /// Files of uploads and temporary files.
    pub(super) fn leftovers(&self) -> usize {
        let count = |folder: &str| {
            let folder = std::fs::read_dir(self.f.dir.path().join(folder));
            folder.expect("folder").count()
        };
        count("uploads") + count("tmp")
    }
}

pub(super) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() })
}
