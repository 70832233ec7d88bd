//! App and service usage events: what was used from when to when.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::json;

const EVENTS: &str = "/v3/app_usage_events";

async fn act(client: &TestClient, app: &str, action: &str) {
    let path = format!("/v3/apps/{app}/actions/{action}");
    let done = client.post(&path, &json!({})).await.unwrap();
    assert_eq!(done.status, 200, "{done:?}");
}

/// State, previous state, instances and previous instances of each event.
fn described(events: &Answer) -> Vec<(&str, &str, i64, i64)> {
    let all = events.body["resources"].as_array().unwrap();
    all.iter()
        .map(|event| {
            (
                event["state"]["current"].as_str().unwrap(),
                event["state"]["previous"].as_str().unwrap(),
                event["instance_count"]["current"].as_i64().unwrap(),
                event["instance_count"]["previous"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_a_started_app_uses_is_told() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let scale = format!("/v3/processes/{guid}/actions/scale");
    // Nothing is used while the app is stopped.
    admin
        .post(&scale, &json!({ "instances": 2, "memory_in_mb": 64 }))
        .await
        .unwrap();
    act(&admin, &guid, "start").await;
    admin
        .post(&scale, &json!({ "instances": 3 }))
        .await
        .unwrap();
    admin
        .post(&scale, &json!({ "disk_in_mb": 64 }))
        .await
        .unwrap();
    act(&admin, &guid, "restart").await;
    act(&admin, &guid, "stop").await;
    act(&admin, &guid, "stop").await;
    let events = admin.get(EVENTS).await.unwrap();
    assert_eq!(
        described(&events),
        [
            ("STARTED", "STOPPED", 2, 2),
            ("STARTED", "STARTED", 3, 2),
            ("STOPPED", "STARTED", 3, 3),
            ("STARTED", "STOPPED", 3, 3),
            ("STOPPED", "STARTED", 3, 3),
        ]
    );
    let first = &events.body["resources"][0];
    assert_eq!(first["app"], json!({ "guid": guid, "name": "web" }));
    assert_eq!(first["process"], json!({ "guid": guid, "type": "web" }));
    assert_eq!(first["space"], json!({ "guid": space, "name": "dev" }));
    assert_eq!(first["organization"], json!({ "guid": organization }));
    assert_eq!(
        first["memory_in_mb_per_instance"],
        json!({ "current": 64, "previous": 64 })
    );

    let after = events.text("/resources/2/guid");
    let rest = admin
        .get(&format!("{EVENTS}?after_guid={after}&per_page=1"))
        .await
        .unwrap();
    assert_eq!(described(&rest), [("STARTED", "STOPPED", 3, 3)]);
    assert_eq!(rest.body["pagination"]["total_results"], 2);
    let next = rest.text("/pagination/next/href").to_owned();
    let next = admin
        .get(next.strip_prefix(&app.url()).unwrap())
        .await
        .unwrap();
    assert_eq!(described(&next), [("STOPPED", "STARTED", 3, 3)]);
    let path = format!("{EVENTS}/{after}");
    assert_eq!(admin.get(&path).await.unwrap().text("/guid"), after);

    act(&admin, &guid, "start").await;
    admin.delete(&format!("/v3/apps/{guid}")).await.unwrap();
    let last = admin
        .get(&format!("{EVENTS}?order_by=-created_at&per_page=1"))
        .await
        .unwrap();
    assert_eq!(described(&last), [("STOPPED", "STARTED", 3, 3)]);
}

#[tokio::test]
async fn reseeding_tells_of_what_is_started_only() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    for name in ["one", "two"] {
        let guid = app_in_space(&admin, &space, name).await.unwrap();
        app.droplet(&admin, &guid, json!({ "web": "serve" }))
            .await
            .unwrap();
        act(&admin, &guid, "start").await;
        if name == "two" {
            act(&admin, &guid, "stop").await;
        }
    }
    let reseed = format!("{EVENTS}/actions/destructively_purge_all_and_reseed");
    let done = admin.post(&reseed, &json!({})).await.unwrap();
    assert_eq!((done.status, done.body), (200, json!({})));
    let events = admin.get(EVENTS).await.unwrap();
    assert_eq!(described(&events), [("STARTED", "STARTED", 1, 1)]);
    assert_eq!(events.text("/resources/0/app/name"), "one");
}

#[tokio::test]
async fn service_instances_that_exist_are_told_by_a_reseed() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    organization_and_space(&admin, "acme").await.unwrap();
    app.sql(
        "insert into service_instances (guid, name, space_guid, type, created_at, updated_at) \
         select 'i', 'db', guid, 'user-provided', 0, 0 from spaces",
    )
    .await
    .unwrap();
    let list = "/v3/service_usage_events";
    let reseed = format!("{list}/actions/destructively_purge_all_and_reseed");
    assert_eq!(admin.post(&reseed, &json!({})).await.unwrap().status, 200);
    let kind = "user_provided_service_instance";
    let events = admin
        .get(&format!("{list}?service_instance_types={kind}"))
        .await
        .unwrap();
    assert_eq!(
        events.body["resources"][0]["service_instance"],
        json!({ "guid": "i", "name": "db", "type": kind })
    );
    assert_eq!(events.text("/resources/0/state"), "CREATED");
    let one = admin.get(&format!("{list}/i")).await.unwrap();
    assert_eq!(one.text("/space/name"), "dev");
    let others = admin
        .get(&format!("{list}?service_offering_guids=x"))
        .await
        .unwrap();
    assert_eq!(others.body["pagination"]["total_results"], 0);
}

#[tokio::test]
async fn usage_is_for_those_who_see_everything() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    act(&admin, &guid, "start").await;
    let event = admin
        .get(EVENTS)
        .await
        .unwrap()
        .text("/resources/0/guid")
        .to_owned();
    let user = app.user("dora").await.unwrap();
    let seen = user.get(EVENTS).await.unwrap();
    assert_eq!((seen.status, described(&seen).len()), (200, 0));
    let hidden = user.get(&format!("{EVENTS}/{event}")).await.unwrap();
    assert_eq!(
        (hidden.status, hidden.detail()),
        (404, "App usage event not found")
    );
    let reseed = format!("{EVENTS}/actions/destructively_purge_all_and_reseed");
    assert_eq!(user.post(&reseed, &json!({})).await.unwrap().status, 403);
}

#[tokio::test]
async fn faults_of_a_usage_query_are_422() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let cases = [
        (
            "after_guid=x",
            "After guid filter must be a valid app usage event guid.",
        ),
        ("after_guid=x,y", "After guid filter accepts only one guid"),
        (
            "updated_ats[gt]=2020-01-01T00:00:00Z",
            "Filtering by 'updated_ats' is not allowed on this resource.",
        ),
        ("order_by=updated_at", "Order by can only be: 'created_at'"),
        (
            "garbage=1",
            "Unknown query parameter(s): 'garbage'. Valid parameters are: 'page', 'per_page', 'order_by', \
             'created_ats', 'guids', 'after_guid'",
        ),
    ];
    for (query, text) in cases {
        let refused = admin.get(&format!("{EVENTS}?{query}")).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, text), "{query}");
    }
}
