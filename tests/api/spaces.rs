//! Spaces and their organizations: suspending, features, users, usage and feature flags.

use cflite::testing::{TestApp, app_in_space, organization_and_space, related};
use serde_json::json;

#[tokio::test]
async fn a_suspended_space_is_read_only_for_all_but_its_organizations_managers() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app
        .member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let space_manager = app.member(("sam", "space_manager"), place).await.unwrap();
    let path = format!("/v3/spaces/{space}");
    let suspend = json!({ "suspended": true });
    assert_eq!(developer.patch(&path, &suspend).await.unwrap().status, 403);
    assert_eq!(
        space_manager.patch(&path, &suspend).await.unwrap().status,
        403
    );
    let suspended = manager.patch(&path, &suspend).await.unwrap();
    assert_eq!(
        (suspended.status, &suspended.body["suspended"]),
        (200, &json!(true))
    );

    let body = json!({ "name": "web", "relationships": related("space", &space) });
    let refused = developer.post("/v3/apps", &body).await.unwrap();
    assert_eq!(
        (refused.status, refused.title(), refused.detail()),
        (403, "CF-SpaceSuspended", "The space is suspended")
    );
    assert_eq!(developer.get(&path).await.unwrap().status, 200);
    let renamed = manager
        .patch(&path, &json!({ "name": "prod" }))
        .await
        .unwrap();
    assert_eq!(renamed.status, 200, "{renamed:?}");
    assert_eq!(
        renamed.body["suspended"], true,
        "what a request does not name stays"
    );
    manager
        .patch(&path, &json!({ "suspended": false }))
        .await
        .unwrap();
    assert_eq!(developer.post("/v3/apps", &body).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_suspended_organization_locks_out_all_but_admins() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app
        .member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let path = format!("/v3/organizations/{organization}");
    let suspend = json!({ "suspended": true });
    let refused = manager.patch(&path, &suspend).await.unwrap();
    assert_eq!((refused.status, refused.title()), (403, "CF-NotAuthorized"));
    assert_eq!(admin.patch(&path, &suspend).await.unwrap().status, 200);
    let body = json!({ "name": "new", "relationships": related("organization", &organization) });
    let refused = manager.post("/v3/spaces", &body).await.unwrap();
    assert_eq!(refused.title(), "CF-OrgSuspended");
    assert_eq!(admin.post("/v3/spaces", &body).await.unwrap().status, 201);
    let again = admin
        .patch(&format!("/v3/spaces/{space}"), &json!({ "name": "NEW" }))
        .await
        .unwrap();
    assert_eq!(
        again.detail(),
        "Organization 'acme' already contains a space with name 'NEW'."
    );
}

#[tokio::test]
async fn features_of_a_space() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/spaces/{space}/features");
    let listed = admin.get(&path).await.unwrap();
    assert_eq!(listed.names(), ["ssh"]);
    let off = json!({ "enabled": false });
    let changed = admin.patch(&format!("{path}/ssh"), &off).await.unwrap();
    assert_eq!(
        (changed.status, &changed.body["enabled"]),
        (200, &json!(false))
    );
    let unknown = admin.get(&format!("{path}/telnet")).await.unwrap();
    assert_eq!(
        (unknown.status, unknown.detail()),
        (404, "Feature not found")
    );
    assert_eq!(
        admin
            .patch(&format!("{path}/telnet"), &off)
            .await
            .unwrap()
            .status,
        404
    );
}

#[tokio::test]
async fn users_of_an_organization_and_a_space() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    app.member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let stranger = app.user("zoe").await.unwrap();
    let names = |answer: &cflite::testing::Answer| -> Vec<String> {
        let all = answer.body["resources"].as_array().unwrap().clone();
        all.iter()
            .map(|user| user["username"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_organization = format!("/v3/organizations/{organization}/users");
    let listed = developer.get(&of_organization).await.unwrap();
    assert_eq!(names(&listed), ["mia", "dora"]);
    let of_space = format!("/v3/spaces/{space}/users");
    assert_eq!(names(&developer.get(&of_space).await.unwrap()), ["dora"]);
    let found = developer
        .get(&format!("{of_organization}?partial_usernames=MI"))
        .await
        .unwrap();
    assert_eq!(names(&found), ["mia"]);
    for path in [&of_organization, &of_space] {
        assert_eq!(stranger.get(path).await.unwrap().status, 404);
    }
}

#[tokio::test]
async fn usage_is_summed_for_a_space_an_organization_and_the_platform() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &web, json!({ "web": "run" }))
        .await
        .unwrap();
    let scale = format!("/v3/apps/{web}/processes/web/actions/scale");
    admin
        .post(&scale, &json!({ "instances": 2, "memory_in_mb": 100 }))
        .await
        .unwrap();
    admin
        .post(&format!("/v3/apps/{web}/actions/start"), &json!({}))
        .await
        .unwrap();
    app_in_space(&admin, &space, "stopped").await.unwrap();
    let body =
        json!({ "name": "own.example", "relationships": related("organization", &organization) });
    admin.post("/v3/domains", &body).await.unwrap();
    let expected = json!({
        "started_instances": 2, "memory_in_mb": 200, "routes": 0, "service_instances": 0,
        "reserved_ports": 0, "domains": 1, "per_app_tasks": 0, "service_keys": 0,
    });
    for path in [
        format!("/v3/spaces/{space}/usage_summary"),
        format!("/v3/organizations/{organization}/usage_summary"),
        "/v3/info/usage_summary".to_owned(),
    ] {
        let summary = admin.get(&path).await.unwrap();
        assert_eq!(summary.body["usage_summary"], expected, "{path}");
        assert_eq!(summary.text("/links/self/href"), app.url() + &path);
    }
    let hidden = developer.get("/v3/info/usage_summary").await.unwrap();
    assert_eq!((hidden.status, hidden.title()), (404, "CF-NotFound"));
}

#[tokio::test]
async fn feature_flags_are_listed_by_name_and_changed_by_admins() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app
        .member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let listed = manager.get("/v3/feature_flags?per_page=2").await.unwrap();
    assert_eq!(listed.names(), ["app_bits_upload", "app_scaling"]);
    assert_eq!(listed.body["pagination"]["total_results"], 19);

    let path = "/v3/feature_flags/private_domain_creation";
    let off = json!({ "enabled": false, "custom_error_message": "ask Ada" });
    assert_eq!(manager.patch(path, &off).await.unwrap().status, 403);
    let changed = admin.patch(path, &off).await.unwrap();
    assert_eq!(
        changed.text("/custom_error_message"),
        "ask Ada",
        "{changed:?}"
    );
    let body =
        json!({ "name": "own.example", "relationships": related("organization", &organization) });
    let refused = manager.post("/v3/domains", &body).await.unwrap();
    assert_eq!(
        (refused.status, refused.title(), refused.detail()),
        (403, "CF-FeatureDisabled", "Feature Disabled: ask Ada")
    );
    let since = "/v3/feature_flags?updated_ats[gt]=2020-01-01T00:00:00Z";
    assert_eq!(
        admin.get(since).await.unwrap().names(),
        ["diego_docker", "private_domain_creation"],
        "the first one since the first boot"
    );
    let bare = admin
        .patch(path, &json!({ "custom_error_message": null }))
        .await
        .unwrap();
    assert!(bare.body["custom_error_message"].is_null());
    let refused = manager.post("/v3/domains", &body).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Feature Disabled: private_domain_creation"
    );

    for (body, fault) in [
        (json!({ "enabled": "no" }), "Enabled must be a boolean"),
        (
            json!({ "custom_error_message": "" }),
            "Custom error message is too short (minimum is 1 character)",
        ),
        (json!({ "on": true }), "Unknown field(s): 'on'"),
    ] {
        let refused = admin.patch(path, &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, fault));
    }
    let unknown = admin.get("/v3/feature_flags/warp").await.unwrap();
    assert_eq!(unknown.detail(), "Feature flag not found");
}
