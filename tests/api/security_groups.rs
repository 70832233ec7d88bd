//! `/v3/security_groups`: what the cf CLI makes of `create-security-group`, `bind-security-group`,
//! `bind-running-security-group` and their opposites.

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space};
use serde_json::{Value, json};

fn to_many(guids: &[&str]) -> Value {
    json!({ "data": guids.iter().map(|guid| json!({ "guid": guid })).collect::<Vec<_>>() })
}

fn guids(answer: &Answer, pointer: &str) -> Vec<String> {
    let data = answer.body.pointer(pointer).and_then(Value::as_array);
    data.into_iter()
        .flatten()
        .filter_map(|entry| entry["guid"].as_str().map(str::to_owned))
        .collect()
}

async fn group(admin: &TestClient, name: &str) -> String {
    let rules = json!([{ "protocol": "tcp", "destination": "10.0.0.0/8", "ports": "443" }]);
    let body = json!({ "name": name, "rules": rules });
    let made = admin.post("/v3/security_groups", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

#[tokio::test]
async fn a_group_is_made_changed_and_deleted_by_admins() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({
        "name": "web",
        "rules": [
            { "protocol": "tcp", "destination": "10.10.10.0/24,1.1.1.1", "ports": "443,80,8080" },
            { "protocol": "icmp", "destination": "10.10.10.0-10.10.10.9", "type": 8, "code": 0, "description": "ping" },
        ],
        "globally_enabled": { "running": true },
        "relationships": { "staging_spaces": to_many(&[&space]) },
    });
    let made = admin.post("/v3/security_groups", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["rules"], body["rules"]);
    assert_eq!(
        made.body["globally_enabled"],
        json!({ "running": true, "staging": false })
    );
    assert_eq!(
        guids(&made, "/relationships/staging_spaces/data"),
        [space.as_str()]
    );
    let path = format!("/v3/security_groups/{}", made.text("/guid"));

    let again = admin
        .post("/v3/security_groups", &json!({ "name": "WEB" }))
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (422, "Security group with name 'WEB' already exists.")
    );
    let change = json!({ "globally_enabled": { "staging": true }, "rules": [] });
    let changed = admin.patch(&path, &change).await.unwrap();
    assert_eq!(changed.body["rules"], json!([]));
    assert_eq!(
        changed.body["globally_enabled"],
        json!({ "running": true, "staging": true })
    );
    assert_eq!(changed.text("/name"), "web");

    let user = app.user("dora").await.unwrap();
    assert_eq!(
        user.get(&path).await.unwrap().status,
        200,
        "enabled for all, seen by all"
    );
    assert_eq!(user.patch(&path, &change).await.unwrap().status, 403);
    assert_eq!(user.delete(&path).await.unwrap().status, 403);
    let refused = user
        .post("/v3/security_groups", &json!({ "name": "x" }))
        .await
        .unwrap();
    assert_eq!(refused.status, 403);

    let deleted = admin.delete(&path).await.unwrap();
    let job = deleted.location.unwrap();
    let job = admin.get(&job[job.find("/v3/").unwrap()..]).await.unwrap();
    assert_eq!(job.text("/operation"), "security_group.delete");
    let gone = admin.get(&path).await.unwrap();
    assert_eq!(
        (gone.status, gone.detail()),
        (404, "Security group not found")
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_and_leave_nothing() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let cases = [
        (json!({}), "Name can't be blank"),
        (
            json!({ "name": "x", "rules": [{ "protocol": "all" }] }),
            "Rules[0]: nil destination; destination must be a comma-delimited list of valid CIDRs, IP addresses, or IP \
             address ranges",
        ),
        (
            json!({ "name": "x", "globally_enabled": { "both": true } }),
            "Globally enabled only allows keys 'running' or 'staging'",
        ),
        (
            json!({ "name": "x", "globally_enabled": { "running": "yes" } }),
            "Globally enabled values must be booleans",
        ),
        (
            json!({ "name": "x", "globally_enabled": true }),
            "Globally enabled must be an object",
        ),
        (
            json!({ "name": "x", "relationships": { "running_spaces": to_many(&["nowhere"]) } }),
            "Spaces with guids [\"nowhere\"] do not exist.",
        ),
    ];
    for (body, fault) in cases {
        let refused = admin.post("/v3/security_groups", &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, fault), "{body}");
    }
    let kept = admin.get("/v3/security_groups?names=x").await.unwrap();
    assert!(kept.names().is_empty());
}

#[tokio::test]
async fn managers_bind_what_they_see_to_their_spaces() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (_, foreign) = organization_and_space(&admin, "other").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app.member(("mia", "space_manager"), place).await.unwrap();
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let auditor = app
        .member(("otto", "organization_auditor"), place)
        .await
        .unwrap();
    let guid = group(&admin, "db").await;
    let path = format!("/v3/security_groups/{guid}");
    let running = format!("{path}/relationships/running_spaces");
    let staging = format!("{path}/relationships/staging_spaces");

    let hidden = manager.post(&running, &to_many(&[&space])).await.unwrap();
    assert_eq!(
        (hidden.status, hidden.detail()),
        (404, "Security group not found")
    );
    let bound = admin.post(&running, &to_many(&[&space])).await.unwrap();
    assert_eq!(bound.status, 200, "{bound:?}");
    assert_eq!(guids(&bound, "/data"), [space.as_str()]);
    assert_eq!(bound.text("/links/self/href"), app.url() + &running);

    // Bound to a space, it is seen there; managers may bind it for staging too.
    assert_eq!(developer.get(&path).await.unwrap().status, 200);
    assert_eq!(auditor.get(&path).await.unwrap().status, 404);
    assert_eq!(
        developer
            .post(&staging, &to_many(&[&space]))
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        manager
            .post(&staging, &to_many(&[&space]))
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        manager
            .post(&staging, &to_many(&[&foreign]))
            .await
            .unwrap()
            .status,
        403
    );
    let refused = manager
        .post(&staging, &to_many(&["nowhere"]))
        .await
        .unwrap();
    assert_eq!(
        refused.detail(),
        "Spaces with guids [\"nowhere\"] do not exist, or you do not have access to them."
    );
    let of_space = format!("/v3/spaces/{space}/staging_security_groups?names=db,other");
    assert_eq!(developer.get(&of_space).await.unwrap().names(), ["db"]);
    let listed = developer
        .get(&format!("/v3/security_groups?running_space_guids={space}"))
        .await
        .unwrap();
    assert_eq!(listed.names(), ["db"]);

    let unbind = format!("{staging}/{space}");
    assert_eq!(developer.delete(&unbind).await.unwrap().status, 403);
    assert_eq!(manager.delete(&unbind).await.unwrap().status, 204);
    let refused = manager.delete(&unbind).await.unwrap();
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.detail(),
        format!(
            "Unable to unbind security group from space with guid '{space}'. Ensure the space is bound to this \
             security group."
        )
    );
}
