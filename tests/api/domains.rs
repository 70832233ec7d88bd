//! `/v3/domains`: what the cf CLI makes of `create-shared-domain`, `create-private-domain`,
//! `share-private-domain`, `check-route` and their opposites.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::json;

async fn private(client: &TestClient, name: &str, organization: &str) -> String {
    let body = json!({ "name": name, "relationships": related("organization", organization) });
    let made = client.post("/v3/domains", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

#[tokio::test]
async fn shared_domains_are_the_admins() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let user = app.user("dora").await.unwrap();
    let body = json!({ "name": "Apps.Example.com", "metadata": { "labels": { "tier": "one" } } });
    assert_eq!(user.post("/v3/domains", &body).await.unwrap().status, 403);
    let made = admin.post("/v3/domains", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["supported_protocols"], json!(["http"]));
    assert_eq!(
        made.body["relationships"]["organization"]["data"],
        json!(null)
    );
    let path = format!("/v3/domains/{}", made.text("/guid"));
    assert_eq!(user.get(&path).await.unwrap().status, 200);
    let listed = user
        .get("/v3/domains?label_selector=tier%3Done")
        .await
        .unwrap();
    assert_eq!(listed.names().len(), 1);
    let again = admin
        .post("/v3/domains", &json!({ "name": "apps.example.com" }))
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (
            422,
            "The domain name \"apps.example.com\" is already in use"
        )
    );
    let tcp = json!({ "name": "tcp.example.com", "router_group": { "guid": "none" } });
    let refused = admin.post("/v3/domains", &tcp).await.unwrap();
    assert_eq!(refused.detail(), "Router group with guid 'none' not found.");
    assert_eq!(user.delete(&path).await.unwrap().status, 403);
    assert_eq!(admin.delete(&path).await.unwrap().status, 202);
    assert_eq!(admin.get(&path).await.unwrap().detail(), "Domain not found");
}

#[tokio::test]
async fn private_domains_are_seen_in_their_organization_and_where_they_are_shared() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (owner, space) = organization_and_space(&admin, "owner").await.unwrap();
    let (guest, guest_space) = organization_and_space(&admin, "guest").await.unwrap();
    let manager = app
        .member(("mia", "organization_manager"), (&owner, &space))
        .await
        .unwrap();
    let developer = app
        .member(("dora", "space_developer"), (&owner, &space))
        .await
        .unwrap();
    let member = app
        .member(("ulf", "organization_user"), (&owner, &space))
        .await
        .unwrap();
    let outside = (guest.as_str(), guest_space.as_str());
    let stranger = app
        .member(("zoe", "space_developer"), outside)
        .await
        .unwrap();
    let body = json!({ "name": "own.example", "relationships": related("organization", &owner) });
    assert_eq!(
        developer.post("/v3/domains", &body).await.unwrap().status,
        403
    );
    let guid = private(&manager, "own.example", &owner).await;
    let path = format!("/v3/domains/{guid}");
    for (who, status) in [(&developer, 200), (&member, 404), (&stranger, 404)] {
        assert_eq!(who.get(&path).await.unwrap().status, status);
    }
    let below =
        json!({ "name": "a.own.example", "relationships": related("organization", &guest) });
    let refused = admin.post("/v3/domains", &below).await.unwrap();
    assert_eq!(
        refused.detail(),
        "The domain name \"a.own.example\" cannot be created because \"own.example\" is already reserved by another \
         domain"
    );

    let relation = format!("{path}/relationships/shared_organizations");
    let shared = json!({ "data": [{ "guid": guest }] });
    let refused = manager.post(&relation, &shared).await.unwrap();
    assert_eq!(
        refused.status, 422,
        "only who sees the guest may share: {refused:?}"
    );
    assert_eq!(admin.post(&relation, &shared).await.unwrap().status, 200);
    assert_eq!(stranger.get(&path).await.unwrap().status, 200);
    let of_guest = format!("/v3/organizations/{guest}/domains?names=own.example");
    assert_eq!(
        stranger.get(&of_guest).await.unwrap().names(),
        ["own.example"]
    );
    let refused = admin.delete(&path).await.unwrap();
    assert_eq!(
        refused.detail(),
        "This domain is shared with other organizations. Unshare before deleting."
    );

    // An organization whose domains others use is kept, and its job says why.
    let deleted = admin
        .delete(&format!("/v3/organizations/{owner}"))
        .await
        .unwrap();
    let job = deleted.location.unwrap();
    let job = admin.get(&job[job.find("/v3/").unwrap()..]).await.unwrap();
    assert_eq!(job.text("/state"), "FAILED", "{job:?}");
    assert_eq!(job.text("/errors/0/title"), "CF-OrganizationDeletionFailed");
    assert!(
        job.text("/errors/0/detail")
            .contains("Domain 'own.example' is shared")
    );
    let kept = admin
        .get(&format!("/v3/organizations/{owner}"))
        .await
        .unwrap();
    assert_eq!(kept.status, 200);

    let unshare = format!("{relation}/{guest}");
    assert_eq!(admin.delete(&unshare).await.unwrap().status, 204);
    assert_eq!(stranger.get(&path).await.unwrap().status, 404);
    assert_eq!(manager.delete(&path).await.unwrap().status, 202);
}

#[tokio::test]
async fn the_quota_of_an_organization_counts_its_domains() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({
        "name": "small",
        "domains": { "total_domains": 1 },
        "routes": { "total_routes": 1 },
        "relationships": { "organizations": { "data": [{ "guid": organization }] } },
    });
    let made = admin.post("/v3/organization_quotas", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    private(&admin, "one.example", &organization).await;
    let body =
        json!({ "name": "two.example", "relationships": related("organization", &organization) });
    let refused = admin.post("/v3/domains", &body).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "The number of private domains exceeds the quota for organization \"acme\""
        )
    );
}

#[tokio::test]
async fn internal_domains_take_neither_owner_nor_ports() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({
        "name": "mesh.internal", "internal": true, "relationships": related("organization", &organization),
    });
    let refused = admin.post("/v3/domains", &body).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Cannot associate an internal domain with an organization"
    );
    let made = admin
        .post(
            "/v3/domains",
            &json!({ "name": "mesh.internal", "internal": true }),
        )
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let mut relationships = related("space", &space);
    relationships["domain"] = json!({ "data": { "guid": made.text("/guid") } });
    for (more, text) in [
        (
            json!({ "host": "back", "port": 1234 }),
            "Routes with protocol 'http' do not support ports.",
        ),
        (
            json!({ "host": "back", "path": "/a" }),
            "Paths are not supported for internal domains.",
        ),
        (
            json!({ "host": "*" }),
            "Wildcard hosts are not supported for internal domains.",
        ),
    ] {
        let mut body = more.clone();
        body["relationships"] = relationships.clone();
        let refused = admin.post("/v3/routes", &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, text), "{more}");
    }
}
