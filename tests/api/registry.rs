//! Who may use the image registry: roles, names and scopes.

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::json;

/// The same caller at the registry.
async fn at_registry(app: &TestApp, name: &str, scope: &str) -> TestClient {
    let form = [
        ("grant_type", "password"),
        ("username", name),
        ("password", "only-for-tests"),
        ("scope", scope),
    ];
    let answer = app.anonymous().token(&form).await.unwrap();
    let registry = TestClient::anonymous(&app.registry_url());
    registry.with_token(answer.text("/access_token"))
}

const ALL: &str = "cloud_controller.read cloud_controller.write";

/// Begins an upload.
async fn push(client: &TestClient, repository: &str) -> Answer {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let body = Vec::new();
    let sent = client.raw("POST", &path, "application/octet-stream", body);
    sent.await.unwrap()
}

async fn list(client: &TestClient, repository: &str) -> u16 {
    let path = format!("/v2/{repository}/tags/list");
    client.get(&path).await.unwrap().status
}

#[tokio::test]
async fn a_repository_stays_with_who_pushed_first_whatever_the_names() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    app.user("eve@example.com").await.unwrap();
    app.user("eve-example-com").await.unwrap();
    let first = at_registry(&app, "eve@example.com", ALL).await;
    let second = at_registry(&app, "eve-example-com", ALL).await;
    let name = "eve-example-com/tools/app";
    assert_eq!(push(&first, name).await.status, 202);
    for _ in 0..2 {
        assert_eq!(push(&second, name).await.status, 403);
        assert_eq!(list(&second, name).await, 403);
        assert_eq!(push(&first, name).await.status, 202);
        // An organization and a space of these names change nothing.
        let organization = json!({ "name": "eve-example-com" });
        let organization = admin
            .post("/v3/organizations", &organization)
            .await
            .unwrap();
        if organization.status == 201 {
            let guid = organization.text("/guid");
            let space = json!({
                "name": "tools", "relationships": related("organization", guid),
            });
            let space = admin.post("/v3/spaces", &space).await.unwrap();
            assert_eq!(space.status, 201, "{space:?}");
            for (role, place, guid) in [
                ("organization_user", "organization", guid),
                ("space_developer", "space", space.text("/guid")),
            ] {
                let mut relationships = related(place, guid);
                relationships["user"] = json!({ "data": { "username": "eve-example-com" } });
                let given = json!({ "type": role, "relationships": relationships });
                let given = admin.post("/v3/roles", &given).await.unwrap();
                assert_eq!(given.status, 201, "{given:?}");
            }
        }
    }
    let own = "eve-example-com/tools/other";
    assert_eq!(push(&second, own).await.status, 202, "the space's");
    assert_eq!(push(&first, own).await.status, 403);
}

#[tokio::test]
async fn a_repository_of_a_space_follows_its_roles_and_goes_with_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    for (name, role) in [("dora", "space_developer"), ("alan", "space_auditor")] {
        app.member((name, role), place).await.unwrap();
    }
    let spaces = admin.get(&format!("/v3/spaces/{space}")).await.unwrap();
    let name = format!("acme/{}/app", spaces.text("/name"));
    let dora = at_registry(&app, "dora", ALL).await;
    let alan = at_registry(&app, "alan", ALL).await;
    app.user("carl").await.unwrap();
    let carl = at_registry(&app, "carl", ALL).await;
    assert_eq!(push(&alan, &name).await.status, 403);
    assert_eq!(push(&dora, &name).await.status, 202);
    assert_eq!(list(&alan, &name).await, 404, "nothing is in it yet");
    assert_eq!(list(&carl, &name).await, 403);

    let renamed = json!({ "name": "other" });
    let path = format!("/v3/spaces/{space}");
    let renamed = admin.patch(&path, &renamed).await.unwrap();
    assert_eq!(renamed.status, 200, "{renamed:?}");
    assert_eq!(push(&dora, &name).await.status, 202, "it stays the space's");
    let deleted = admin.delete(&path).await.unwrap();
    admin.job_of(&deleted).await.unwrap();
    assert_eq!(push(&dora, &name).await.status, 403);
    let owned = "select count(*) from repository_owners";
    assert_eq!(app.count(owned).await.unwrap(), 1);
    let app = app.restart().await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while app.count(owned).await.unwrap() > 0 {
        assert!(std::time::Instant::now() < deadline, "the sweep removes it");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn reading_and_writing_take_their_scope() {
    let app = TestApp::start().await.unwrap();
    app.user("dora").await.unwrap();
    let reads = at_registry(&app, "dora", "cloud_controller.read").await;
    let writes = at_registry(&app, "dora", "cloud_controller.write").await;
    assert_eq!(push(&reads, "dora/app").await.status, 403);
    assert_eq!(push(&writes, "dora/app").await.status, 202);
    assert_eq!(list(&reads, "dora/app").await, 404);
    assert_eq!(list(&writes, "dora/app").await, 403);
}

#[tokio::test]
async fn only_administrators_operate_the_registry() {
    let app = TestApp::start().await.unwrap();
    app.user("dora").await.unwrap();
    let dora = at_registry(&app, "dora", ALL).await;
    assert_eq!(dora.get("/cflite/registry").await.unwrap().status, 403);
    let admin = app.admin().await.unwrap();
    let admin = admin.at(&app.registry_url());
    let listed = admin.get("/cflite/registry").await.unwrap();
    assert_eq!(listed.status, 200, "{listed:?}");
    let path = "/cflite/registry/gc?dry_run=true";
    let preview = admin.post(path, &json!({})).await.unwrap();
    assert_eq!(preview.body["evicted"], json!([]), "{preview:?}");
}
