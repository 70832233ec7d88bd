//! Images that cannot be used.

use super::*;

#[tokio::test]
async fn an_index_without_the_platform_is_refused_with_its_name() {
    let bench = bench().await;
    let arm = Image::oci("linux/arm64", &["app"]);
    bench.upstream.add_parts(&arm);
    bench.upstream.tag("library/app:1", &index(&[&arm]));
    let error = bench.failure(&request("app:1")).await;
    assert_eq!(
        error.to_string(),
        "no matching manifest for linux/amd64 in the manifest list entries"
    );
}

#[tokio::test]
async fn an_image_for_another_platform_is_refused_before_its_layers_are_asked_for() {
    let bench = bench().await;
    let arm = Image::oci("linux/arm64", &["app"]);
    bench.upstream.add("library/app:1", &arm);
    let text = bench.failure(&request("app:1")).await.to_string();
    let expected = "it is for linux/arm64, and this machine runs linux/amd64";
    assert!(text.contains(expected), "{text}");
    let layer = get_blob("library/app", &arm.layers[0]);
    assert_eq!(bench.upstream.asked(&layer).len(), 0);
}

#[tokio::test]
async fn schema_1_is_refused() {
    let bench = bench().await;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let text = r#"{"schemaVersion":1,"name":"library/app","tag":"1","fsLayers":[]}"#;
    bench
        .upstream
        .tag("library/app:1", &Object::new(kind, text));
    let text = bench.failure(&request("app:1")).await.to_string();
    assert!(text.contains("schema 1"), "{text}");
}

#[tokio::test]
async fn layers_that_stay_with_their_vendor_are_refused() {
    let bench = bench().await;
    let image = Image::foreign(PLATFORM);
    bench.upstream.add("library/app:1", &image);
    let text = bench.failure(&request("app:1")).await.to_string();
    assert!(text.contains("must not be copied"), "{text}");
    assert_eq!(bench.upstream.asked("/blobs/").len(), 0);
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_says_is_refused() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    bench
        .upstream
        .fail("/manifests/", u32::MAX, Fault::Instead("{}"));
    let by_digest = format!("app@{}", image.digest());
    let error = bench.failure(&request(&by_digest)).await;
    assert!(
        matches!(error, UpstreamError::WrongContent { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn sizes_that_no_disk_has_are_refused() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["one", "two"]);
    let mut document: serde_json::Value =
        serde_json::from_slice(&image.manifest.bytes).expect("json");
    for layer in 0..2 {
        document["layers"][layer]["size"] = u64::MAX.into();
    }
    let manifest = Object::new(&image.manifest.kind, document.to_string());
    bench.upstream.tag("library/app:1", &manifest);
    let error = bench.failure(&request("app:1")).await;
    assert!(
        matches!(error, UpstreamError::Unsupported { .. }),
        "{error}"
    );
}
