//! Importing, appending and sweeping.

use std::io::Cursor;

use serde_json::json;

use super::saved::{Saved, config_of};
use super::*;

#[tokio::test]
async fn an_image_of_the_classic_layout_keeps_its_layers_and_configuration() {
    let f = fixture();
    let config = config_of(&[b"one", b"two", b"one"]);
    let tar = Saved::new()
        .file("b/layer.tar", b"two")
        .file("b/VERSION", b"1.0")
        .link("c/layer.tar", "../a/layer.tar")
        .file("a/layer.tar", b"one")
        .file("config.json", &config)
        .manifest(
            "config.json",
            &["a/layer.tar", "b/layer.tar", "c/layer.tar"],
        )
        .file("repositories", b"{}");
    let imported = f.registry.import_saved("stacks/x", "latest", tar.reader());
    let digest = imported.await.expect("import");
    let manifest = document(f.get(&format!("/v2/stacks/x/manifests/{digest}")).await).await;
    assert_eq!(manifest["config"]["digest"], json!(Digest::of(&config)));
    let layers: Vec<_> = manifest["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .collect();
    let expected = [b"one", b"two", b"one"].map(|layer| json!(Digest::of(layer)));
    assert_eq!(
        layers
            .iter()
            .map(|l| l["digest"].clone())
            .collect::<Vec<_>>(),
        expected
    );
    let found = f.registry.find("stacks/x", "latest").await.expect("find");
    assert_eq!(found, Some(digest));
}

#[tokio::test]
async fn an_image_of_the_new_layout_may_have_compressed_layers_and_the_manifest_first() {
    let f = fixture();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"two").expect("gzip");
    let packed = packed.finish().expect("gzip");
    let config = config_of(&[b"one", b"two"]);
    let tar = Saved::new()
        .manifest("blobs/sha256/c", &["blobs/sha256/1", "blobs/sha256/2"])
        .file("oci-layout", b"{}")
        .file("blobs/sha256/2", &packed)
        .file("blobs/sha256/c", &config)
        .file("blobs/sha256/1", b"one")
        .file("blobs/sha256/unused", b"unused");
    let imported = f.registry.import_saved("stacks/x", "latest", tar.reader());
    imported.await.expect("import");
    let two = Digest::of(b"two");
    let layer = f.get(&format!("/v2/stacks/x/blobs/{two}")).await;
    assert_eq!(bytes(layer).await, b"two");
    let unused = f.blobs.find(&Digest::of(b"unused")).await.expect("find");
    assert_eq!(unused, None);
}

#[tokio::test]
async fn invalid_images_are_rejected_and_leave_nothing() {
    let f = fixture();
    let config = config_of(&[b"one"]);
    let cases = [
        ("no manifest", Saved::new().file("config.json", &config)),
        ("no json", Saved::new().file("manifest.json", b"{")),
        ("no image", Saved::new().file("manifest.json", b"[]")),
        (
            "missing layer",
            Saved::new()
                .file("config.json", &config)
                .manifest("config.json", &["a/layer.tar"]),
        ),
        (
            "circle of links",
            Saved::new()
                .file("config.json", &config)
                .link("a", "b")
                .link("b", "a")
                .manifest("config.json", &["a"]),
        ),
        (
            "changed layer",
            Saved::new()
                .file("config.json", &config)
                .file("a/layer.tar", b"other")
                .manifest("config.json", &["a/layer.tar"]),
        ),
        (
            "fewer layers than diff ids",
            Saved::new()
                .file("config.json", &config)
                .manifest("config.json", &[]),
        ),
    ];
    for (case, tar) in cases {
        let imported = f.registry.import_saved("stacks/x", "latest", tar.reader());
        let error = imported.await.expect_err(case);
        assert!(
            matches!(error, RegistryError::InvalidImage(_)),
            "{case}: {error}"
        );
    }
    let cut: ByteReader = Box::pin(Cursor::new(vec![b'x'; 700]));
    assert!(
        f.registry
            .import_saved("stacks/x", "latest", cut)
            .await
            .is_err()
    );
    let found = f.registry.find("stacks/x", "latest").await.expect("find");
    assert_eq!(found, None);
    assert_eq!(
        code(f.get("/v2/stacks/x/tags/list").await).await,
        "NAME_UNKNOWN"
    );
}

#[tokio::test]
async fn the_same_layer_on_the_same_base_is_the_same_image() {
    let f = fixture();
    let base = f.base().await;
    let first = f.append(&base, "droplets/1", "latest", "droplet").await;
    let second = f.append(&base, "droplets/2", "latest", "droplet").await;
    assert_eq!(first, second);
    let reference = f.registry.reference("droplets/1", &first);
    assert_eq!(reference, format!("127.0.0.1:5000/droplets/1@{first}"));
    let unknown = Digest::of(b"unknown");
    let layer = f.blobs.put_bytes("x").await.expect("layer");
    let change = ImageChange::default();
    let refused = f.registry.append_layer(&unknown, &layer, "a", "b", change);
    assert!(matches!(refused.await, Err(RegistryError::NotFound(_))));
}

#[tokio::test]
async fn the_sweep_keeps_referenced_blobs_and_removes_the_rest() {
    let f = fixture();
    let base = f.base().await;
    f.append(&base, "droplets/1", "latest", "droplet one").await;
    f.append(&base, "droplets/2", "latest", "droplet two").await;
    f.append(&base, "droplets/3", "latest", "droplet two").await;
    f.registry
        .remove_repository("droplets/1")
        .await
        .expect("remove");
    f.registry
        .remove_repository("droplets/2")
        .await
        .expect("remove");
    f.registry
        .remove_repository("droplets/2")
        .await
        .expect("twice");
    let gone = f.get("/v2/droplets/1/manifests/latest").await;
    assert_eq!(code(gone).await, "NAME_UNKNOWN");
    f.clock.advance(Duration::from_secs(7200));
    f.registry.sweep().await.expect("sweep");
    f.blobs.sweep().await.expect("sweep");
    for (text, kept) in [
        ("base layer", true),
        ("droplet two", true),
        ("droplet one", false),
    ] {
        let digest = Digest::of(text.as_bytes());
        assert_eq!(f.blobs.path(&digest).exists(), kept, "{text}");
    }
    let still = f.get("/v2/droplets/3/manifests/latest").await;
    assert_eq!(still.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_manifest_outlives_its_last_tag_for_a_while() {
    let f = fixture();
    let base = f.base().await;
    let old = f.append(&base, "x", "latest", "old").await;
    f.append(&base, "x", "also", "old").await;
    f.append(&base, "x", "latest", "new").await;
    f.clock.advance(Duration::from_secs(7200));
    let pulled = format!("/v2/x/manifests/{old}");
    f.registry.sweep().await.expect("sweep");
    assert_eq!(
        f.get(&pulled).await.status(),
        StatusCode::OK,
        "tagged as also"
    );
    f.append(&base, "x", "also", "new").await;
    f.registry.sweep().await.expect("sweep");
    assert_eq!(f.get(&pulled).await.status(), StatusCode::OK, "young");
    f.clock.advance(Duration::from_secs(7200));
    f.registry.sweep().await.expect("sweep");
    assert_eq!(code(f.get(&pulled).await).await, "MANIFEST_UNKNOWN");
    assert_eq!(f.get("/v2/x/manifests/also").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn names_are_checked_before_anything_is_read() {
    let f = fixture();
    for (repository, tag) in [
        ("A", "latest"),
        ("a", "-"),
        ("../a", "latest"),
        ("", "latest"),
    ] {
        let imported = f
            .registry
            .import_saved(repository, tag, classic_tar(&[b"x"]));
        assert!(matches!(imported.await, Err(RegistryError::InvalidName(_))));
    }
}
