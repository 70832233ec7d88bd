//! `/v3/organization_quotas` and `/v3/space_quotas`: what the cf CLI makes of `create-org-quota`,
//! `set-org-quota`, `create-space-quota`, `set-space-quota`, and what they then refuse.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

fn guids(answer: &Answer, pointer: &str) -> Vec<String> {
    let data = answer.body.pointer(pointer).and_then(Value::as_array);
    data.into_iter()
        .flatten()
        .filter_map(|entry| entry["guid"].as_str().map(str::to_owned))
        .collect()
}

fn to_many(guids: &[&str]) -> Value {
    json!({ "data": guids.iter().map(|guid| json!({ "guid": guid })).collect::<Vec<_>>() })
}

async fn events(admin: &TestClient, target: &str) -> Vec<String> {
    let path = format!("/v3/audit_events?target_guids={target}");
    let found = admin.get(&path).await.unwrap();
    let events = found.body["resources"].as_array().unwrap().clone();
    events
        .iter()
        .filter_map(|event| event["type"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn an_organization_quota_is_made_changed_applied_and_deleted() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({
        "name": "small",
        "apps": { "total_memory_in_mb": 512, "per_process_memory_in_mb": 256, "total_instances": 3,
            "per_app_tasks": 5, "log_rate_limit_in_bytes_per_second": null },
        "services": { "paid_services_allowed": false, "total_service_instances": 10, "total_service_keys": 20 },
        "routes": { "total_routes": 8, "total_reserved_ports": 4 },
        "domains": { "total_domains": 7 },
    });
    let made = admin.post("/v3/organization_quotas", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    for (group, limits) in body.as_object().unwrap() {
        assert_eq!(&made.body[group], limits, "{group}");
    }
    let guid = made.text("/guid").to_owned();
    let path = format!("/v3/organization_quotas/{guid}");
    assert_eq!(made.text("/links/self/href"), app.url() + &path);

    let again = admin
        .post("/v3/organization_quotas", &json!({ "name": "SMALL" }))
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (422, "Organization Quota 'SMALL' already exists.")
    );
    let refused = admin
        .patch(&path, &json!({ "routes": { "total_routes": 3 } }))
        .await
        .unwrap();
    assert_eq!(refused.status, 422);
    assert!(refused.detail().starts_with("Total reserved ports must be"));
    let body = json!({ "name": "tiny", "apps": { "total_instances": null }, "domains": { "total_domains": 0 } });
    let changed = admin.patch(&path, &body).await.unwrap();
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.text("/name"), "tiny");
    assert_eq!(changed.body["apps"]["total_instances"], Value::Null);
    assert_eq!(changed.body["apps"]["total_memory_in_mb"], 512);

    let relation = format!("{path}/relationships/organizations");
    let unknown = to_many(&[&organization, "nowhere"]);
    let refused = admin.post(&relation, &unknown).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Organizations with guids [\"nowhere\"] do not exist")
    );
    let applied = admin
        .post(&relation, &to_many(&[&organization]))
        .await
        .unwrap();
    assert_eq!(applied.status, 200, "{applied:?}");
    assert_eq!(guids(&applied, "/data"), [organization.as_str()]);
    assert_eq!(applied.text("/links/self/href"), app.url() + &relation);
    let shown = admin
        .get(&format!("/v3/organizations/{organization}"))
        .await
        .unwrap();
    assert_eq!(shown.text("/relationships/quota/data/guid"), guid);
    let query = format!("/v3/organization_quotas?organization_guids={organization}&names=tiny");
    assert_eq!(admin.get(&query).await.unwrap().names(), ["tiny"]);

    let refused = admin.delete(&path).await.unwrap();
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .detail()
            .starts_with("This quota is applied to one or more organizations.")
    );
    let other = admin
        .get("/v3/organization_quotas?names=default")
        .await
        .unwrap();
    let other = other.text("/resources/0/guid");
    let other = format!("/v3/organization_quotas/{other}/relationships/organizations");
    admin
        .post(&other, &to_many(&[&organization]))
        .await
        .unwrap();
    assert_eq!(admin.delete(&path).await.unwrap().status, 202);
    assert_eq!(
        admin.get(&path).await.unwrap().detail(),
        "Organization quota not found"
    );
    assert_eq!(
        events(&admin, &guid).await,
        ["create", "update", "apply", "delete"]
            .map(|kind| format!("audit.organization_quota.{kind}"))
    );
}

#[tokio::test]
async fn wrong_quotas_are_refused_with_every_fault() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let cases = [
        (json!({}), "Name can't be blank"),
        (json!({ "name": 555 }), "Name must be a string"),
        (
            json!({ "name": "q", "apps": { "total_memory_in_mb": -1 } }),
            "Apps Total memory in mb must be greater than or equal to 0",
        ),
        (json!({ "name": "q", "x": 1 }), "Unknown field(s): 'x'"),
        (
            json!({ "name": "q", "relationships": { "organizations": to_many(&["nowhere"]) } }),
            "Organizations with guids [\"nowhere\"] do not exist, or you do not have access to them.",
        ),
    ];
    for (body, fault) in cases {
        let refused = admin.post("/v3/organization_quotas", &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, fault), "{body}");
    }
    let kept = admin.get("/v3/organization_quotas").await.unwrap();
    assert_eq!(kept.names(), ["default"]);
}

#[tokio::test]
async fn a_space_quota_belongs_to_its_organization_and_its_managers() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (_, foreign) = organization_and_space(&admin, "other").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app
        .member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let auditor = app
        .member(("otto", "organization_auditor"), place)
        .await
        .unwrap();

    let body = json!({
        "name": "small",
        "apps": { "total_memory_in_mb": 512 },
        "relationships": related("organization", &organization),
    });
    for (who, status) in [(&developer, 403), (&auditor, 403), (&manager, 201)] {
        let answer = who.post("/v3/space_quotas", &body).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let again = admin.post("/v3/space_quotas", &body).await.unwrap();
    assert_eq!(again.detail(), "Space Quota 'small' already exists.");
    let listed = manager.get("/v3/space_quotas").await.unwrap();
    let guid = listed.text("/resources/0/guid").to_owned();
    let path = format!("/v3/space_quotas/{guid}");
    let relation = format!("{path}/relationships/spaces");

    assert_eq!(
        developer.get(&path).await.unwrap().detail(),
        "Space quota not found"
    );
    let refused = admin.post(&relation, &to_many(&[&foreign])).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Space quotas cannot be applied outside of their owning organization."
    );
    let refused = manager
        .post(&relation, &to_many(&[&foreign]))
        .await
        .unwrap();
    assert_eq!(
        refused.detail(),
        format!(
            "Spaces with guids [\"{foreign}\"] do not exist, or you do not have access to them."
        )
    );
    let applied = manager.post(&relation, &to_many(&[&space])).await.unwrap();
    assert_eq!(
        (applied.status, guids(&applied, "/data")),
        (200, vec![space.clone()])
    );

    // Once it is applied, members of the space see it, and may still not change it.
    let shown = developer.get(&path).await.unwrap();
    assert_eq!(
        guids(&shown, "/relationships/spaces/data"),
        [space.as_str()]
    );
    let change = json!({ "apps": { "total_memory_in_mb": 1 } });
    assert_eq!(developer.patch(&path, &change).await.unwrap().status, 403);
    assert_eq!(auditor.patch(&path, &change).await.unwrap().status, 404);
    assert_eq!(manager.patch(&path, &change).await.unwrap().status, 200);

    let refused = manager.delete(&path).await.unwrap();
    assert!(
        refused
            .detail()
            .starts_with("This quota is applied to one or more spaces.")
    );
    let of_space = format!("{relation}/{space}");
    assert_eq!(manager.delete(&of_space).await.unwrap().status, 204);
    let refused = manager.delete(&of_space).await.unwrap();
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .detail()
            .starts_with("Unable to remove quota from space with guid")
    );
    assert_eq!(manager.delete(&path).await.unwrap().status, 202);
    assert_eq!(
        events(&admin, &guid).await,
        ["create", "apply", "update", "remove", "delete"]
            .map(|kind| format!("audit.space_quota.{kind}"))
    );
}

#[tokio::test]
async fn a_suspended_organizations_manager_changes_no_space_quota() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manager = app
        .member(("mia", "organization_manager"), (&organization, &space))
        .await
        .unwrap();
    let path = format!("/v3/organizations/{organization}");
    admin
        .patch(&path, &json!({ "suspended": true }))
        .await
        .unwrap();
    let body = json!({ "name": "q", "relationships": related("organization", &organization) });
    let refused = manager.post("/v3/space_quotas", &body).await.unwrap();
    assert_eq!((refused.status, refused.title()), (403, "CF-OrgSuspended"));
}

#[tokio::test]
async fn starting_and_scaling_stop_at_the_quotas() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &web, json!({ "web": "run" }))
        .await
        .unwrap();
    let made = admin
        .post(
            "/v3/space_quotas",
            &json!({
                "name": "small",
                "apps": { "total_memory_in_mb": 1024, "total_instances": 2, "per_process_memory_in_mb": 1024 },
                "relationships": {
                    "organization": { "data": { "guid": organization } },
                    "spaces": { "data": [{ "guid": space }] },
                },
            }),
        )
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v3/space_quotas/{}", made.text("/guid"));
    let start = format!("/v3/apps/{web}/actions/start");
    let scale = format!("/v3/apps/{web}/processes/web/actions/scale");
    let none = json!({});
    // What a stopped app is set to counts only when it starts.
    let body = json!({ "memory_in_mb": 2048 });
    assert_eq!(admin.post(&scale, &body).await.unwrap().status, 202);
    let refused = admin.post(&start, &none).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "memory space_quota_exceeded, memory space_instance_memory_limit_exceeded"
        )
    );
    let body = json!({ "memory_in_mb": 256 });
    assert_eq!(admin.post(&scale, &body).await.unwrap().status, 202);
    assert_eq!(admin.post(&start, &none).await.unwrap().status, 200);
    let refused = admin
        .post(&scale, &json!({ "instances": 3 }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "app_instance_limit space_app_instance_limit_exceeded")
    );
    assert_eq!(
        admin
            .post(&scale, &json!({ "instances": 2 }))
            .await
            .unwrap()
            .status,
        202
    );

    // A process that logs without limit forbids a limit of log lines.
    let body = json!({ "apps": { "log_rate_limit_in_bytes_per_second": 1000 } });
    let refused = admin.patch(&path, &body).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Current usage exceeds new quota values. This quota is applied to space 'dev' which contains apps running \
         with an unlimited log rate limit."
    );
}

#[tokio::test]
async fn staging_needs_room_in_the_quotas() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let body = json!({ "type": "bits", "relationships": related("app", &web) });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    app.sql("update packages set state = 'READY', blob_digest = 'sha256:' || hex(zeroblob(32)), blob_size = 1")
        .await
        .unwrap();
    let body = json!({ "package": { "guid": package.text("/guid") } });
    let quota = json!({
        "name": "small",
        "apps": { "total_memory_in_mb": 1023 },
        "relationships": { "organizations": { "data": [{ "guid": organization }] } },
    });
    let made = admin.post("/v3/organization_quotas", &quota).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let refused = admin.post("/v3/builds", &body).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "organization's memory limit exceeded: staging requires 1024M memory"
        )
    );
    let listed = admin.get("/v3/builds").await.unwrap();
    assert_eq!(listed.body["pagination"]["total_results"], 0);
}
