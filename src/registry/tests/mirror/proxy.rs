//! Other registries, read through this one.

use ::http::{Request, Response, StatusCode};
use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::super::{authorized, bytes, code, header};
use super::*;

const APP: &str = "/v2/proxy/docker.io/app";

fn manifest(reference: impl std::fmt::Display) -> String {
    format!("{APP}/manifests/{reference}")
}

fn blob(object: &Object) -> String {
    format!("{APP}/blobs/{}", object.digest)
}

impl Bench {
    async fn get(&self, path: &str) -> Response<Body> {
        let got = tokio::time::timeout(PATIENCE, self.fixture.get(path)).await;
        got.expect("an answer in time")
    }

    async fn part(&self, path: &str, range: &str) -> Response<Body> {
        let request = authorized("GET", path).header("range", range);
        self.fixture.send(request).await
    }

    /// What everybody gets of the mirror.
    async fn mirrored(&self, method: &str, path: &str) -> Response<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).expect("a request");
        let mirror = crate::registry::api::mirror_router(self.fixture.registry.clone());
        mirror.oneshot(request).await.expect("an answer")
    }

    /// Reads an image as a daemon does.
    async fn pull(&self, image: &Image) {
        let got = self.get(&manifest("1")).await;
        assert_eq!(got.status(), StatusCode::OK);
        if bytes(got).await != image.manifest.bytes {
            let child = self.get(&manifest(image.digest())).await;
            assert_eq!(header(&child, "content-type"), image.manifest.kind);
            assert_eq!(bytes(child).await, image.manifest.bytes);
        }
        for object in image.blobs() {
            let got = self.get(&blob(object)).await;
            assert_eq!(got.status(), StatusCode::OK);
            assert_eq!(
                header(&got, "content-length"),
                object.bytes.len().to_string()
            );
            assert_eq!(
                header(&got, "docker-content-digest"),
                object.digest.as_str()
            );
            assert_eq!(bytes(got).await, object.bytes);
        }
    }

    async fn until_holds(&self, object: &Object) {
        let holding = async {
            // The file is there before the row.
            while self
                .fixture
                .blobs
                .find(&object.digest)
                .await
                .expect("an answer")
                .is_none()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let held = tokio::time::timeout(PATIENCE, holding).await;
        held.expect("the blob in time");
        assert!(self.holds(object).await);
    }
}

/// An image for two platforms under the tag 1.
fn upstream_image(bench: &Bench) -> (Object, Image) {
    let amd = Image::oci(PLATFORM, &["base for amd", "app for amd"]);
    let arm = Image::oci("linux/arm64", &["base for arm"]);
    let both = index(&[&arm, &amd]);
    bench.upstream.add_parts(&amd);
    bench.upstream.add_parts(&arm);
    bench.upstream.tag("library/app:1", &both);
    (both, amd)
}

/// An image of one layer under the tag 1, and the request for that.
fn one_layer(bench: &Bench, layer: &str) -> (Image, String) {
    let image = Image::oci(PLATFORM, &[layer]);
    bench.upstream.add("library/app:1", &image);
    let line = get_blob("library/app", &image.layers[0]);
    (image, line)
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Vec<u8> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
    let frame = frame.expect("bytes in time").expect("bytes");
    frame.expect("bytes").into_data().expect("data").to_vec()
}

#[tokio::test]
async fn an_image_is_fetched_once_and_read_again_without_its_registry() {
    let mut bench = bench().await;
    let (both, amd) = upstream_image(&bench);
    bench.pull(&amd).await;
    for object in amd.blobs() {
        let asked = bench.upstream.asked(&get_blob("library/app", object));
        assert_eq!(asked.len(), 1, "{}", object.kind);
    }
    bench.upstream.forget();
    bench.pull(&amd).await;
    let asked = bench.upstream.asked("");
    let lines: Vec<&str> = asked.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(lines, ["HEAD /v2/library/app/manifests/1"]);

    bench.upstream.stop().await;
    let stale = bench.get(&manifest("1")).await;
    assert_eq!(
        header(&stale, "warning"),
        "110 cflite \"Response is Stale\""
    );
    assert_eq!(bytes(stale).await, both.bytes);
    bench.pull(&amd).await;
    let tags = bench.get(&format!("{APP}/tags/list")).await;
    let tags = super::super::document(tags).await;
    let expected = serde_json::json!({ "name": "proxy/docker.io/app", "tags": ["1"] });
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn a_tag_that_moved_is_fetched_again() {
    let bench = bench().await;
    let (image, _) = one_layer(&bench, "old");
    bench.pull(&image).await;
    let (image, _) = one_layer(&bench, "new");
    bench.pull(&image).await;
    let cache = "cache/docker.io/library/app";
    assert_eq!(bench.found(cache, "1").await.as_ref(), Some(image.digest()));
}

/// A layer whose first half comes at once, and its second when the test allows it.
async fn half_a_layer(bench: &Bench) -> (Image, String) {
    let (image, line) = one_layer(bench, &"0123456789".repeat(40_000));
    bench.upstream.fail(&line, 1, Fault::Held(200_000));
    bytes(bench.get(&manifest("1")).await).await;
    (image, line)
}

#[tokio::test]
async fn the_first_bytes_come_before_the_last_have_arrived() {
    let bench = bench().await;
    let (image, line) = half_a_layer(&bench).await;
    let layer = &image.layers[0];
    let mut body = bench.get(&blob(layer)).await.into_body();
    let mut read = next(&mut body).await;
    assert!(layer.bytes.starts_with(&read));
    let part = bench.part(&blob(layer), "bytes=4-8").await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 4-8/400000");
    assert_eq!(bytes(part).await, b"45678");
    bench.upstream.release();
    while read.len() < layer.bytes.len() {
        read.extend(next(&mut body).await);
    }
    assert!(read == layer.bytes);
    assert_eq!(bench.upstream.asked(&line).len(), 1);
    assert!(bench.holds(layer).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_readers_of_a_cold_blob_ask_for_it_once() {
    let bench = bench().await;
    let (image, line) = half_a_layer(&bench).await;
    let path = blob(&image.layers[0]);
    let readers = (0..20).map(|_| async { bytes(bench.get(&path).await).await });
    let readers = futures_util::future::join_all(readers);
    let released = async {
        bench.upstream.until_asked(&line).await;
        bench.upstream.release();
    };
    let (all, ()) = tokio::join!(readers, released);
    for read in all {
        assert!(read == image.layers[0].bytes);
    }
    assert_eq!(bench.upstream.asked(&line).len(), 1);
}

#[tokio::test]
async fn what_a_client_asked_for_is_kept_when_it_goes_away() {
    let bench = bench().await;
    let (image, _) = half_a_layer(&bench).await;
    let mut body = bench.get(&blob(&image.layers[0])).await.into_body();
    next(&mut body).await;
    drop(body);
    bench.upstream.release();
    bench.until_holds(&image.layers[0]).await;
}

#[tokio::test]
async fn wrong_bytes_never_reach_a_client_as_a_whole() {
    for sent in ["bytes of the same si", "the bytes of a layer and more"] {
        let bench = bench().await;
        let (image, line) = one_layer(&bench, "the bytes of a layer");
        bench.upstream.fail(&line, u32::MAX, Fault::Instead(sent));
        bytes(bench.get(&manifest("1")).await).await;
        let got = bench.get(&blob(&image.layers[0])).await;
        assert_eq!(header(&got, "content-length"), "20");
        let mut body = got.into_body();
        let mut read = 0;
        let ended = loop {
            match body.frame().await {
                Some(Ok(frame)) => read += frame.into_data().expect("data").len(),
                ended => break ended,
            }
        };
        assert!(ended.is_some_and(|end| end.is_err()), "{sent}");
        assert!(read < 20, "{read}");
        bench.assert_nothing_of(&image.layers[0]).await;
    }
}

#[tokio::test]
async fn a_head_request_downloads_nothing() {
    let bench = bench().await;
    let (image, line) = one_layer(&bench, "the bytes of a layer");
    let head = authorized("HEAD", &blob(&image.layers[0]));
    let got = bench.fixture.send(head).await;
    assert_eq!(got.status(), StatusCode::OK);
    assert_eq!(header(&got, "content-length"), "20");
    assert_eq!(bench.upstream.asked(&line).len(), 0);
    bench.assert_nothing_of(&image.layers[0]).await;
}

/// A manifest may name what its author cannot read, and its registry may say that it has it.
#[tokio::test]
async fn the_digest_of_a_private_layer_opens_it_for_nobody() {
    let bench = bench().await;
    let secret = bench.fixture.blobs.put_bytes("a private layer").await;
    secret.expect("a blob");
    let image = Image::oci(PLATFORM, &["a private layer"]);
    bench.upstream.add("library/app:1", &image);
    let line = get_blob("library/app", &image.layers[0]);
    bench.upstream.fail(&line, 9, Fault::Status(404));
    bytes(bench.get(&manifest("1")).await).await;
    let got = bench.get(&blob(&image.layers[0])).await;
    let read = got.into_body().collect().await;
    assert!(read.is_err(), "{read:?}");
    let refused = bench.failure(&request("app:1")).await;
    assert!(
        matches!(refused, UpstreamError::NotFound { .. }),
        "{refused}"
    );
    bench.upstream.fail("HEAD", 9, Fault::Status(500));
    let refused = bench.failure(&request("app:1")).await;
    assert!(
        refused.to_string().contains("its copy is not complete"),
        "{refused}"
    );
    assert_eq!(bench.found(REPOSITORY, "latest").await, None);
}

#[tokio::test]
async fn a_name_of_this_registry_inside_another_leads_nowhere() {
    let bench = bench().await;
    let names = bench.fixture.registry.names();
    for (name, origin) in [
        (
            "localhost:5000/proxy/docker.io/app:1",
            "docker.io/library/app:1",
        ),
        ("registry.cf.localhost/proxy/ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        (
            "localhost:5000/proxy/localhost__5000/org/space/app:1",
            "localhost:5000/org/space/app:1",
        ),
        (
            "localhost:5000/proxy/localhost__5000/proxy/docker.io/app:1",
            "docker.io/library/app:1",
        ),
        ("localhost:5000/me/app:1", "localhost:5000/me/app:1"),
        ("ghcr.io/proxy/docker.io/x:1", "ghcr.io/proxy/docker.io/x:1"),
    ] {
        let image = ImageReference::parse(name).expect(name);
        assert_eq!(names.origin_of(image).to_string(), origin, "{name}");
    }
}

#[tokio::test]
async fn failures_of_other_registries_have_their_codes() {
    let bench = bench().await;
    one_layer(&bench, "layer");
    let odd = Object::new("application/json", "{}");
    bench.upstream.tag("library/app:odd", &odd);
    let limited = Fault::Limited { retry_after: 60 };
    bench.upstream.fail("/manifests/limited", 9, limited);
    bench
        .upstream
        .fail("/manifests/broken", 9, Fault::Status(500));
    for (path, status, expected) in [
        (manifest("limited"), 429, "TOOMANYREQUESTS"),
        (manifest("broken"), 502, "UNAVAILABLE"),
        (manifest("absent"), 404, "MANIFEST_UNKNOWN"),
        (manifest("sha256:12"), 400, "DIGEST_INVALID"),
        (manifest("odd"), 404, "MANIFEST_UNKNOWN"),
        (
            "/v2/proxy/docker.io/manifests/1".to_owned(),
            404,
            "NAME_UNKNOWN",
        ),
        (
            "/v2/proxy/localhost__5000/x/manifests/1".to_owned(),
            403,
            "DENIED",
        ),
        (
            "/v2/proxy/registry.cf.localhost/x/manifests/1".to_owned(),
            403,
            "DENIED",
        ),
        (
            "/v2/proxy/127.0.0.1__1/x/manifests/1".to_owned(),
            403,
            "DENIED",
        ),
        (
            "/v2/proxy/registry.example.com/x/manifests/1".to_owned(),
            403,
            "DENIED",
        ),
    ] {
        let got = bench.get(&path).await;
        assert_eq!(got.status().as_u16(), status, "{path}");
        if status == 429 {
            assert_eq!(header(&got, "retry-after"), "60");
        }
        assert_eq!(code(got).await, expected, "{path}");
    }
    bench.upstream.access(Access::Basic);
    assert_eq!(code(bench.get(&manifest("other")).await).await, "DENIED");
    for (method, path) in [
        ("PUT", manifest("1")),
        ("DELETE", manifest("1")),
        ("POST", format!("{APP}/blobs/uploads/")),
    ] {
        let refused = bench.fixture.send(authorized(method, &path)).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn who_is_offline_reads_copies_and_learns_how_to_get_others() {
    let bench = bench().await;
    let (image, _) = one_layer(&bench, "layer");
    bench.pull(&image).await;
    let offline = bench
        .fixture
        .again(|settings| settings.upstream.offline = true);
    let sent = offline.get(&manifest("1")).await;
    assert_eq!(bytes(sent).await, image.manifest.bytes);
    bench.upstream.forget();
    let refused = offline.get(&manifest("2")).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    let text = super::super::document(refused).await.to_string();
    let command = "`cflite registry prefetch docker.io/library/app:2`";
    assert!(text.contains(command), "{text}");
    let (progress, _texts) = unbounded_channel();
    let copied = mirror(&offline, &progress, &request("app:1")).await;
    assert_eq!(&copied.expect("a copy").digest, image.digest());
    assert_eq!(bench.upstream.asked("").len(), 0);
}

#[tokio::test]
async fn a_mirror_is_docker_hub_to_everybody_and_nothing_else() {
    let bench = bench().await;
    let (image, _) = one_layer(&bench, "layer");
    // A user's image under a name that Docker Hub has, too.
    let base = bench.fixture.base().await;
    bench.fixture.append(&base, "library/own", "1", "own").await;
    for (method, path, status) in [
        ("GET", "/v2/", 200),
        ("GET", "/v2/library/app/manifests/1", 200),
        ("GET", "/v2/library/app/manifests/1?ns=docker.io", 200),
        ("GET", "/v2/library/own/manifests/1", 404),
        ("GET", "/v2/app/manifests/1?ns=localhost:5000", 403),
        ("GET", "/v2/app/manifests/1?ns=not/a/host", 404),
        ("GET", "/v2/app/manifests/1?ns=registry.example.com", 403),
        ("DELETE", "/v2/library/app/manifests/1", 405),
        ("POST", "/v2/library/app/blobs/uploads/", 405),
        ("GET", "/cflite/registry", 404),
    ] {
        let got = bench.mirrored(method, path).await;
        assert_eq!(got.status().as_u16(), status, "{method} {path}");
    }
    let layer = format!("/v2/library/app/blobs/{}", image.layers[0].digest);
    let got = bytes(bench.mirrored("GET", &layer).await).await;
    assert_eq!(got, image.layers[0].bytes);
}

#[tokio::test]
async fn one_token_serves_all_requests_about_a_repository() {
    let bench = bench().await;
    let (_, amd) = upstream_image(&bench);
    bench.upstream.access(Access::Bearer {
        realm: None,
        public: true,
    });
    bench.pull(&amd).await;
    assert_eq!(bench.upstream.asked("/token").len(), 1);
}
