//! What a token's scopes give besides roles, and what they take away.

use cflite::testing::{TestApp, organization_and_space, related};
use serde_json::json;

#[tokio::test]
async fn who_sees_everything_goes_on_writing_by_roles() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    for group in [
        "cloud_controller.global_auditor",
        "cloud_controller.admin_read_only",
    ] {
        let user = app.in_group(group, group).await.unwrap();
        let body = json!({ "name": group, "relationships": related("space", &space) });
        let stranger = user.post("/v3/apps", &body).await.unwrap();
        assert_eq!(stranger.status, 403, "{group}: {stranger:?}");
        for (role, place) in [
            ("organization_user", ("organization", &organization)),
            ("space_developer", ("space", &space)),
        ] {
            let mut relationships = related(place.0, place.1);
            relationships["user"] = json!({ "data": { "username": group } });
            let given = json!({ "type": role, "relationships": relationships });
            let given = admin.post("/v3/roles", &given).await.unwrap();
            assert_eq!(given.status, 201, "{given:?}");
        }
        let developer = user.post("/v3/apps", &body).await.unwrap();
        assert_eq!(developer.status, 201, "{group}: {developer:?}");
    }
}

#[tokio::test]
async fn reading_and_writing_take_their_scope_whatever_the_role() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    app.member(("dora", "space_developer"), (&organization, &space))
        .await
        .unwrap();
    let flag = json!({ "enabled": true });
    let path = "/v3/feature_flags/user_org_creation";
    assert_eq!(admin.patch(path, &flag).await.unwrap().status, 200);
    let token = async |scope: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", "dora"),
            ("password", "only-for-tests"),
            ("scope", scope),
        ];
        let answer = app.anonymous().token(&form).await.unwrap();
        app.anonymous().with_token(answer.text("/access_token"))
    };
    let (reads, writes) = (
        token("cloud_controller.read").await,
        token("cloud_controller.write").await,
    );
    let resources = json!({ "resources": [
        { "checksum": { "value": "a".repeat(40) }, "size_in_bytes": 70_000 },
    ] });
    let named = |name: &str| json!({ "name": name });
    let statuses = [
        reads.get("/v3/spaces").await,
        writes.get("/v3/spaces").await,
        reads.post("/v3/organizations", &named("read")).await,
        writes.post("/v3/organizations", &named("write")).await,
        reads.post("/v3/resource_matches", &resources).await,
        writes.post("/v3/resource_matches", &resources).await,
    ]
    .map(|answer| answer.unwrap().status);
    assert_eq!(statuses, [200, 403, 403, 201, 403, 201]);
}

#[tokio::test]
async fn matching_is_refused_where_bits_are_and_finds_nothing_when_it_is_off() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let user = app.user("dora").await.unwrap();
    let body = json!({ "resources": [
        { "checksum": { "value": "a".repeat(40) }, "size_in_bytes": 70_000 },
    ] });
    let off = json!({ "enabled": false, "custom_error_message": "ask Ada" });
    for flag in ["app_bits_upload", "resource_matching"] {
        let path = format!("/v3/feature_flags/{flag}");
        assert_eq!(admin.patch(&path, &off).await.unwrap().status, 200);
    }
    let refused = user.post("/v3/resource_matches", &body).await.unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.detail(), "Feature Disabled: ask Ada");
    let admins = admin.post("/v3/resource_matches", &body).await.unwrap();
    assert_eq!(
        (admins.status, &admins.body["resources"]),
        (201, &json!([]))
    );
}

#[tokio::test]
async fn a_resource_has_fifty_labels_at_most() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/organizations/{organization}");
    let pairs = |from: usize, to: usize| -> serde_json::Value {
        (from..to).map(|n| (format!("k{n}"), json!("v"))).collect()
    };
    for (kind, most, code) in [("labels", 50, 390_020), ("annotations", 200, 390_023)] {
        let change = |from, to| json!({ "metadata": { kind: pairs(from, to) } });
        let full = admin.patch(&path, &change(0, most)).await.unwrap();
        assert_eq!(full.status, 200, "{full:?}");
        let refused = admin.patch(&path, &change(most, most + 2)).await.unwrap();
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(refused.body["errors"][0]["code"], code);
        assert_eq!(
            refused.detail(),
            format!("Failed to add 2 {kind} because it would exceed maximum of {most}")
        );
        let replaced = admin.patch(&path, &change(0, 3)).await.unwrap();
        assert_eq!(replaced.status, 200, "{replaced:?}");
        let held = replaced.body["metadata"][kind].as_object().unwrap();
        assert_eq!(held.len(), most);
    }
}
