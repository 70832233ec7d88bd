//! After everything was deleted nothing is kept of it: no blob, no image.

use std::io::Write;
use std::time::Duration;

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space, related};
use proptest::prelude::*;
use serde_json::json;

/// Blobs that belong to a resource of the API.
const REFERENCES: &str =
    "select count(*) from blob_references where owner_kind not in ('manifest', 'resource')";
/// Images of droplets.
const IMAGES: &str = "select count(*) from registry_repository_manifests \
    where repository glob '????????-????-????-????-????????????'";

/// What happens to one of two apps.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// Uploads a package and has it staged; with `true` the end is waited for.
    Push(bool),
    /// Copies the newest package and the newest droplet to the other app.
    Copy,
    /// Deletes the newest package.
    DeletePackage,
    /// Deletes the newest droplet.
    DeleteDroplet,
    /// Gives up all build caches.
    ClearCaches,
    /// Deletes the app and makes it anew.
    Renew,
}

fn action() -> impl Strategy<Value = (Action, usize)> {
    let actions = prop_oneof![
        3 => any::<bool>().prop_map(Action::Push),
        2 => Just(Action::Copy),
        1 => Just(Action::DeletePackage),
        1 => Just(Action::DeleteDroplet),
        1 => Just(Action::ClearCaches),
        2 => Just(Action::Renew),
    ];
    (actions, 0..2_usize)
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("index.html", options).unwrap();
    zip.write_all(b"hello").unwrap();
    zip.finish().unwrap().into_inner()
}

struct Play {
    client: TestClient,
    space: String,
    apps: [String; 2],
}

impl Play {
    /// The newest resource of the app, if there is one.
    async fn newest(&self, app: usize, kind: &str) -> Option<String> {
        let path = format!("/v3/apps/{}/{kind}?order_by=-created_at", self.apps[app]);
        let list = self.client.get(&path).await.unwrap();
        let guid = list.text("/resources/0/guid");
        (!guid.is_empty()).then(|| guid.to_owned())
    }

    async fn push(&self, app: usize, wait: bool) {
        let body = json!({ "type": "bits", "relationships": related("app", &self.apps[app]) });
        let package = self.client.post("/v3/packages", &body).await.unwrap();
        let package = package.text("/guid");
        self.client.upload(package, zip()).await.unwrap();
        let body = json!({ "package": { "guid": package } });
        let build = self.client.post("/v3/builds", &body).await.unwrap();
        // 422 while the build before is under way.
        if build.status == 201 && wait {
            self.until_staged().await;
        }
    }

    async fn until_staged(&self) {
        for _ in 0..1500 {
            let list = self.client.get("/v3/builds?states=STAGING").await.unwrap();
            if list.body["pagination"]["total_results"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a build never ended");
    }

    async fn copy(&self, app: usize) {
        let to = json!({ "relationships": related("app", &self.apps[1 - app]) });
        for kind in ["packages", "droplets"] {
            if let Some(guid) = self.newest(app, kind).await {
                let path = format!("/v3/{kind}?source_guid={guid}");
                self.client.post(&path, &to).await.unwrap();
            }
        }
    }

    async fn delete_newest(&self, app: usize, kind: &str) {
        if let Some(guid) = self.newest(app, kind).await {
            let path = format!("/v3/{kind}/{guid}");
            self.client.delete(&path).await.unwrap();
        }
    }

    async fn delete_app(&self, app: usize) {
        let path = format!("/v3/apps/{}", self.apps[app]);
        let deleted = self.client.delete(&path).await.unwrap();
        assert_eq!(deleted.status, 202, "{deleted:?}");
    }

    async fn act(&mut self, (action, app): (Action, usize)) {
        match action {
            Action::Push(wait) => self.push(app, wait).await,
            Action::Copy => self.copy(app).await,
            Action::DeletePackage => self.delete_newest(app, "packages").await,
            Action::DeleteDroplet => self.delete_newest(app, "droplets").await,
            Action::ClearCaches => {
                let path = "/v3/admin/actions/clear_buildpack_cache";
                self.client.post(path, &json!({})).await.unwrap();
            }
            Action::Renew => {
                self.delete_app(app).await;
                let name = format!("app-{app}");
                let made = app_in_space(&self.client, &self.space, &name).await;
                self.apps[app] = made.unwrap();
            }
        }
    }
}

async fn nothing_is_left_after(actions: Vec<(Action, usize)>) {
    let app = TestApp::with_stack().await.unwrap();
    let client = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&client, "acme").await.unwrap();
    let first = app_in_space(&client, &space, "app-0").await.unwrap();
    let second = app_in_space(&client, &space, "app-1").await.unwrap();
    let mut play = Play {
        client,
        space,
        apps: [first, second],
    };
    for action in &actions {
        play.act(*action).await;
    }
    play.delete_app(0).await;
    play.delete_app(1).await;
    none_of(&app, REFERENCES, &actions).await;
    // A build that ended between the image and the droplet leaves its image to the sweep at the start.
    let app = app.restart().await.unwrap();
    none_of(&app, IMAGES, &actions).await;
    none_of(&app, REFERENCES, &actions).await;
}

async fn none_of(app: &TestApp, query: &'static str, actions: &[(Action, usize)]) {
    for _ in 0..500 {
        if app.count(query).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{query}: something is left after {actions:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_of_what_was_deleted(actions in prop::collection::vec(action(), 4..9)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(nothing_is_left_after(actions));
    }
}
