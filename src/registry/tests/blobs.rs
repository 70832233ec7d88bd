//! Pushing blobs in every way, as the conformance suite does, for both algorithms.

use super::service::{ALGORITHMS, Service, content};
use super::*;

const UPLOADS: &str = "/v2/a/b/blobs/uploads/";

/// As dockerd writes digests in queries.
fn escaped(digest: &AnyDigest) -> String {
    digest.as_str().replace(':', "%3A")
}

/// An upload's location with a digest.
fn with_digest(location: &str, digest: &AnyDigest) -> String {
    let joint = if location.contains('?') { '&' } else { '?' };
    format!("{location}{joint}digest={}", escaped(digest))
}

#[tokio::test]
async fn a_missing_blob_is_404() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let path = format!("/v2/a/b/blobs/{}", algorithm.of(b"missing"));
        assert_eq!(
            s.call("GET", &path).await.expect(404).code(),
            "BLOB_UNKNOWN"
        );
        s.call("HEAD", &path).await.expect(404);
    }
}

#[tokio::test]
async fn a_blob_is_pushed_with_one_post() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        for bytes in [&content("post", 512)[..], b"", b"{}"] {
            let digest = algorithm.of(bytes);
            let path = format!("{UPLOADS}?digest={}", escaped(&digest));
            let answer = s.call_with("POST", &path, bytes).await;
            s.expect_created(answer, "a/b", &digest, bytes).await;
        }
    }
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn a_blob_is_pushed_with_post_and_put() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        for bytes in [&content("put", 512)[..], b"", b"{}"] {
            let digest = algorithm.of(bytes);
            let location = s.begin("a/b").await;
            let answer = s
                .call_with("PUT", &with_digest(&location, &digest), bytes)
                .await;
            s.expect_created(answer, "a/b", &digest, bytes).await;
            s.call("GET", &location).await.expect(404);
        }
    }
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn a_blob_is_pushed_in_one_chunk() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let bytes = content("chunk", 512);
        let digest = algorithm.of(&bytes);
        let location = s.begin("a/b").await;
        let answer = s.piece("PATCH", &location, 0, &bytes).await.expect(202);
        assert_eq!(answer.header("range"), "0-511");
        let path = with_digest(answer.header("location"), &digest);
        let answer = s.call("PUT", &path).await;
        s.expect_created(answer, "a/b", &digest, &bytes).await;
    }
}

#[tokio::test]
async fn a_blob_is_pushed_in_three_chunks_and_the_last_may_come_with_the_put() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        for put_last in [false, true] {
            let bytes = content("chunks", 3 * 1024 - 5);
            let digest = algorithm.of(&bytes);
            let mut location = s.begin("a/b").await;
            let chunks: Vec<&[u8]> = bytes.chunks(1024).collect();
            for (number, chunk) in chunks[..2].iter().enumerate() {
                let answer = s.piece("PATCH", &location, number * 1024, chunk).await;
                let answer = answer.expect(202);
                let last = number * 1024 + 1023;
                assert_eq!(answer.header("range"), format!("0-{last}"));
                location = answer.header("location").to_owned();
            }
            let path = with_digest(&location, &digest);
            let answer = if put_last {
                s.piece("PUT", &path, 2048, chunks[2]).await
            } else {
                s.piece("PATCH", &location, 2048, chunks[2])
                    .await
                    .expect(202);
                s.call("PUT", &path).await
            };
            s.expect_created(answer, "a/b", &digest, &bytes).await;
        }
    }
}

#[tokio::test]
async fn a_blob_is_streamed_in_a_patch_of_unknown_length() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let bytes = content("stream", 700_000);
        let digest = algorithm.of(&bytes);
        let location = s.begin("a/b").await;
        let pieces: Vec<_> = bytes.chunks(9_999).map(<[u8]>::to_vec).collect();
        let pieces = tokio_stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let request = s.request("PATCH", &location);
        let answer = s
            .send(request.body(reqwest::Body::wrap_stream(pieces)))
            .await;
        assert_eq!(answer.expect(202).header("range"), "0-699999");
        let answer = s.call("PUT", &with_digest(&location, &digest)).await;
        s.expect_created(answer, "a/b", &digest, &bytes).await;
    }
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_repository_or_from_any() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        for from in ["&from=a/b", ""] {
            let bytes = content(&format!("mount {algorithm:?} {from}"), 512);
            let digest = algorithm.of(&bytes);
            let path = format!("{UPLOADS}?digest={}", escaped(&digest));
            s.call_with("POST", &path, &bytes).await.expect(201);
            let path = format!("/v2/c/blobs/uploads/?mount={}{from}", escaped(&digest));
            let answer = s.call("POST", &path).await;
            s.expect_created(answer, "c", &digest, &bytes).await;
        }
    }
}

#[tokio::test]
async fn a_mount_of_an_unknown_blob_begins_an_upload() {
    let s = Service::start().await;
    s.push("other", b"elsewhere").await;
    for algorithm in ALGORITHMS {
        let bytes = content("unknown", 512);
        let digest = algorithm.of(&bytes);
        let path = format!("/v2/c/blobs/uploads/?mount={digest}&from=a/b");
        let answer = s.call("POST", &path).await.expect(202);
        let path = with_digest(answer.header("location"), &digest);
        let answer = s.call_with("PUT", &path, &bytes).await;
        s.expect_created(answer, "c", &digest, &bytes).await;
    }
    let known = Digest::of(b"elsewhere");
    for query in [
        format!("mount={known}&from=a/b"),
        format!("mount={known}&from=A"),
        "mount=sha256:bad&from=other".to_owned(),
    ] {
        s.call("POST", &format!("/v2/c/blobs/uploads/?{query}"))
            .await
            .expect(202);
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let s = Service::start().await;
    let location = s.begin("a/b").await;
    s.call_with("PATCH", &location, b"bytes").await.expect(202);
    s.call("DELETE", &location).await.expect(204);
    for method in ["GET", "DELETE", "PATCH"] {
        let answer = s.call(method, &location).await.expect(404);
        assert_eq!(answer.code(), "BLOB_UPLOAD_UNKNOWN");
    }
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let s = Service::start().await;
    let location = s.begin("a/b").await;
    let elsewhere = location.replace("/a/b/", "/c/");
    for path in [
        &*elsewhere,
        "/v2/a/b/blobs/uploads/x",
        "/v2/a/b/blobs/uploads/%2e%2e%2fx",
    ] {
        let answer = s.call("GET", path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    s.call("GET", &location).await.expect(204);
}

#[tokio::test]
async fn a_chunk_out_of_order_is_416_and_the_upload_goes_on() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let bytes = content("order", 3 * 1024 - 5);
        let digest = algorithm.of(&bytes);
        let location = s.begin("a/b").await;
        let path = with_digest(&location, &digest);
        s.piece("PATCH", &location, 1024, &bytes[1024..2048])
            .await
            .expect(416);
        let status = s.call("GET", &location).await.expect(204);
        assert_eq!(status.header("range"), "0-0");
        s.piece("PATCH", &location, 0, &bytes[..1024])
            .await
            .expect(202);
        let gap = s.piece("PUT", &path, 2048, &bytes[2048..]).await;
        let again = s.piece("PATCH", &location, 0, &bytes[..1024]).await;
        for answer in [gap, again] {
            let answer = answer.expect(416);
            assert_eq!(answer.code(), "BLOB_UPLOAD_INVALID");
            assert_eq!(answer.header("range"), "0-1023");
            assert_eq!(answer.header("location"), location);
        }
        let status = s.call("GET", &location).await.expect(204);
        assert_eq!(status.header("range"), "0-1023");
        assert_eq!(status.header("location"), location);
        let answer = s.piece("PUT", &path, 1024, &bytes[1024..]).await;
        s.expect_created(answer, "a/b", &digest, &bytes).await;
    }
}

#[tokio::test]
async fn a_chunk_of_another_length_than_it_says_is_rejected() {
    let s = Service::start().await;
    let location = s.begin("a/b").await;
    s.piece("PATCH", &location, 0, b"12345").await.expect(202);
    for (range, body) in [("5-6", &b"678"[..]), ("5-9", b"6"), ("x", b"6")] {
        for chunked in [false, true] {
            let request = s.request("PATCH", &location).header("content-range", range);
            let pieces = tokio_stream::iter([Ok::<_, std::io::Error>(body.to_vec())]);
            let request = if chunked {
                request.body(reqwest::Body::wrap_stream(pieces))
            } else {
                request.body(body.to_vec())
            };
            s.send(request).await.expect(400);
        }
    }
    let status = s.call("GET", &location).await.expect(204);
    assert_eq!(status.header("range"), "0-4");
    // What was taken back was hashed, too.
    let digest = AnyDigest::Sha256(Digest::of(b"123456"));
    let path = with_digest(&location, &digest);
    let answer = s.piece("PUT", &path, 5, b"6").await;
    s.expect_created(answer, "a/b", &digest, b"123456").await;
}

#[tokio::test]
async fn a_wrong_digest_is_400_in_all_five_ways_and_leaves_nothing() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let wrong = algorithm.of(b"something else");
        let bytes = content("wrong", 2048);
        let mut answers = Vec::new();
        let path = format!("{UPLOADS}?digest={wrong}");
        answers.push(("POST", s.call_with("POST", &path, &bytes).await));
        let location = s.begin("a/b").await;
        let path = with_digest(&location, &wrong);
        answers.push(("POST and PUT", s.call_with("PUT", &path, &bytes).await));
        let location = s.begin("a/b").await;
        s.piece("PATCH", &location, 0, &bytes).await.expect(202);
        let path = with_digest(&location, &wrong);
        answers.push(("one chunk", s.call("PUT", &path).await));
        let location = s.begin("a/b").await;
        s.piece("PATCH", &location, 0, &bytes[..1024])
            .await
            .expect(202);
        let path = with_digest(&location, &wrong);
        let last = s.piece("PUT", &path, 1024, &bytes[1024..]).await;
        answers.push(("last chunk in PUT", last));
        let location = s.begin("a/b").await;
        s.call_with("PATCH", &location, &bytes).await.expect(202);
        let path = with_digest(&location, &wrong);
        answers.push(("stream", s.call("PUT", &path).await));
        for (way, answer) in answers {
            assert_eq!(answer.status, 400, "{way}");
            assert_eq!(answer.code(), "DIGEST_INVALID", "{way}");
        }
        for digest in [wrong, algorithm.of(&bytes)] {
            let path = format!("/v2/a/b/blobs/{digest}");
            s.call("HEAD", &path).await.expect(404);
        }
    }
    assert_eq!(s.leftovers(), 0);
}

#[tokio::test]
async fn a_malformed_digest_is_400() {
    let s = Service::start().await;
    let bad = "sha256:baddigeststring";
    let path = format!("{UPLOADS}?digest={bad}");
    let post = s.call_with("POST", &path, b"x").await.expect(400);
    assert_eq!(post.code(), "DIGEST_INVALID");
    let location = s.begin("a/b").await;
    for path in [format!("{location}?digest={bad}"), location.clone()] {
        let put = s.call_with("PUT", &path, b"x").await.expect(400);
        assert_eq!(put.code(), "DIGEST_INVALID");
    }
    let get = s.call("GET", &format!("/v2/a/b/blobs/{bad}")).await;
    assert_eq!(get.expect(400).code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn ranges_of_a_pushed_blob_are_served() {
    let s = Service::start().await;
    let bytes = content("range", 4096);
    let digest = s.push("a/b", &bytes).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    for (range, expected) in [
        ("500-1499", Some(500..1500)),
        ("500-", Some(500..4096)),
        ("-500", Some(3596..4096)),
        ("2000-5000", Some(2000..4096)),
        ("500-0", None),
        ("5000-10000", None),
    ] {
        let request = s.request("GET", &path);
        let answer = s
            .send(request.header("range", format!("bytes={range}")))
            .await;
        let Some(expected) = expected else {
            answer.expect(416);
            continue;
        };
        let answer = answer.expect(206);
        let (first, last) = (expected.start, expected.end - 1);
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {first}-{last}/4096")
        );
        assert_eq!(answer.body, bytes[expected], "{range}");
    }
}

#[tokio::test]
async fn a_deleted_blob_is_404_at_once_and_only_there() {
    let s = Service::start().await;
    for algorithm in ALGORITHMS {
        let bytes = content(&format!("{algorithm:?}"), 512);
        let digest = algorithm.of(&bytes);
        for repository in ["a/b", "c"] {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            s.call_with("POST", &path, &bytes).await.expect(201);
        }
        let path = format!("/v2/a/b/blobs/{digest}");
        s.call("DELETE", &path).await.expect(202);
        s.call("HEAD", &path).await.expect(404);
        s.call("DELETE", &path).await.expect(404);
        s.expect_blob("c", &digest, &bytes).await;
    }
}

#[tokio::test]
async fn a_blob_of_another_repository_is_not_shown() {
    let s = Service::start().await;
    let digest = s.push("private", b"secret").await;
    s.push("other", b"known").await;
    let path = format!("/v2/other/blobs/{digest}");
    assert_eq!(
        s.call("GET", &path).await.expect(404).code(),
        "BLOB_UNKNOWN"
    );
}
