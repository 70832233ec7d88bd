//! Copying images from another registry.

mod collect;
mod copies;
mod credentials;
mod downloads;
mod image;
mod layout;
mod outages;
mod proxy;
mod unusable;
mod upstream;

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Fixture, with_settings};
use crate::base::Secret;
use crate::blobs::Digest;
use crate::registry::upstream::{Credentials, ImageReference, Patience, UpstreamError};
use crate::registry::{MirrorRequest, Mirrored};
use image::{Image, Object, index};
use upstream::{Access, Fault, PATIENCE, USER, Upstream};

const PLATFORM: &str = "linux/amd64";
const REPOSITORY: &str = "droplets/one";

/// This registry, and the one that it calls `docker.io`.
struct Bench {
    fixture: Fixture,
    upstream: Upstream,
    progress: UnboundedSender<String>,
    texts: UnboundedReceiver<String>,
}

async fn bench() -> Bench {
    bench_with(|_| ()).await
}

async fn bench_with(change: impl FnOnce(&mut Patience)) -> Bench {
    let upstream = Upstream::start().await;
    let fixture = fixture_for(upstream.port, change);
    let (progress, texts) = unbounded_channel();
    Bench {
        fixture,
        upstream,
        progress,
        texts,
    }
}

fn fixture_for(port: u16, change: impl FnOnce(&mut Patience)) -> Fixture {
    let url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    with_settings(|settings| {
        settings.upstreams.insert("docker.io".to_owned(), url);
        settings.upstream.patience.again = Duration::from_millis(1);
        settings.upstream.patience.resume = Duration::from_millis(1);
        change(&mut settings.upstream.patience);
    })
}

fn request(image: &str) -> MirrorRequest {
    MirrorRequest {
        image: ImageReference::parse(image).expect("a reference"),
        credentials: None,
        platform: PLATFORM.to_owned(),
        repository: Some(REPOSITORY.to_owned()),
        previous: None,
    }
}

fn with_password(image: &str, password: &str) -> MirrorRequest {
    MirrorRequest {
        credentials: Some(Credentials::of_user(USER.0.to_owned(), password.to_owned())),
        ..request(image)
    }
}

async fn mirror(
    fixture: &Fixture,
    progress: &UnboundedSender<String>,
    request: &MirrorRequest,
) -> Result<Mirrored, UpstreamError> {
    let copying = fixture.registry.mirror(request, progress);
    let copied = tokio::time::timeout(PATIENCE, copying).await;
    copied.expect("an end in time")
}

impl Bench {
    async fn copy(&self, request: &MirrorRequest) -> Result<Mirrored, UpstreamError> {
        mirror(&self.fixture, &self.progress, request).await
    }

    async fn copied(&self, image: &str) -> Mirrored {
        self.copy(&request(image)).await.expect("a copy")
    }

    async fn failure(&self, request: &MirrorRequest) -> UpstreamError {
        self.copy(request).await.expect_err("a failure")
    }

    /// What was said since the last call.
    fn texts(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.texts.try_recv().ok()).collect()
    }

    async fn found(&self, repository: &str, reference: &str) -> Option<Digest> {
        let found = self.fixture.registry.find(repository, reference).await;
        found.expect("an answer")
    }

    /// Repositories with copies for everyone.
    async fn caches(&self) -> Vec<String> {
        const SQL: &str = "
            select distinct repository from registry_repository_manifests
            where repository like 'cache/%' union
            select distinct repository from registry_blobs where repository like 'cache/%'";
        let read = |tx: &crate::db::ReadTx<'_>| {
            let mut statement = tx.sql().prepare_cached(SQL)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok::<_, crate::db::DbError>(rows.collect::<Result<Vec<String>, _>>()?)
        };
        self.fixture.db.read(read).await.expect("repositories")
    }

    async fn holds(&self, object: &Object) -> bool {
        holds(&self.fixture, object).await
    }

    /// Nothing is left of a blob: neither file nor row, nor a temporary file of any.
    async fn assert_nothing_of(&self, object: &Object) {
        assert_nothing_of(&self.fixture, object).await;
    }
}

/// Whether a blob is listed, with its bytes.
async fn holds(fixture: &Fixture, object: &Object) -> bool {
    let listed = fixture.blobs.find(&object.digest).await.expect("an answer");
    let file = std::fs::read(fixture.blobs.path(&object.digest)).ok();
    if let Some(bytes) = &file {
        assert_eq!(bytes, &object.bytes);
    }
    assert_eq!(listed.is_some(), file.is_some());
    file.is_some()
}

async fn assert_nothing_of(fixture: &Fixture, object: &Object) {
    assert!(!holds(fixture, object).await);
    let temporary = fixture.dir.path().join("tmp");
    let left = std::fs::read_dir(temporary).expect("a folder").count();
    assert_eq!(left, 0, "temporary files");
}

/// The request for a blob.
fn get_blob(repository: &str, blob: &Object) -> String {
    format!("GET /v2/{repository}/blobs/{}", blob.digest)
}
