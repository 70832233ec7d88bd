//! Images of apps under the names of the apps.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::registry::apps::{AppImage, Apps, Starter};

/// One app of this name.
struct One(Arc<Mutex<AppImage>>);

#[async_trait]
impl Apps for One {
    async fn find(&self, name: &RepositoryName) -> Result<Option<AppImage>, String> {
        let app = self.0.lock().expect("the app").clone();
        Ok(Some(app).filter(|_| name.as_str() == "acme/dev/web"))
    }
}

async fn with_app() -> (Fixture, Arc<Mutex<AppImage>>) {
    let mut f = fixture();
    let base = f.base().await;
    let image = f.append(&base, "droplet", "latest", "app").await;
    let app = AppImage {
        guid: "guid".to_owned(),
        image,
        starter: Some(Starter {
            layer: bytes::Bytes::from_static(b"launcher"),
            change: ImageChange {
                command: Some(vec!["launch".to_owned(), "app".to_owned()]),
                environment: vec![("PORT".to_owned(), "8080".to_owned())],
                ..ImageChange::default()
            },
        }),
    };
    let app = Arc::new(Mutex::new(app));
    let access = Arc::new(PlatformOnly);
    f.registry = f.registry.with_access(access, Arc::new(One(app.clone())));
    (f, app)
}

const LATEST: &str = "/v2/acme/dev/web/manifests/latest";

/// The layers of the image, and its configuration.
async fn pulled(f: &Fixture) -> (Vec<String>, Value) {
    let manifest = f.get(LATEST).await;
    assert_eq!(manifest.status(), StatusCode::OK);
    let manifest = document(manifest).await;
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        format!("/v2/acme/dev/web/blobs/{digest}")
    };
    let mut layers = Vec::new();
    for layer in manifest["layers"].as_array().expect("layers") {
        let bytes = bytes(f.get(&blob(layer)).await).await;
        layers.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let config = document(f.get(&blob(&manifest["config"])).await).await;
    (layers, config)
}

#[tokio::test]
async fn an_app_is_an_image_with_what_starts_it() {
    let (f, _) = with_app().await;
    let (layers, config) = pulled(&f).await;
    assert_eq!(layers[1..], ["app", "launcher"]);
    assert_eq!(
        config["config"]["Cmd"],
        serde_json::json!(["launch", "app"])
    );
    let tags = document(f.get("/v2/acme/dev/web/tags/list").await).await;
    assert_eq!(tags["name"], "acme/dev/web");
    for missing in [
        "/v2/acme/dev/other/manifests/latest",
        "/v2/acme/dev/web/manifests/1",
        "/v2/acme/web/manifests/latest",
    ] {
        let answer = f.get(missing).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn the_image_follows_the_app_and_is_made_once() {
    let (f, app) = with_app().await;
    let digest = async || header(&f.get(LATEST).await, "docker-content-digest").to_owned();
    let first = digest().await;
    f.clock.advance(Duration::from_secs(60));
    assert_eq!(digest().await, first);
    app.lock().expect("the app").starter = None;
    let image = app.lock().expect("the app").image.to_string();
    assert_eq!(digest().await, image, "it starts by itself");
    f.clock.advance(Duration::from_secs(7200));
    f.registry.sweep().await.expect("swept");
    let old = format!("/v2/acme/dev/web/manifests/{first}");
    assert_eq!(f.get(&old).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(digest().await, image);
}

#[tokio::test]
async fn what_was_pushed_under_the_name_comes_first() {
    let (f, _) = with_app().await;
    let base = f.base().await;
    let pushed = f.append(&base, "acme/dev/web", "latest", "pushed").await;
    let got = f.get(LATEST).await;
    assert_eq!(header(&got, "docker-content-digest"), pushed.as_str());
}
