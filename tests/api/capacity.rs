//! Instances that do not fit into the memory of the machine wait, and say why.

use std::time::{Duration, Instant};

use cflite::config::Options;
use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::json;

const NO_ROOM: &str = "insufficient resources: memory";

/// State and details of the instances of an app.
async fn instances(admin: &TestClient, app: &str) -> Vec<(String, String)> {
    let path = format!("/v3/apps/{app}/processes/web/stats");
    let stats = admin.get(&path).await.unwrap();
    let all = stats.body["resources"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    { all.iter() }
        .map(|one| (text(&one["state"]), text(&one["details"])))
        .collect()
}

async fn until(admin: &TestClient, app: &str, expected: &[(&str, &str)]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = instances(admin, app).await;
        let shown: Vec<(&str, &str)> = { found.iter() }
            .map(|(state, details)| (state.as_str(), details.as_str()))
            .collect();
        if shown == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An app of 64 MB for each instance.
async fn app(platform: &TestApp, admin: &TestClient, space: &str, name: &str) -> String {
    let app = app_in_space(admin, space, name).await.unwrap();
    let droplet = platform.droplet(admin, &app, json!({ "web": "serve" }));
    droplet.await.unwrap();
    scale(admin, &app, &json!({ "memory_in_mb": 64 })).await;
    app
}

async fn scale(admin: &TestClient, app: &str, how: &serde_json::Value) {
    let path = format!("/v3/apps/{app}/processes/web/actions/scale");
    let scaled = admin.post(&path, how).await.unwrap();
    assert_eq!(scaled.status, 202, "{scaled:?}");
}

async fn start(admin: &TestClient, app: &str) {
    let path = format!("/v3/apps/{app}/actions/start");
    let started = admin.post(&path, &json!({})).await.unwrap();
    assert_eq!(started.status, 200, "{started:?}");
}

#[tokio::test]
async fn instances_wait_for_memory_and_get_it_when_others_end() {
    let options = Options {
        memory_capacity: Some("150M".to_owned()),
        ..Options::default()
    };
    let platform = TestApp::with_stack().await.unwrap();
    let platform = platform.restart_with(options).await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let one = app(&platform, &admin, &space, "one").await;
    let two = app(&platform, &admin, &space, "two").await;
    scale(&admin, &one, &json!({ "instances": 3 })).await;
    start(&admin, &one).await;
    let runs = ("RUNNING", "");
    until(&admin, &one, &[runs, runs, ("DOWN", NO_ROOM)]).await;
    start(&admin, &two).await;
    until(&admin, &two, &[("DOWN", NO_ROOM)]).await;
    scale(&admin, &one, &json!({ "instances": 1 })).await;
    until(&admin, &two, &[runs]).await;
    until(&admin, &one, &[runs]).await;
}
