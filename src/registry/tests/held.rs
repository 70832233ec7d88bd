//! Images whose layers the Docker daemon has.

use super::*;
use crate::base::SystemClock;
use crate::docker::{Engine, FakeEngine, Verb};
use crate::registry::image::Manifest;

const STACK: &str = "cflite/stack";

/// A registry beside a daemon with an image, and the image as a registry that imported it has it.
struct Beside {
    f: Fixture,
    engine: FakeEngine,
    imported: Digest,
    held: HeldImage,
}

async fn beside() -> Beside {
    let engine = FakeEngine::new(Arc::new(SystemClock));
    let image = engine.add_image("stack:1");
    let other = fixture();
    let saved = engine.save("stack:1").await.expect("saved");
    let imported = other.registry.import_saved(STACK, "1", saved).await;
    let imported = imported.expect("imported");
    let parts = other.registry.parts(&imported).await.expect("parts");
    let manifest = Manifest::parse(&parts.manifest).expect("a manifest");
    let config = other.registry.document(&manifest.config.digest).await;
    let held = HeldImage {
        config: config.expect("a configuration"),
        layers: manifest.layers.iter().map(|layer| layer.blob()).collect(),
    };
    assert_eq!(held.id().to_string(), image.id);
    let mut f = fixture();
    f.registry = f.registry.with_daemon(Arc::new(engine.clone()));
    Beside {
        f,
        engine,
        imported,
        held,
    }
}

fn blob_of(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

#[tokio::test]
async fn an_adopted_image_costs_nothing_and_its_layers_come_when_they_are_read() {
    let Beside {
        f,
        engine,
        imported,
        held,
    } = beside().await;
    let layer = held.layers[0].clone();
    let adopted = f.registry.adopt(STACK, "1", held).await.expect("adopted");
    assert_eq!(adopted, imported, "it is the same image");
    assert_eq!(f.blobs.find(&layer.digest).await.expect("asked"), None);
    let droplet = f.append(&adopted, "droplet", "latest", "app").await;
    let manifest = f.get(&format!("/v2/droplet/manifests/{droplet}")).await;
    assert_eq!(manifest.status(), StatusCode::OK);
    assert_eq!(
        document(manifest).await["layers"].as_array().map(Vec::len),
        Some(2)
    );

    // A client that has not the layer, first through the droplet.
    let response = f.get(&blob_of("droplet", &layer.digest)).await;
    assert_eq!(bytes(response).await.len() as u64, layer.size);
    engine.fail(Verb::Save, DockerError::Failed("read twice".to_owned()));
    let response = f.get(&blob_of(STACK, &layer.digest)).await;
    assert_eq!(bytes(response).await.len() as u64, layer.size);
    // It stays as long as an image needs it.
    f.clock.advance(UNTAGGED_GRACE * 2);
    f.registry.sweep().await.expect("swept");
    f.blobs.sweep().await.expect("swept");
    let response = f.get(&blob_of("droplet", &layer.digest)).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_images_that_wait_for_a_layer_get_it() {
    let Beside {
        f, engine, held, ..
    } = beside().await;
    let layer = held.layers[0].digest.clone();
    f.registry
        .adopt(STACK, "1", held.clone())
        .await
        .expect("adopted");
    f.append(&f.base().await, "other", "latest", "app").await;
    let response = f.get(&blob_of("other", &layer)).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(f.blobs.find(&layer).await.expect("asked"), None);
    // The daemon lost the image: the layer is unknown, not a fault of the registry.
    engine.remove_image("stack:1").await.expect("removed");
    let response = f.get(&blob_of(STACK, &layer)).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bundle_has_the_layers_of_an_adopted_image() {
    let Beside { f, held, .. } = beside().await;
    let layer = held.layers[0].digest.clone();
    f.registry.adopt(STACK, "1", held).await.expect("adopted");
    let request = ExportRequest {
        own: vec![(
            RepositoryName::parse(STACK).expect("a name"),
            Tag::parse("1").expect("a tag"),
        )],
        ..ExportRequest::default()
    };
    let bundle = f.registry.export(request).await.expect("exported");
    let other = fixture();
    other.registry.import_layout(bundle).await.expect("loaded");
    assert!(other.blobs.find(&layer).await.expect("asked").is_some());
}

#[tokio::test]
async fn a_description_of_another_image_is_refused() {
    let Beside { f, mut held, .. } = beside().await;
    held.layers.push(Blob {
        digest: Digest::of(b"another"),
        size: 7,
    });
    let refused = f.registry.adopt(STACK, "1", held).await;
    assert!(matches!(refused, Err(RegistryError::InvalidImage(_))));
    assert_eq!(f.registry.find(STACK, "1").await.expect("asked"), None);
}
