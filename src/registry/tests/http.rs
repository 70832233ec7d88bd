//! The registry as clients see it.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::base::Supervisor;

use super::*;

#[tokio::test]
async fn every_request_needs_the_token_unless_pulls_are_anonymous() {
    let closed = fixture();
    for path in ["/v2/", "/v2", "/v2/a/tags/list", "/v2/a/manifests/x"] {
        let refused = closed.send(Request::builder().uri(path)).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            header(&refused, "www-authenticate"),
            "Basic realm=\"cflite\""
        );
        assert_eq!(code(refused).await, "UNAUTHORIZED");
        assert_ne!(closed.get(path).await.status(), StatusCode::UNAUTHORIZED);
    }
    let open = with_anonymous_pull(true);
    let welcome = open.send(Request::builder().uri("/v2/")).await;
    assert_eq!(welcome.status(), StatusCode::OK);
    assert_eq!(
        header(&welcome, "docker-distribution-api-version"),
        "registry/2.0"
    );
    let write = open
        .send(Request::builder().method("DELETE").uri("/v2/"))
        .await;
    assert_eq!(write.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn head_and_get_carry_the_same_headers() {
    let f = fixture();
    let digest = f.base().await;
    let layer = Digest::of(b"base layer");
    for (path, kind, named) in [
        (
            "/v2/stacks/base/manifests/latest".to_owned(),
            image::DOCKER_MANIFEST,
            &digest,
        ),
        (
            format!("/v2/stacks/base/manifests/{digest}"),
            image::DOCKER_MANIFEST,
            &digest,
        ),
        (
            format!("/v2/stacks/base/blobs/{layer}"),
            "application/octet-stream",
            &layer,
        ),
    ] {
        let head = f.send(authorized("HEAD", &path)).await;
        let get = f.get(&path).await;
        for answer in [&head, &get] {
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(header(answer, "content-type"), kind);
            assert_eq!(header(answer, "docker-content-digest"), named.as_str());
        }
        let length = header(&head, "content-length").to_owned();
        assert_eq!(header(&get, "content-length"), length);
        assert!(bytes(head).await.is_empty());
        let body = bytes(get).await;
        assert_eq!(body.len().to_string(), length);
        assert_eq!(Digest::of(&body), *named);
    }
}

#[tokio::test]
async fn ranges_of_a_blob_are_served() {
    let f = fixture();
    f.base().await;
    let path = format!("/v2/stacks/base/blobs/{}", Digest::of(b"base layer"));
    let part = f
        .send(authorized("GET", &path).header("range", "bytes=5-7"))
        .await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 5-7/10");
    assert_eq!(header(&part, "content-length"), "3");
    assert_eq!(bytes(part).await, b"lay");
    let beyond = f
        .send(authorized("GET", &path).header("range", "bytes=10-"))
        .await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), "bytes */10");
}

async fn expect_code(f: &Fixture, method: &str, path: &str, expected: (u16, &str)) {
    let answer = f.send(authorized(method, path)).await;
    assert_eq!(answer.status(), expected.0, "{method} {path}");
    assert_eq!(code(answer).await, expected.1, "{method} {path}");
}

#[tokio::test]
async fn unknown_resources_have_their_codes() {
    let f = fixture();
    let known = f.base().await;
    let unknown = Digest::of(b"unknown");
    for (path, status, expected) in [
        ("/v2/a/manifests/latest", 404, "NAME_UNKNOWN"),
        ("/v2/stacks/base/manifests/9", 404, "MANIFEST_UNKNOWN"),
        ("/v2/stacks/base/manifests/UNKNOWN", 404, "MANIFEST_UNKNOWN"),
        ("/v2/stacks/base/blobs/UNKNOWN", 404, "BLOB_UNKNOWN"),
        ("/v2/stacks/base/blobs/sha256:bad", 400, "DIGEST_INVALID"),
        ("/v2/A/tags/list", 400, "NAME_INVALID"),
        ("/other", 404, "NOT_FOUND"),
    ] {
        let path = path.replace("UNKNOWN", unknown.as_str());
        expect_code(&f, "GET", &path, (status, expected)).await;
    }
    let none = document(f.get(&format!("/v2/stacks/base/referrers/{known}")).await).await;
    assert_eq!(none["manifests"], json!([]));
}

#[tokio::test]
async fn methods_that_a_resource_does_not_have_are_unsupported() {
    let f = fixture();
    let digest = Digest::of(b"x");
    for (method, path) in [
        ("PUT", "/v2/".to_owned()),
        ("GET", "/v2/a/blobs/uploads/".to_owned()),
        ("POST", "/v2/a/manifests/latest".to_owned()),
        ("PUT", format!("/v2/a/blobs/{digest}")),
        ("DELETE", "/v2/a/tags/list".to_owned()),
        ("POST", format!("/v2/a/referrers/{digest}")),
        ("POST", "/v2/a/blobs/uploads/1".to_owned()),
    ] {
        expect_code(&f, method, &path, (405, "UNSUPPORTED")).await;
    }
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let f = fixture();
    let base = f.base().await;
    for tag in ["b", "c", "a"] {
        f.append(&base, "stacks/base", tag, tag).await;
    }
    let list = async |query: &str| {
        let answer = f.get(&format!("/v2/stacks/base/tags/list{query}")).await;
        let link = answer.headers().get("link").cloned();
        (document(answer).await["tags"].clone(), link)
    };
    assert_eq!(list("").await, (json!(["a", "b", "c", "latest"]), None));
    let (tags, link) = list("?n=2").await;
    assert_eq!(tags, json!(["a", "b"]));
    let next = "</v2/stacks/base/tags/list?n=2&last=b>; rel=\"next\"";
    assert_eq!(link.expect("link"), next);
    assert_eq!(list("?n=2&last=b").await, (json!(["c", "latest"]), None));
    assert_eq!(list("?n=0").await, (json!([]), None));
}

#[tokio::test]
async fn a_blob_is_readable_only_through_a_repository_that_needs_it() {
    let f = fixture();
    let base = f.base().await;
    f.append(&base, "droplets/1", "latest", "droplet one").await;
    f.append(&base, "droplets/2", "latest", "droplet two").await;
    let path =
        |n: u32, text: &str| format!("/v2/droplets/{n}/blobs/{}", Digest::of(text.as_bytes()));
    assert_eq!(
        bytes(f.get(&path(1, "droplet one")).await).await,
        b"droplet one"
    );
    assert_eq!(
        bytes(f.get(&path(2, "base layer")).await).await,
        b"base layer"
    );
    assert_eq!(
        code(f.get(&path(2, "droplet one")).await).await,
        "BLOB_UNKNOWN"
    );
}

#[tokio::test]
async fn a_truncated_blob_is_an_error_and_not_a_short_response() {
    let f = fixture();
    f.base().await;
    let digest = Digest::of(b"base layer");
    std::fs::write(f.blobs.path(&digest), b"base").expect("cut");
    let answer = f.get(&format!("/v2/stacks/base/blobs/{digest}")).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(code(answer).await, "UNKNOWN");
}

/// Docker's containerd image store falls back to plain HTTP only if the response to its TLS hello
/// starts like this.
#[tokio::test]
async fn a_tls_hello_is_answered_in_plain_http() {
    let f = fixture();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    let supervisor = Supervisor::new();
    let (registry, token) = (f.registry.clone(), supervisor.token());
    supervisor.once(async move { registry.serve(listener, token).await.expect("clean end") });

    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connect");
    stream.write_all(&client_hello()).await.expect("hello");
    let mut start = [0; 5];
    stream.read_exact(&mut start).await.expect("answer");
    assert_eq!(&start, b"HTTP/");

    drop(stream);
    assert!(supervisor.shut_down(Duration::from_secs(5)).await);
}

fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().expect("name");
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("hello");
    hello
}
