//! Log lines of apps, and what goes with them.

use std::time::Duration;

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

/// The envelopes of an app once the log has what is looked for.
async fn envelopes_until(
    admin: &TestClient,
    app: &str,
    enough: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    for _ in 0..200 {
        let read = admin.get(&format!("/api/v1/read/{app}")).await.unwrap();
        let batch = read.body["envelopes"]["batch"].as_array().cloned();
        let batch = batch.unwrap_or_default();
        if enough(&batch) {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the log of {app} never had what was looked for");
}

#[tokio::test]
async fn lines_carry_the_names_of_today_and_end_with_the_app() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({ "name": "web", "relationships": related("space", &space) });
    let made = admin.post("/v3/apps", &body).await.unwrap();
    let guid = made.text("/guid").to_owned();
    let path = format!("/v3/apps/{guid}");
    let renamed = admin.patch(&path, &json!({ "name": "shop" })).await;
    assert_eq!(renamed.unwrap().status, 200);
    for n in 0..200 {
        // Every change writes a line; one that follows the rename closely may have the old name.
        let change = json!({ "metadata": { "annotations": { "n": n.to_string() } } });
        admin.patch(&path, &change).await.unwrap();
        let named = |batch: &[Value]| batch.iter().any(|e| e["tags"]["app_name"] == "shop");
        if named(&envelopes_until(&admin, &guid, |batch| !batch.is_empty()).await) {
            break;
        }
    }
    let batch = envelopes_until(&admin, &guid, |batch| !batch.is_empty()).await;
    let tags = &batch[batch.len() - 1]["tags"];
    assert_eq!(tags["app_name"], "shop");
    assert_eq!(tags["app_id"], guid.as_str());
    assert_eq!(tags["space_id"], space.as_str());
    assert_eq!(tags["organization_id"], organization.as_str());
    assert_eq!(tags["organization_name"], "acme");

    let deleted = admin.delete(&path).await.unwrap();
    assert_eq!(deleted.status, 202, "{deleted:?}");
    envelopes_until(&admin, &guid, <[Value]>::is_empty).await;
}

#[tokio::test]
async fn the_logs_of_deleted_apps_are_gone_for_good() {
    const OTHERS: &str = "select count(*) from log_sources where source_id not in (select guid from apps) \
         and source_id not in ('cloud_controller', 'doppler', 'gorouter', 'rep')";
    let (app, admin, guid, _) = crate::tasks::runnable().await;
    let path = format!("/v3/apps/{guid}/actions/start");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
    envelopes_until(&admin, &guid, |batch| {
        let types = batch.iter().map(|one| &one["tags"]["source_type"]);
        types.into_iter().any(|kind| kind == "CELL")
    })
    .await;
    // Its instance logs its own end, later.
    let deleted = admin.delete(&format!("/v3/apps/{guid}")).await.unwrap();
    assert_eq!(deleted.status, 202, "{deleted:?}");
    let none = async |app: &TestApp| {
        for _ in 0..500 {
            let rows = app.count(OTHERS).await.unwrap();
            if rows == 0 && app.engine().container_names().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("something is left");
    };
    none(&app).await;
    // As a process leaves it that died before it could sweep.
    app.sql("insert into log_sources (source_id, oldest, newest, count, bytes, expired) values ('gone', 0, 0, 0, 0, 0)")
        .await
        .unwrap();
    let app = app.restart().await.unwrap();
    none(&app).await;
    let admin = app.admin().await.unwrap();
    let meta = admin.get("/api/v1/meta").await.unwrap();
    let left = meta.body["meta"].as_object().unwrap().keys();
    let components = ["cloud_controller", "doppler", "gorouter", "rep"];
    assert!(
        left.clone().all(|id| components.contains(&id.as_str())),
        "{left:?}"
    );
}
