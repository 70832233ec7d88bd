//! `/v3/organizations` and `/v3/spaces`.

use cflite::testing::{TestApp, organization_and_space, related};
use serde_json::json;

#[tokio::test]
async fn an_organization_is_made_found_renamed_and_deleted_with_all_in_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();

    let made = admin
        .post("/v3/organizations", &json!({ "name": "ACME" }))
        .await
        .unwrap();
    assert_eq!(
        (made.status, made.detail()),
        (422, "Organization 'ACME' already exists.")
    );

    let path = format!("/v3/organizations/{organization}");
    let renamed = admin.patch(&path, &json!({ "name": "new" })).await.unwrap();
    assert_eq!((renamed.status, renamed.text("/name")), (200, "new"));
    let listed = admin
        .get("/v3/organizations?names=new,other&order_by=-name")
        .await
        .unwrap();
    assert_eq!(listed.names(), ["new"]);

    let body = json!({ "name": "web", "relationships": related("space", &space) });
    assert_eq!(admin.post("/v3/apps", &body).await.unwrap().status, 201);
    let deleted = admin.delete(&path).await.unwrap();
    assert_eq!(deleted.status, 202);
    let job = deleted.location.unwrap();
    let job = admin.get(&job[job.find("/v3/").unwrap()..]).await.unwrap();
    assert_eq!(
        (job.text("/operation"), job.text("/state")),
        ("organization.delete", "COMPLETE")
    );
    assert_eq!(
        admin.get(&path).await.unwrap().detail(),
        "Organization not found"
    );
    assert_eq!(
        admin.get("/v3/apps").await.unwrap().body["pagination"]["total_results"],
        0
    );
}

#[tokio::test]
async fn everything_is_still_there_after_a_restart() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    organization_and_space(&admin, "acme").await.unwrap();
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    assert_eq!(
        admin.get("/v3/organizations").await.unwrap().names(),
        ["acme"]
    );
    assert_eq!(
        admin
            .get("/v3/spaces?include=organization")
            .await
            .unwrap()
            .names(),
        ["dev"]
    );
}

#[tokio::test]
async fn lists_page_with_links_that_carry_the_filters() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    for n in 0..5 {
        let body = json!({ "name": format!("o{n}"), "metadata": { "labels": { "tier": "gold" } } });
        admin.post("/v3/organizations", &body).await.unwrap();
    }
    let path = "/v3/organizations?label_selector=tier%3Dgold&per_page=2&order_by=name";
    let first = admin.get(path).await.unwrap();
    assert_eq!(first.names(), ["o0", "o1"]);
    let next = first.text("/pagination/next/href").to_owned();
    assert!(next.starts_with(&app.url()), "{next}");
    let second = admin
        .get(next.strip_prefix(&app.url()).unwrap())
        .await
        .unwrap();
    assert_eq!(second.names(), ["o2", "o3"]);
    assert_eq!(second.body["pagination"]["total_pages"], 3);
}

#[tokio::test]
async fn a_space_needs_an_organization_one_can_see() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let body = json!({ "name": "dev", "relationships": related("organization", "nowhere") });
    let refused = admin.post("/v3/spaces", &body).await.unwrap();
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.detail(),
        "Invalid organization. Ensure the organization exists and you have access to it."
    );
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let twice = json!({ "name": "DEV", "relationships": related("organization", &organization) });
    let refused = admin.post("/v3/spaces", &twice).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Name must be unique per organization")
    );
}
