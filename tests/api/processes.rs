//! Processes and sidecars: what runs of an app, how many, and how it is checked.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::json;

async fn web_and_worker(app: &TestApp, admin: &TestClient, space: &str, name: &str) -> String {
    let guid = app_in_space(admin, space, name).await.unwrap();
    app.droplet(admin, &guid, json!({ "web": "serve", "worker": "work" }))
        .await
        .unwrap();
    guid
}

fn types(answer: &Answer) -> Vec<&str> {
    let all = answer.body["resources"].as_array().unwrap();
    all.iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn processes_are_found_by_type_app_and_place() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let one = web_and_worker(&app, &admin, &space, "one").await;
    web_and_worker(&app, &admin, &space, "two").await;
    let cases = [
        ("/v3/processes".to_owned(), 4),
        ("/v3/processes?types=worker".to_owned(), 2),
        (format!("/v3/processes?app_guids={one}&types=web"), 1),
        (format!("/v3/processes?space_guids={space}"), 4),
        (
            format!("/v3/processes?organization_guids={organization}"),
            4,
        ),
        ("/v3/processes?space_guids=other".to_owned(), 0),
        (format!("/v3/apps/{one}/processes"), 2),
        (format!("/v3/apps/{one}/processes?types=web,x"), 1),
    ];
    for (path, expected) in cases {
        let found = admin.get(&path).await.unwrap();
        assert_eq!(types(&found).len(), expected, "{path}");
        assert_eq!(found.text("/resources/0/command").is_empty(), expected == 0);
    }
    let refused = admin
        .get(&format!("/v3/apps/{one}/processes?app_guids={one}"))
        .await
        .unwrap();
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn instances_are_embedded_where_that_is_asked_for() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = web_and_worker(&app, &admin, &space, "one").await;
    let path = format!("/v3/apps/{guid}/processes/worker/actions/scale");
    admin.post(&path, &json!({ "instances": 2 })).await.unwrap();
    let list = admin
        .get(&format!(
            "/v3/apps/{guid}/processes?embed=process_instances"
        ))
        .await
        .unwrap();
    let down = |index| json!({ "index": index, "state": "DOWN", "since": null });
    assert_eq!(types(&list), ["web", "worker"]);
    assert_eq!(
        list.body["resources"][1]["process_instances"],
        json!([down(0), down(1)])
    );
    let one = admin
        .get(&format!("/v3/processes/{guid}?embed=process_instances"))
        .await
        .unwrap();
    assert_eq!(one.body["process_instances"], json!([down(0)]));
    let plain = admin.get(&format!("/v3/processes/{guid}")).await.unwrap();
    assert!(plain.body.get("process_instances").is_none());
    let refused = admin.get("/v3/processes?embed=space").await.unwrap();
    assert_eq!(
        refused.detail(),
        "The query parameter is invalid: Invalid embedded resource: 'space'. Valid embedded resources are: \
         'process_instances'"
    );
}

#[tokio::test]
async fn every_field_of_a_process_is_set_and_shown() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = web_and_worker(&app, &admin, &space, "one").await;
    let path = format!("/v3/processes/{guid}");
    let change = json!({
        "command": "run",
        "user": "vcap",
        "health_check": { "type": "http", "data": {
            "timeout": 90, "invocation_timeout": 3, "interval": 7, "endpoint": "/health",
        } },
        "readiness_health_check": { "type": "http", "data": {
            "invocation_timeout": 4, "interval": 8, "endpoint": "/ready",
        } },
        "metadata": { "labels": { "a": "b" } },
    });
    let changed = admin.patch(&path, &change).await.unwrap();
    assert_eq!(changed.status, 200, "{changed:?}");
    for field in ["command", "user", "health_check", "readiness_health_check"] {
        assert_eq!(changed.body[field], change[field], "{field}");
    }
    let scale = json!({
        "instances": 2, "memory_in_mb": 64, "disk_in_mb": 128,
        "log_rate_limit_in_bytes_per_second": 1024,
    });
    let scaled = admin
        .post(&format!("{path}/actions/scale"), &scale)
        .await
        .unwrap();
    for (field, value) in scale.as_object().unwrap() {
        assert_eq!(&scaled.body[field], value, "{field}");
    }
    let leaving = json!({ "health_check": { "type": "process" } });
    let left = admin.patch(&path, &leaving).await.unwrap();
    assert_eq!(
        left.body["health_check"],
        json!({ "type": "process", "data": { "timeout": 90, "invocation_timeout": 3, "interval": 7 } })
    );
    let refused = admin
        .post(
            &format!("{path}/actions/scale"),
            &json!({ "instances": 1_000_000 }),
        )
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "instances too many (requested 1000000, this platform runs at most 10000 of a process)"
        )
    );
}

#[tokio::test]
async fn a_command_is_for_those_who_may_read_secrets_and_never_in_lists() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = web_and_worker(&app, &admin, &space, "one").await;
    let path = format!("/v3/processes/{guid}");
    let change = json!({ "command": "run --token secret" });
    assert_eq!(admin.patch(&path, &change).await.unwrap().status, 200);
    for (role, alone) in [
        ("space_developer", "run --token secret"),
        ("space_auditor", "[PRIVATE DATA HIDDEN]"),
    ] {
        let member = app.member((role, role), (&organization, &space));
        let user = member.await.unwrap();
        let shown = user.get(&path).await.unwrap();
        assert_eq!(shown.text("/command"), alone, "{role}");
        let listed = format!("/v3/processes?guids={guid}");
        let listed = user.get(&listed).await.unwrap();
        let command = listed.text("/resources/0/command");
        assert_eq!(command, "[PRIVATE DATA HIDDEN IN LISTS]", "{role}");
    }
}

#[tokio::test]
async fn an_instance_that_is_not_wanted_cannot_be_replaced() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = web_and_worker(&app, &admin, &space, "one").await;
    for path in [
        format!("/v3/processes/{guid}/instances/1"),
        format!("/v3/processes/{guid}/instances/x"),
        format!("/v3/apps/{guid}/processes/worker/instances/0"),
    ] {
        let refused = admin.delete(&path).await.unwrap();
        assert_eq!(
            (refused.status, refused.detail()),
            (404, "Instance not found"),
            "{path}"
        );
    }
    let gone = admin
        .delete(&format!("/v3/processes/{guid}/instances/0"))
        .await
        .unwrap();
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn sidecars_are_made_changed_and_deleted() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = web_and_worker(&app, &admin, &space, "one").await;
    let list = format!("/v3/apps/{guid}/sidecars");
    let body = json!({
        "name": "cache", "command": "run", "process_types": ["worker", "other"], "memory_in_mb": 32,
    });
    let made = admin.post(&list, &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/origin"), "user");
    let path = format!("/v3/sidecars/{}", made.text("/guid"));
    let shown = admin.get(&path).await.unwrap();
    assert_eq!(shown.body["process_types"], json!(["other", "worker"]));
    let twice = admin.post(&list, &body).await.unwrap();
    assert_eq!(
        twice.detail(),
        "Sidecar with name 'cache' already exists for given app"
    );
    let refused = admin
        .patch(&path, &json!({ "memory_in_mb": 4096 }))
        .await
        .unwrap();
    assert_eq!(
        refused.detail(),
        "The memory allocation defined is too large to run with the dependent \"worker\" process"
    );
    let change =
        json!({ "name": "store", "command": "go", "process_types": ["web"], "memory_in_mb": null });
    let changed = admin.patch(&path, &change).await.unwrap();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed.body[field], value, "{field}");
    }
    let of_process = format!("/v3/processes/{guid}/sidecars");
    assert_eq!(admin.get(&of_process).await.unwrap().names(), ["store"]);
    assert_eq!(admin.delete(&path).await.unwrap().status, 204);
    assert!(admin.get(&list).await.unwrap().names().is_empty());
    assert_eq!(
        admin.get(&path).await.unwrap().detail(),
        "Sidecar not found"
    );
}

#[tokio::test]
async fn instances_are_listed_although_the_daemon_does_not_say_what_they_use() {
    let (app, admin, guid, _) = crate::tasks::runnable().await;
    let path = format!("/v3/apps/{guid}/actions/start");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
    let path = format!("/v3/processes/{guid}/stats");
    for _ in 0..1000 {
        let stats = admin.get(&path).await.unwrap();
        assert_eq!(stats.warnings, None);
        if stats.text("/resources/0/state") == "RUNNING" {
            assert!(stats.body["resources"][0]["usage"]["mem"].is_number());
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.engine().stall(cflite::docker::Verb::Usage);
    let stats = loop {
        // A sample that is young enough is shown without asking.
        let stats = admin.get(&path).await.unwrap();
        assert_eq!(stats.status, 200, "{stats:?}");
        if stats.warnings.is_some() {
            break stats;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let warning = "Stats server temporarily unavailable.";
    assert_eq!(stats.warnings.as_deref(), Some(warning));
    let instance = &stats.body["resources"][0];
    assert_eq!(instance["state"], "RUNNING");
    assert_eq!(instance["usage"], json!({}));
    for quota in ["mem_quota", "disk_quota", "log_rate_limit"] {
        assert_eq!(instance[quota], serde_json::Value::Null, "{quota}");
    }
}
