//! Revisions: what an app ran with at its starts.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::json;

async fn act(client: &TestClient, app: &str, action: &str) {
    let path = format!("/v3/apps/{app}/actions/{action}");
    let done = client.post(&path, &json!({})).await.unwrap();
    assert_eq!(done.status, 200, "{done:?}");
}

fn described(revisions: &Answer) -> Vec<(i64, &str)> {
    let all = revisions.body["resources"].as_array().unwrap();
    all.iter()
        .map(|one| {
            let version = one["version"].as_i64().unwrap();
            (version, one["description"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_start_that_changes_something_is_a_revision() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let list = format!("/v3/apps/{guid}/revisions");
    let droplet = app
        .droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    assert!(described(&admin.get(&list).await.unwrap()).is_empty());

    act(&admin, &guid, "start").await;
    act(&admin, &guid, "restart").await;
    let first = admin.get(&list).await.unwrap();
    assert_eq!(described(&first), [(1, "Initial revision.")]);
    assert_eq!(first.text("/resources/0/droplet/guid"), droplet);
    assert_eq!(first.body["resources"][0]["deployable"], true);
    assert_eq!(
        first.body["resources"][0]["processes"],
        json!({ "web": { "command": null } })
    );
    let environment = format!("/v3/apps/{guid}/environment_variables");
    let variables = json!({ "var": { "A": "1" } });
    admin.patch(&environment, &variables).await.unwrap();
    let process = format!("/v3/processes/{guid}");
    let command = json!({ "command": "run" });
    admin.patch(&process, &command).await.unwrap();
    let sidecar = json!({ "name": "s", "command": "c", "process_types": ["web"] });
    let path = format!("/v3/apps/{guid}/sidecars");
    assert_eq!(admin.post(&path, &sidecar).await.unwrap().status, 201);
    act(&admin, &guid, "restart").await;
    let all = admin.get(&list).await.unwrap();
    let second = "Custom start command added for 'web' process. New environment variables deployed. \
                  Sidecars updated.";
    assert_eq!(described(&all), [(1, "Initial revision."), (2, second)]);
    let newest = all.text("/resources/1/guid").to_owned();
    let deployed = admin.get(&format!("{list}/deployed")).await.unwrap();
    assert_eq!(described(&deployed), [(2, second)]);
    assert_eq!(
        admin
            .get(&process)
            .await
            .unwrap()
            .text("/relationships/revision/data/guid"),
        newest
    );
    let kept = admin
        .get(&format!("/v3/revisions/{newest}/environment_variables"))
        .await
        .unwrap();
    assert_eq!(kept.body["var"], json!({ "A": "1" }));

    act(&admin, &guid, "stop").await;
    let deployed = admin.get(&format!("{list}/deployed")).await.unwrap();
    assert!(described(&deployed).is_empty());
    let found = admin
        .get(&format!(
            "{list}?versions=2,3&deployable=true&order_by=-created_at"
        ))
        .await
        .unwrap();
    assert_eq!(described(&found), [(2, second)]);
    let events = admin
        .get("/v3/audit_events?types=audit.app.revision.create")
        .await
        .unwrap();
    assert_eq!(events.body["resources"][1]["data"]["revision_version"], 2);
}

#[tokio::test]
async fn an_app_without_the_feature_has_no_revisions() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let feature = format!("/v3/apps/{guid}/features/revisions");
    admin
        .patch(&feature, &json!({ "enabled": false }))
        .await
        .unwrap();
    act(&admin, &guid, "start").await;
    let list = format!("/v3/apps/{guid}/revisions");
    assert!(described(&admin.get(&list).await.unwrap()).is_empty());
}

#[tokio::test]
async fn only_metadata_of_a_revision_changes() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    act(&admin, &guid, "start").await;
    let list = format!("/v3/apps/{guid}/revisions");
    let revision = admin.get(&list).await.unwrap();
    let path = format!("/v3/revisions/{}", revision.text("/resources/0/guid"));
    let labelled = json!({ "metadata": { "labels": { "tier": "gold" } } });
    let changed = admin.patch(&path, &labelled).await.unwrap();
    assert_eq!(changed.text("/metadata/labels/tier"), "gold");
    let found = admin
        .get(&format!("{list}?label_selector=tier%3Dgold"))
        .await
        .unwrap();
    assert_eq!(found.text("/resources/0/metadata/labels/tier"), "gold");
    let refused = admin.patch(&path, &json!({ "version": 7 })).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Unknown field(s): 'version'")
    );
    let nobody = app.user("nobody").await.unwrap();
    let hidden = nobody.get(&path).await.unwrap();
    assert_eq!(
        (hidden.status, hidden.detail()),
        (404, "Revision not found")
    );
    let refused = admin
        .get(&format!("{list}?deployable=perhaps"))
        .await
        .unwrap();
    assert_eq!(refused.status, 400);
}
