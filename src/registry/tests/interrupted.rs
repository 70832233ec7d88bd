//! Uploads that meet failures, restarts, sweeps and each other.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::service::{OCI, Service, content};
use super::*;

/// A body that is sent as the test goes on.
fn open_body() -> (mpsc::Sender<std::io::Result<Bytes>>, reqwest::Body) {
    let (sender, receiver) = mpsc::channel(1);
    (
        sender,
        reqwest::Body::wrap_stream(ReceiverStream::new(receiver)),
    )
}

/// Sends some bytes, and breaks the connection.
async fn break_off(sender: mpsc::Sender<std::io::Result<Bytes>>, chunk: Bytes) {
    sender.send(Ok(chunk)).await.expect("send");
    let gone = std::io::Error::other("gone");
    sender.send(Err(gone)).await.expect("send");
}

/// Waits until the upload has so many bytes.
async fn arrived(s: &Service, location: &str, size: usize) {
    let expected = format!("0-{}", size - 1);
    let waiting = async {
        loop {
            let status = s.call("GET", location).await.expect(204);
            if status.header("range") == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limited = tokio::time::timeout(Duration::from_secs(20), waiting);
    limited.await.expect("the bytes arrive");
}

#[tokio::test]
async fn two_writers_of_the_same_blob_both_succeed() {
    let s = Service::start().await;
    let bytes = content("same", 2_000_000);
    let digest = AnyDigest::Sha256(Digest::of(&bytes));
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let location = s.begin("b").await;
    let put = format!("{location}?digest={digest}");
    let (one, two) = tokio::join!(
        s.call_with("POST", &path, &bytes),
        s.call_with("PUT", &put, &bytes)
    );
    s.expect_created(one, "a", &digest, &bytes).await;
    s.expect_created(two, "b", &digest, &bytes).await;
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn an_upload_has_one_writer_at_a_time() {
    let s = Service::start().await;
    let location = s.begin("a").await;
    let (sender, body) = open_body();
    let first = tokio::join!(s.send(s.request("PATCH", &location).body(body)), async {
        let chunk = Bytes::from(vec![7; 200_000]);
        sender.send(Ok(chunk)).await.expect("send");
        let waiting = async {
            while s
                .f
                .dir
                .path()
                .join("uploads")
                .read_dir()
                .expect("folder")
                .next()
                .expect("file")
                .expect("file")
                .metadata()
                .expect("size")
                .len()
                == 0
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let limited = tokio::time::timeout(Duration::from_secs(20), waiting);
        limited.await.expect("bytes arrive");
        for method in ["PATCH", "DELETE"] {
            let second = s.call(method, &location).await.expect(409);
            assert_eq!(second.code(), "BLOB_UPLOAD_INVALID");
        }
        drop(sender);
    })
    .0;
    assert_eq!(first.expect(202).header("range"), "0-199999");
}

#[tokio::test]
async fn a_broken_patch_keeps_what_arrived() {
    let s = Service::start().await;
    let bytes = content("broken", 500_000);
    let location = s.begin("a").await;
    let (sender, body) = open_body();
    let request = s.request("PATCH", &location).body(body);
    let chunk = Bytes::copy_from_slice(&bytes[..300_000]);
    let (sent, ()) = tokio::join!(request.send(), break_off(sender, chunk));
    assert!(sent.is_err());
    arrived(&s, &location, 300_000).await;

    let digest = AnyDigest::Sha256(Digest::of(&bytes));
    let path = format!("{location}?digest={digest}");
    let answer = s.piece("PUT", &path, 300_000, &bytes[300_000..]).await;
    s.expect_created(answer, "a", &digest, &bytes).await;
}

#[tokio::test]
async fn a_broken_push_in_one_request_leaves_nothing() {
    let s = Service::start().await;
    let digest = Digest::of(b"never");
    let location = s.begin("a").await;
    for (method, path) in [
        ("POST", format!("/v2/a/blobs/uploads/?digest={digest}")),
        ("PUT", format!("{location}?digest={digest}")),
    ] {
        let (sender, body) = open_body();
        let request = s.request(method, &path).body(body);
        let chunk = Bytes::from(vec![7; 300_000]);
        let (sent, ()) = tokio::join!(request.send(), break_off(sender, chunk));
        assert!(sent.is_err());
    }
    let waiting = async {
        loop {
            let status = s.call("GET", &location).await.expect(204);
            if status.header("range") == "0-0" && s.leftovers() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limited = tokio::time::timeout(Duration::from_secs(20), waiting);
    limited.await.expect("taken back");
}

#[tokio::test]
async fn an_upload_survives_a_restart() {
    let s = Service::start().await;
    let bytes = content("restart", 500_000);
    let location = s.begin("a").await;
    s.piece("PATCH", &location, 0, &bytes[..300_000])
        .await
        .expect(202);
    let s = s.restart().await;
    arrived(&s, &location, 300_000).await;
    s.piece("PATCH", &location, 300_000, &bytes[300_000..400_000])
        .await
        .expect(202);
    let s = s.restart().await;
    for (algorithm, status) in [
        (service::Algorithm::Sha512, 201),
        (service::Algorithm::Sha256, 404),
    ] {
        let path = format!("{location}?digest={}", algorithm.of(&bytes));
        let request = s.request("PUT", &path).body(bytes[400_000..].to_vec());
        s.send(request).await.expect(status);
    }
    let digest = service::Algorithm::Sha512.of(&bytes);
    s.expect_blob("a", &digest, &bytes).await;
    let s = s.restart().await;
    s.expect_blob("a", &digest, &bytes).await;
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn a_full_disk_is_500_with_a_json_body_and_leaves_no_file() {
    let s = Service::start().await;
    let location = s.begin("a").await;
    let id = location.rsplit('/').next().expect("id");
    let file = s.f.dir.path().join("uploads").join(id);
    std::fs::remove_file(&file).expect("remove");
    std::os::unix::fs::symlink("/dev/full", &file).expect("link");
    let answer = s
        .call_with("PATCH", &location, &[7; 1000])
        .await
        .expect(500);
    assert_eq!(answer.code(), "UNKNOWN");
    assert_eq!(s.leftovers(), 0);
    s.call("GET", &location).await.expect(404);
    s.push("a", b"others go on").await;
}

#[tokio::test]
async fn uploads_that_wait_too_long_are_swept() {
    let s = Service::start().await;
    let old = s.begin("a").await;
    s.f.clock.advance(Duration::from_secs(20 * 3600));
    let young = s.begin("a").await;
    s.f.clock.advance(Duration::from_secs(5 * 3600));
    let f = &s.f;
    f.registry.sweep().await.expect("sweep");
    s.call("GET", &old).await.expect(404);
    s.call("GET", &young).await.expect(204);
    assert_eq!(s.leftovers(), 1);
}

async fn sweep(s: &Service) {
    s.f.registry.sweep().await.expect("sweep");
    s.f.blobs.sweep().await.expect("sweep");
}

#[tokio::test]
async fn a_sweep_spares_what_was_just_pushed_mounted_or_asked_for() {
    let s = Service::start().await;
    let image = s.image("a", &["config", "layer"]).await.to_string();
    let digests = [Digest::of(b"config"), Digest::of(b"layer")];
    s.f.clock.advance(Duration::from_secs(50 * 60));
    for digest in &digests {
        let path = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        s.call("POST", &path).await.expect(201);
    }
    s.f.clock.advance(Duration::from_secs(50 * 60));
    sweep(&s).await;
    for digest in &digests {
        // The first link was too old, the second is not, and a client that asks needs the blob.
        s.call("HEAD", &format!("/v2/a/blobs/{digest}"))
            .await
            .expect(404);
        s.call("HEAD", &format!("/v2/b/blobs/{digest}"))
            .await
            .expect(200);
    }
    s.f.clock.advance(Duration::from_secs(50 * 60));
    sweep(&s).await;
    s.put_manifest("/v2/b/manifests/x", OCI, image.as_bytes())
        .await
        .expect(201);
    s.f.clock.advance(Duration::from_secs(9 * 3600));
    sweep(&s).await;
    s.call("GET", "/v2/b/manifests/x").await.expect(200);
    s.call("GET", &format!("/v2/b/blobs/{}", digests[1]))
        .await
        .expect(200);
}

/// Whatever the order, a push or mount that succeeded can be completed.
#[tokio::test]
async fn a_sweep_that_races_with_push_and_mount_loses_nothing() {
    let s = Service::start().await;
    for round in 0..10 {
        let texts = [format!("config {round}"), format!("layer {round}")];
        let [config, layer] = texts.each_ref().map(String::as_str);
        s.push("a", layer.as_bytes()).await;
        s.f.clock.advance(Duration::from_secs(2 * 3600));
        let digest = Digest::of(layer.as_bytes());
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        let sweeps = async {
            for _ in 0..3 {
                sweep(&s).await;
            }
        };
        let (mounted, pushed, ()) = tokio::join!(
            s.call("POST", &mount),
            s.push("b", config.as_bytes()),
            sweeps
        );
        assert_eq!(pushed, Digest::of(config.as_bytes()));
        if mounted.status == 202 {
            s.push("b", layer.as_bytes()).await;
        }
        let image = s.image("b", &[config]).await;
        let mut image = image;
        image["layers"] =
            serde_json::json!([service::descriptor(service::LAYER, layer.as_bytes())]);
        let path = format!("/v2/b/manifests/{round}");
        s.put_manifest(&path, OCI, image.to_string().as_bytes())
            .await
            .expect(201);
        sweep(&s).await;
        let blob = AnyDigest::Sha256(digest);
        s.expect_blob("b", &blob, layer.as_bytes()).await;
    }
}
