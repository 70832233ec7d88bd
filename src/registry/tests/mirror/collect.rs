//! What is kept, and for how long.

use crate::base::Live;
use std::time::Duration;

use ::http::StatusCode;
use serde_json::{Value, json};

use super::super::{authorized, bytes, document, fixture};
use super::*;

const HOUR: Duration = Duration::from_secs(3601);

/// Copies two images, the second an hour later; returns them.
async fn two_copies(bench: &Bench) -> (Image, Image) {
    let (old, new) = (
        Image::oci(PLATFORM, &["base", "old"]),
        Image::oci(PLATFORM, &["base", "new"]),
    );
    bench.upstream.add("library/old:1", &old);
    bench.upstream.add("library/new:1", &new);
    for image in ["old:1", "new:1"] {
        let copied = bench.copy(&for_cache(image)).await;
        copied.expect("a copy");
        bench.fixture.clock.advance(HOUR);
    }
    (old, new)
}

fn for_cache(image: &str) -> MirrorRequest {
    MirrorRequest {
        repository: None,
        ..request(image)
    }
}

/// The bytes that only copies need.
async fn cached(fixture: &Fixture) -> u64 {
    let listed = document(fixture.get("/cflite/registry").await).await;
    listed["cache_bytes"].as_u64().expect("a number")
}

async fn collect(fixture: &Fixture, query: &str) -> Value {
    let request = authorized("POST", &format!("/cflite/registry/gc{query}"));
    let answer = fixture.send(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    document(answer).await
}

#[tokio::test]
async fn copies_beyond_the_limit_go_the_longest_unused_first() {
    let bench = bench().await;
    let (old, new) = two_copies(&bench).await;
    let all = cached(&bench.fixture).await;
    let f = bench
        .fixture
        .again(|settings| settings.cache_limit = Live::new(all - 1));
    // A use makes the first the younger one.
    let manifest = "/v2/proxy/docker.io/old/manifests/1";
    assert_eq!(f.get(manifest).await.status(), StatusCode::OK);
    f.clock.advance(HOUR);

    let expected = json!([{
        "repository": "cache/docker.io/library/new", "digest": new.digest(),
    }]);
    let preview = collect(&f, "?dry_run=true").await;
    assert_eq!(preview["evicted"], expected);
    assert_eq!(preview["blobs"], 3, "manifest, configuration and layer");
    assert_eq!(cached(&f).await, all, "a preview changes nothing");
    let collected = collect(&f, "").await;
    assert_eq!(collected, preview);
    assert!(holds(&f, &old.layers[0]).await, "the shared layer");
    assert!(holds(&f, &old.layers[1]).await);
    assert_nothing_of(&f, &new.layers[1]).await;
    assert_eq!(collect(&f, "").await["evicted"], json!([]));
}

#[tokio::test]
async fn what_a_droplet_needs_outlives_its_copy() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["base", "app"]);
    bench.upstream.add("library/app:1", &image);
    bench.copied("app:1").await;
    bench.fixture.clock.advance(HOUR);
    let f = bench
        .fixture
        .again(|settings| settings.cache_limit = Live::new(0));
    assert_eq!(cached(&f).await, 0, "the droplet needs all of it");
    assert_eq!(collect(&f, "").await["evicted"], json!([]));

    f.registry
        .remove_repository(REPOSITORY)
        .await
        .expect("removed");
    let collected = collect(&f, "").await;
    assert_eq!(collected["evicted"][0]["digest"], json!(image.digest()));
    for object in image.blobs().chain([&image.manifest]) {
        assert_nothing_of(&f, object).await;
    }
}

#[tokio::test]
async fn a_copy_without_a_tag_is_kept_until_it_is_evicted() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    let path = format!("/v2/proxy/docker.io/app/manifests/{}", image.digest());
    let blob = format!("/v2/proxy/docker.io/app/blobs/{}", image.layers[0].digest);
    for path in [&path, &blob] {
        bytes(bench.fixture.get(path).await).await;
    }
    bench.fixture.clock.advance(HOUR * 24);
    collect(&bench.fixture, "").await;
    assert!(bench.holds(&image.layers[0]).await);
    let listed = document(bench.fixture.get("/cflite/registry").await).await;
    assert_eq!(listed["images"][0]["digest"], json!(image.digest()));
    assert_eq!(
        listed["images"][0]["complete"], false,
        "nobody asked for its configuration"
    );
}

#[tokio::test]
async fn a_copy_that_its_tag_left_goes_with_its_blobs() {
    let bench = bench().await;
    let (first, second) = (
        Image::oci(PLATFORM, &["first"]),
        Image::oci(PLATFORM, &["second"]),
    );
    for image in [&first, &second] {
        bench.upstream.add("library/app:1", image);
        bench.copy(&for_cache("app:1")).await.expect("a copy");
    }
    bench.fixture.clock.advance(HOUR);
    collect(&bench.fixture, "").await;
    assert_nothing_of(&bench.fixture, &first.layers[0]).await;
    assert!(bench.holds(&second.layers[0]).await);
}

#[tokio::test]
async fn an_image_is_fetched_ahead_line_by_line() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    let prefetch = async |name: &str| {
        let request = authorized("POST", "/cflite/registry/prefetch");
        let body = json!({ "image": name, "platform": PLATFORM }).to_string();
        let request = request.body(axum::body::Body::from(body)).expect("request");
        let router = bench.fixture.registry.router();
        let answer = tower::ServiceExt::oneshot(router, request).await;
        let lines = bytes(answer.expect("an answer")).await;
        let lines = String::from_utf8(lines).expect("text");
        let parsed = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("json"));
        parsed.collect::<Vec<Value>>()
    };
    let lines = prefetch("localhost:5000/proxy/docker.io/app:1").await;
    let (last, texts) = lines.split_last().expect("lines");
    assert!(
        texts.iter().all(|line| line["progress"].is_string()),
        "{texts:?}"
    );
    let expected = json!({ "done": {
        "image": "docker.io/library/app:1", "digest": image.digest(), "size": 3,
    }});
    assert_eq!(*last, expected);
    assert_eq!(bench.caches().await, ["cache/docker.io/library/app"]);
    let refused = prefetch("app:2").await;
    let text = refused[0]["error"].as_str().expect("a text");
    assert!(
        text.starts_with("docker.io/library/app:2 was not found"),
        "{text}"
    );
    assert_eq!(prefetch("A b").await[0]["errors"][0]["code"], "UNSUPPORTED");
}

#[tokio::test]
async fn only_operators_may_operate() {
    let f = fixture();
    for (method, path) in [
        ("GET", "/cflite/registry"),
        ("POST", "/cflite/registry/gc"),
        ("POST", "/cflite/registry/prefetch"),
    ] {
        let request = ::http::Request::builder().method(method).uri(path);
        let refused = f.send(request).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}
