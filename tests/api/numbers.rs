//! Whole numbers that are written as text.

use cflite::testing::{app_in_space, related};
use serde_json::{Value, json};

use crate::tasks::runnable;

const YAML: &str = "application/x-yaml";

#[tokio::test]
async fn whole_numbers_may_be_text_and_are_shown_as_numbers() {
    let (_platform, admin, app, space) = runnable().await;
    let web = format!("/v3/apps/{app}/processes/web");
    let scaled = json!({
        "instances": "2", "memory_in_mb": "256", "disk_in_mb": "+300",
        "log_rate_limit_in_bytes_per_second": "-1",
    });
    let scaled = admin
        .post(&format!("{web}/actions/scale"), &scaled)
        .await
        .unwrap();
    assert_eq!(scaled.status, 202, "{scaled:?}");
    assert_eq!(scaled.body["instances"], 2);
    assert_eq!(scaled.body["memory_in_mb"], 256);
    assert_eq!(scaled.body["disk_in_mb"], 300);

    let check = json!({ "health_check": {
        "type": "port",
        "data": { "timeout": "61", "invocation_timeout": "2", "interval": "7" },
    } });
    let checked = admin.patch(&web, &check).await.unwrap();
    assert_eq!(checked.status, 200, "{checked:?}");
    assert_eq!(checked.body["health_check"]["data"]["timeout"], 61);
    assert_eq!(checked.body["health_check"]["data"]["interval"], 7);

    let task = json!({ "command": "true", "memory_in_mb": "64", "disk_in_mb": "65" });
    let task = admin
        .post(&format!("/v3/apps/{app}/tasks"), &task)
        .await
        .unwrap();
    assert_eq!(task.status, 202, "{task:?}");
    assert_eq!(
        (&task.body["memory_in_mb"], &task.body["disk_in_mb"]),
        (&json!(64), &json!(65))
    );

    let sidecar =
        json!({ "name": "s", "command": "c", "process_types": ["web"], "memory_in_mb": "8" });
    let sidecar = admin
        .post(&format!("/v3/apps/{app}/sidecars"), &sidecar)
        .await
        .unwrap();
    assert_eq!(sidecar.status, 201, "{sidecar:?}");
    assert_eq!(sidecar.body["memory_in_mb"], 8);

    let quota = json!({
        "name": "small",
        "apps": { "total_memory_in_mb": "5120", "per_app_tasks": "0", "log_rate_limit_in_bytes_per_second": null },
        "services": { "total_service_keys": "1" },
        "routes": { "total_routes": "8", "total_reserved_ports": "4" },
        "domains": { "total_domains": "3" },
    });
    let quota = admin.post("/v3/organization_quotas", &quota).await.unwrap();
    assert_eq!(quota.status, 201, "{quota:?}");
    assert_eq!(quota.body["apps"]["total_memory_in_mb"], 5120);
    assert_eq!(quota.body["apps"]["per_app_tasks"], 0);
    assert_eq!(quota.body["routes"]["total_reserved_ports"], 4);
    assert_eq!(quota.body["domains"]["total_domains"], 3);

    let buildpack = json!({ "name": "mine", "position": "1" });
    let buildpack = admin.post("/v3/buildpacks", &buildpack).await.unwrap();
    assert_eq!(buildpack.status, 201, "{buildpack:?}");
    assert_eq!(buildpack.body["position"], 1);

    let manifest = "applications:\n- name: other\n  instances: '3'\n  timeout: '62'\n  sidecars:\n  \
                    - {name: s, command: c, process_types: [web], memory: '9'}\n";
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let applied = admin
        .raw("POST", &path, YAML, manifest.as_bytes().to_vec())
        .await
        .unwrap();
    assert_eq!(applied.status, 202, "{applied:?}");
}

#[tokio::test]
async fn deployments_take_text_where_cc_does() {
    let (_platform, admin, app, _) = runnable().await;
    let body =
        |options: Value| json!({ "options": options, "relationships": related("app", &app) });
    let text = admin
        .post("/v3/deployments", &body(json!({ "max_in_flight": "1" })))
        .await
        .unwrap();
    assert_eq!(
        text.detail(),
        "Max in flight must be an integer greater than 0"
    );
    let far = json!({ "web_instances": "2147483648" });
    let far = admin.post("/v3/deployments", &body(far)).await.unwrap();
    assert_eq!(
        far.detail(),
        "Web instances must be less than or equal to 2147483647"
    );
    let made = json!({ "web_instances": "2", "memory_in_mb": "65" });
    let made = admin.post("/v3/deployments", &body(made)).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["options"]["web_instances"], 2);
    assert_eq!(made.body["options"]["memory_in_mb"], 65);
}

#[tokio::test]
async fn what_is_no_whole_number_is_refused_everywhere_in_the_same_words() {
    let (_platform, admin, app, space) = runnable().await;
    let other = app_in_space(&admin, &space, "other").await.unwrap();
    let web = format!("/v3/apps/{app}/processes/web");
    for (value, fault) in [
        (json!("1.5"), "must be an integer"),
        (json!(1.5), "must be an integer"),
        (json!("12a"), "is not a number"),
        (json!(""), "is not a number"),
        (json!(true), "is not a number"),
    ] {
        let cases = [
            (
                format!("{web}/actions/scale"),
                json!({ "memory_in_mb": value }),
                format!("Memory in mb {fault}"),
            ),
            (
                format!("/v3/apps/{other}/sidecars"),
                json!({ "name": "s", "command": "c", "process_types": ["web"], "memory_in_mb": value }),
                format!("Memory in mb {fault}"),
            ),
            (
                format!("/v3/apps/{app}/tasks"),
                json!({ "command": "c", "disk_in_mb": value }),
                format!("Disk in mb {fault}"),
            ),
            (
                "/v3/organization_quotas".to_owned(),
                json!({ "name": "q", "routes": { "total_routes": value } }),
                format!("Routes Total routes {fault}"),
            ),
            (
                "/v3/buildpacks".to_owned(),
                json!({ "name": "b", "position": value }),
                format!("Position {fault}"),
            ),
        ];
        for (path, body, expected) in cases {
            let refused = admin.post(&path, &body).await.unwrap();
            assert_eq!(
                (refused.status, refused.detail()),
                (422, &*expected),
                "{path} {body}"
            );
        }
    }
}
