//! `/v3/apps` and what belongs to them.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::json;

use super::play::player::Player;
use super::play::script;

async fn app_named(admin: &TestClient, space: &str, name: &str) -> String {
    let body = json!({ "name": name, "relationships": related("space", space) });
    let made = admin.post("/v3/apps", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

#[tokio::test]
async fn an_app_has_a_web_process_and_no_droplet() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_named(&admin, &space, "web").await;
    let twice = json!({ "name": "Web", "relationships": related("space", &space) });
    let refused = admin.post("/v3/apps", &twice).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "App with the name 'Web' already exists.")
    );

    let processes = admin
        .get(&format!("/v3/apps/{guid}/processes"))
        .await
        .unwrap();
    assert_eq!(processes.text("/resources/0/type"), "web");
    assert_eq!(processes.body["resources"][0]["instances"], 1);
    let droplet = admin
        .get(&format!("/v3/apps/{guid}/droplets/current"))
        .await
        .unwrap();
    assert_eq!(
        (droplet.status, droplet.detail()),
        (404, "Droplet not found")
    );
    let refused = admin
        .post(&format!("/v3/apps/{guid}/actions/start"), &json!({}))
        .await
        .unwrap();
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .detail()
            .contains("Assign a droplet before starting this app."),
        "{refused:?}"
    );
    let stats = admin
        .get(&format!("/v3/processes/{guid}/stats"))
        .await
        .unwrap();
    assert_eq!(stats.text("/resources/0/state"), "DOWN");
}

#[tokio::test]
async fn environment_variables_merge_and_names_are_checked() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_named(&admin, &space, "web").await;
    let path = format!("/v3/apps/{guid}/environment_variables");
    admin
        .patch(&path, &json!({ "var": { "A": "1", "B": "2" } }))
        .await
        .unwrap();
    let merged = admin
        .patch(&path, &json!({ "var": { "A": null, "C": "3" } }))
        .await
        .unwrap();
    assert_eq!(merged.body["var"], json!({ "B": "2", "C": "3" }));
    let refused = admin
        .patch(&path, &json!({ "var": { "VCAP_X": "1" } }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Var cannot start with VCAP_")
    );
    let env = admin.get(&format!("/v3/apps/{guid}/env")).await.unwrap();
    assert_eq!(env.text("/environment_variables/B"), "2");
    assert_eq!(
        env.text("/application_env_json/VCAP_APPLICATION/name"),
        "web"
    );
}

#[tokio::test]
async fn what_is_done_to_an_app_is_an_event() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_named(&admin, &space, "web").await;
    let body = json!({ "instances": 3 });
    let scaled = admin
        .post(
            &format!("/v3/apps/{guid}/processes/web/actions/scale"),
            &body,
        )
        .await
        .unwrap();
    assert_eq!(scaled.status, 202, "{scaled:?}");
    let events = admin
        .get(&format!(
            "/v3/audit_events?target_guids={guid}&order_by=created_at"
        ))
        .await
        .unwrap();
    let types: Vec<&str> = events.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert!(types.contains(&"audit.app.create"), "{types:?}");
    assert!(types.contains(&"audit.app.process.scale"), "{types:?}");
}

#[tokio::test]
async fn an_admin_forgets_what_every_staging_kept() {
    let app = TestApp::with_stack().await.unwrap();
    let admin = app.admin().await.unwrap();
    let mut player = Player::new(&app, &admin, 1).await;
    player.play(&script::given()["staged app"]).await.unwrap();
    let staged = app.snapshot().await.unwrap();
    let path = "/v3/admin/actions/clear_buildpack_cache";
    let cleared = admin.post(path, &json!({})).await.unwrap();
    assert_eq!(cleared.status, 202, "{cleared:?}");
    let job = cleared.location.unwrap();
    let job = job.strip_prefix(&app.url()).unwrap();
    let job = admin.get(job).await.unwrap();
    assert_eq!(job.text("/operation"), "admin.clear_buildpack_cache");
    assert_eq!(job.text("/state"), "COMPLETE");
    let after = app.snapshot().await.unwrap();
    for table in ["apps", "blob_references"] {
        assert_ne!(staged[table], after[table], "{table}");
    }
}

#[tokio::test]
async fn no_label_outlives_its_resource() {
    let app = TestApp::with_stack().await.unwrap();
    let admin = app.admin().await.unwrap();
    let held = async || {
        let tables = app.snapshot().await.unwrap();
        (tables["labels"], tables["annotations"])
    };
    let before = held().await;
    let mut player = Player::new(&app, &admin, 1).await;
    let given = script::given();
    player
        .play(&given["started app with revision"])
        .await
        .unwrap();
    let metadata = json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } } });
    for path in [
        "apps/$app",
        "processes/$app",
        "packages/$package",
        "builds/$build",
        "droplets/$droplet",
        "revisions/$revision",
    ] {
        let path = player.fill(&format!("/v3/{path}"));
        let none = held().await;
        let changed = admin.patch(&path, &metadata).await.unwrap();
        assert_eq!(changed.status, 200, "{path}: {changed:?}");
        assert_ne!(held().await, none, "{path}");
    }
    let gone = admin.delete(&player.fill("/v3/apps/$app")).await.unwrap();
    assert_eq!(gone.status, 202);
    assert_eq!(held().await, before);
}
