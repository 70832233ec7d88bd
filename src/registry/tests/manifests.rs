//! Pushing and deleting manifests of every kind.

use serde_json::json;

use super::service::{ALGORITHMS, LAYER, OCI, Service, content, descriptor};
use super::*;

const INDEX: &str = manifest::OCI_INDEX;

/// Pushes by digest and by tag, and reads it back under both.
async fn round_trip(s: &Service, kind: &str, text: &str) {
    for algorithm in ALGORITHMS {
        let digest = algorithm.of(text.as_bytes());
        let by_digest = format!("/v2/a/b/manifests/{digest}");
        let pushed = s
            .put_manifest(&by_digest, kind, text.as_bytes())
            .await
            .expect(201);
        assert_eq!(pushed.header("docker-content-digest"), digest.as_str());
        assert_eq!(pushed.header("location"), by_digest);
    }
    let digest = Digest::of(text.as_bytes());
    let by_tag = "/v2/a/b/manifests/tag";
    let pushed = s.put_manifest(by_tag, kind, text.as_bytes()).await;
    let pushed = pushed.expect(201);
    assert_eq!(pushed.header("docker-content-digest"), digest.as_str());
    for path in [by_tag, pushed.header("location")] {
        for method in ["HEAD", "GET"] {
            let answer = s.call(method, path).await.expect(200);
            assert_eq!(answer.header("content-type"), kind);
            assert_eq!(answer.header("content-length"), text.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), digest.as_str());
            if method == "GET" {
                assert_eq!(answer.body, text);
            }
        }
    }
    let tags = s.call("GET", "/v2/a/b/tags/list").await.expect(200).json();
    assert_eq!(tags, json!({ "name": "a/b", "tags": ["tag"] }));
    s.call("DELETE", by_tag).await.expect(202);
    s.call("GET", by_tag).await.expect(404);
    let path = format!("/v2/a/b/manifests/{digest}");
    s.call("GET", &path).await.expect(200);
    s.call("DELETE", &path).await.expect(202);
    assert_eq!(
        s.call("GET", &path).await.expect(404).code(),
        "MANIFEST_UNKNOWN"
    );
    s.call("DELETE", &path).await.expect(404);
}

#[tokio::test]
async fn images_of_every_form_are_kept_as_they_came() {
    let s = Service::start().await;
    let image = s.image("a/b", &["config", "layer"]).await;
    let mut no_layers = image.clone();
    no_layers["layers"] = json!([]);
    let mut unknown = image.clone();
    unknown["org.example.unknown"] = json!({ "x": [1, null] });
    unknown["config"]["unknown"] = json!(1);
    let mut data = image.clone();
    data["layers"][0]["data"] = json!("bGF5ZXI=");
    let mut big = image.clone();
    big["annotations"] = json!({ "big": "x".repeat(3_900_000) });
    let mut untyped = image.clone();
    untyped.as_object_mut().expect("object").remove("mediaType");
    for document in [image, no_layers, unknown, data, big, untyped] {
        let spaced = format!(" {document}\n");
        round_trip(&s, OCI, &spaced).await;
    }
}

#[tokio::test]
async fn docker_images_and_lists_are_kept_as_they_came() {
    let s = Service::start().await;
    let mut image = s.image("a/b", &["config", "layer"]).await;
    image["mediaType"] = json!(image::DOCKER_MANIFEST);
    round_trip(&s, image::DOCKER_MANIFEST, &image.to_string()).await;
    let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [] });
    round_trip(&s, kind, &list.to_string()).await;
}

#[tokio::test]
async fn indexes_may_be_empty_nested_or_sparse() {
    let s = Service::start().await;
    let image = s.image("a/b", &["config"]).await.to_string();
    let path = format!("/v2/a/b/manifests/{}", Digest::of(image.as_bytes()));
    s.put_manifest(&path, OCI, image.as_bytes())
        .await
        .expect(201);
    let index = |children: Vec<Value>| {
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }).to_string()
    };
    let inner = index(vec![
        descriptor(OCI, image.as_bytes()),
        descriptor(OCI, b"never pushed"),
    ]);
    let path = format!("/v2/a/b/manifests/{}", Digest::of(inner.as_bytes()));
    s.put_manifest(&path, INDEX, inner.as_bytes())
        .await
        .expect(201);
    round_trip(&s, INDEX, &index(vec![descriptor(INDEX, inner.as_bytes())])).await;
    round_trip(&s, INDEX, &index(Vec::new())).await;
}

#[tokio::test]
async fn a_tree_named_by_sha512_is_kept() {
    let s = Service::start().await;
    let (config, layer) = (content("config", 600), content("layer", 600));
    let named = |kind: &str, bytes: &[u8]| {
        let digest = crate::blobs::Sha512Digest::of(bytes);
        json!({ "mediaType": kind, "digest": digest.as_str(), "size": bytes.len() })
    };
    for bytes in [&config, &layer] {
        let digest = crate::blobs::Sha512Digest::of(bytes);
        let path = format!("/v2/a/b/blobs/uploads/?digest={digest}");
        s.call_with("POST", &path, bytes).await.expect(201);
    }
    let image = json!({
        "schemaVersion": 2, "mediaType": OCI, "config": named("application/x", &config),
        "layers": [named(LAYER, &layer)],
    });
    let image = image.to_string();
    let digest = crate::blobs::Sha512Digest::of(image.as_bytes());
    let path = format!("/v2/a/b/manifests/{digest}?tag=one&tag=two");
    let pushed = s.put_manifest(&path, OCI, image.as_bytes()).await;
    let pushed = pushed.expect(201);
    assert_eq!(pushed.header("docker-content-digest"), digest.as_str());
    assert_eq!(pushed.header("oci-tag"), "one, two");
    let at = s.call("GET", pushed.header("location")).await.expect(200);
    assert_eq!(at.header("docker-content-digest"), digest.as_str());
    assert_eq!(at.body, image);
    for tag in ["one", "two"] {
        let path = format!("/v2/a/b/manifests/{tag}");
        assert_eq!(s.call("GET", &path).await.expect(200).body, image);
        s.call("DELETE", &path).await.expect(202);
    }
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [named(OCI, image.as_bytes())],
    });
    round_trip(&s, INDEX, &index.to_string()).await;
}

#[tokio::test]
async fn foreign_layers_need_not_be_pushed_but_others_must() {
    let s = Service::start().await;
    let mut image = s.image("a/b", &["config", "layer"]).await;
    for kind in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        image["layers"][0] = descriptor(kind, b"foreign");
        round_trip(&s, OCI, &image.to_string()).await;
    }
    s.push("elsewhere", b"missing").await;
    image["layers"][0] = descriptor(LAYER, b"missing");
    let path = "/v2/a/b/manifests/tag";
    let refused = s
        .put_manifest(path, OCI, image.to_string().as_bytes())
        .await;
    assert_eq!(refused.expect(404).code(), "MANIFEST_BLOB_UNKNOWN");
    s.call("GET", path).await.expect(404);
}

#[tokio::test]
async fn wrong_manifests_have_their_codes() {
    let s = Service::start().await;
    let image = s.image("a/b", &["config"]).await.to_string();
    let other = Digest::of(b"other");
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let by_digest = format!("/v2/a/b/manifests/{other}");
    for (path, kind, body, status, code) in [
        (&*by_digest, OCI, &*image, 400, "DIGEST_INVALID"),
        (
            "/v2/a/b/manifests/sha256:baddigeststring",
            OCI,
            &image,
            400,
            "DIGEST_INVALID",
        ),
        ("/v2/a/b/manifests/x", OCI, "{", 400, "MANIFEST_INVALID"),
        (
            "/v2/a/b/manifests/x",
            INDEX,
            &image,
            400,
            "MANIFEST_INVALID",
        ),
        (
            "/v2/a/b/manifests/x",
            "text/plain",
            &image,
            400,
            "MANIFEST_INVALID",
        ),
        (
            "/v2/a/b/manifests/x",
            schema_1,
            r#"{"schemaVersion":1}"#,
            405,
            "UNSUPPORTED",
        ),
    ] {
        let answer = s.put_manifest(path, kind, body.as_bytes()).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{path} {kind}"
        );
    }
    let answer = s.put_manifest(
        "/v2/a/b/manifests/x",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
        image.as_bytes(),
    );
    answer.await.expect(201);
    let stored = s.call("GET", "/v2/a/b/manifests/x").await.expect(200);
    assert_eq!(stored.header("content-type"), OCI);
}

#[tokio::test]
async fn a_manifest_may_have_4_mib_and_not_more_than_8() {
    let s = Service::start().await;
    let image = s.image("a/b", &["config"]).await;
    for (size, status) in [(4_400_000, 201), (8_500_000, 413)] {
        let mut image = image.clone();
        image["annotations"] = json!({ "big": "x".repeat(size) });
        let text = image.to_string();
        let path = "/v2/a/b/manifests/big";
        s.put_manifest(path, OCI, text.as_bytes())
            .await
            .expect(status);
        let pieces = text.as_bytes().chunks(100_000).map(<[u8]>::to_vec);
        let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
        let body = reqwest::Body::wrap_stream(tokio_stream::iter(pieces));
        let request = s.request("PUT", path).header("content-type", OCI);
        s.send(request.body(body)).await.expect(status);
    }
}

#[tokio::test]
async fn deleting_a_manifest_deletes_its_tags() {
    let s = Service::start().await;
    let image = s.image("a/b", &["config"]).await.to_string();
    for tag in ["one", "two"] {
        let path = format!("/v2/a/b/manifests/{tag}");
        s.put_manifest(&path, OCI, image.as_bytes())
            .await
            .expect(201);
    }
    let digest = Digest::of(image.as_bytes());
    s.call("DELETE", &format!("/v2/a/b/manifests/{digest}"))
        .await
        .expect(202);
    for reference in ["one", "two", digest.as_str()] {
        let answer = s
            .call("GET", &format!("/v2/a/b/manifests/{reference}"))
            .await;
        assert_eq!(answer.expect(404).code(), "MANIFEST_UNKNOWN");
    }
}
