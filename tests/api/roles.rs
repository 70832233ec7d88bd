//! Who sees and may do what.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::json;

async fn give(admin: &TestClient, kind: &str, user: &str, scope: (&str, &str)) -> (u16, String) {
    let mut relationships = related(scope.0, scope.1);
    relationships["user"] = json!({ "data": { "username": user } });
    let answer = admin
        .post(
            "/v3/roles",
            &json!({ "type": kind, "relationships": relationships }),
        )
        .await
        .unwrap();
    (answer.status, answer.detail().to_owned())
}

#[tokio::test]
async fn what_one_may_not_see_is_not_found_and_what_one_may_not_do_is_forbidden() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let user = app.user("dora").await.unwrap();
    let path = format!("/v3/spaces/{space}");

    assert_eq!(user.get(&path).await.unwrap().detail(), "Space not found");
    assert!(
        user.get("/v3/organizations")
            .await
            .unwrap()
            .names()
            .is_empty()
    );
    let (status, text) = give(&admin, "space_developer", "dora", ("space", &space)).await;
    assert_eq!(status, 422);
    assert!(
        text.starts_with("Users cannot be assigned roles in a space"),
        "{text}"
    );

    give(
        &admin,
        "organization_user",
        "dora",
        ("organization", &organization),
    )
    .await;
    let (status, text) = give(
        &admin,
        "organization_user",
        "dora",
        ("organization", &organization),
    )
    .await;
    assert_eq!(
        (status, text.as_str()),
        (
            422,
            "User 'dora' already has 'organization_user' role in organization 'acme'."
        )
    );
    give(&admin, "space_auditor", "dora", ("space", &space)).await;
    assert_eq!(user.get(&path).await.unwrap().status, 200);
    let body = json!({ "name": "web", "relationships": related("space", &space) });
    let refused = user.post("/v3/apps", &body).await.unwrap();
    assert_eq!((refused.status, refused.title()), (403, "CF-NotAuthorized"));

    give(&admin, "space_developer", "dora", ("space", &space)).await;
    assert_eq!(user.post("/v3/apps", &body).await.unwrap().status, 201);
    let refused = user
        .delete(&format!("/v3/organizations/{organization}"))
        .await
        .unwrap();
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn without_a_good_token_nothing_is_shown() {
    let app = TestApp::start().await.unwrap();
    let anonymous = app.anonymous();
    let refused = anonymous.get("/v3/apps").await.unwrap();
    assert_eq!(
        (refused.status, refused.title()),
        (401, "CF-NotAuthenticated")
    );
    let refused = anonymous
        .with_token("nonsense")
        .get("/v3/apps")
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.title()),
        (401, "CF-InvalidAuthToken")
    );
    assert_eq!(anonymous.get("/").await.unwrap().status, 200);
    assert_eq!(
        anonymous.get("/api/v1/read/some-app").await.unwrap().status,
        404
    );
}
