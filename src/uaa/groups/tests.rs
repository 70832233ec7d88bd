//! Administrators add users to groups, and their tokens follow.

use serde_json::{Value, json};

use crate::uaa::testing::{Answer, Call, World, payload};

async fn call(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    let call = Call::new(method, path).bearer(&world.admin_token().await);
    let call = match &body {
        Some(body) => call.json(body),
        None => call,
    };
    call.any_version().send(&world.uaa).await
}

async fn group(world: &World, name: &str) -> Value {
    let filter = format!("/Groups?filter=displayName+eq+%22{name}%22");
    let found = call(world, "GET", &filter, None).await;
    assert_eq!(found.body["totalResults"], 1, "{found:?}");
    found.body["resources"][0].clone()
}

async fn scopes(world: &World, user: &str) -> Vec<String> {
    let claims = payload(&world.token(user, "secret").await);
    let scopes = claims["scope"].as_array().unwrap().iter();
    scopes
        .map(|scope| scope.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_member_of_a_group_gets_its_scope() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let auditors = group(&world, "cloud_controller.global_auditor").await;
    let path = format!("/Groups/{}/members", auditors["id"].as_str().unwrap());
    let body = json!({ "origin": "uaa", "type": "USER", "value": bob.guid });
    let added = call(&world, "POST", &path, Some(body.clone())).await;
    assert_eq!((added.status.as_u16(), &added.body), (201, &body));
    call(&world, "POST", &path, Some(body.clone()))
        .await
        .refused(409, "member_already_exists");
    let scope = "cloud_controller.global_auditor".to_owned();
    assert!(scopes(&world, "bob").await.contains(&scope));
    let listed = call(&world, "GET", &path, None).await;
    assert_eq!(listed.body, json!([body]));
    let user = call(&world, "GET", &format!("/Users/{}", bob.guid), None).await;
    let shown = user.body["groups"].as_array().unwrap();
    let found = shown
        .iter()
        .find(|group| group["display"] == scope.as_str());
    assert_eq!(found.unwrap()["value"], auditors["id"]);
    let member = format!("{path}/{}", bob.guid);
    assert_eq!(call(&world, "GET", &member, None).await.body, body);
    assert_eq!(call(&world, "DELETE", &member, None).await.status, 200);
    assert!(!scopes(&world, "bob").await.contains(&scope));
    for method in ["GET", "DELETE"] {
        call(&world, method, &member, None)
            .await
            .refused(404, "scim_resource_not_found");
    }
}

#[tokio::test]
async fn a_group_is_created_changed_and_deleted() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let body = json!({
        "displayName": "acme.read",
        "description": "Readers",
        "members": [{ "value": bob.guid }],
    });
    let made = call(&world, "POST", "/Groups", Some(body.clone())).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["members"][0]["value"], bob.guid.as_str());
    call(&world, "POST", "/Groups", Some(body))
        .await
        .refused(409, "scim_resource_already_exists");
    let path = format!("/Groups/{}", made.text("id"));
    let body = json!({ "displayName": "acme.write", "meta": { "attributes": ["description"] } });
    let renamed = call(&world, "PATCH", &path, Some(body)).await;
    assert_eq!(renamed.body["displayName"], "acme.write", "{renamed:?}");
    assert_eq!(renamed.body.get("description"), None);
    assert_eq!(renamed.body["meta"]["version"], 1);
    assert_eq!(renamed.body["members"][0]["value"], bob.guid.as_str());
    let body = json!({ "members": [{ "value": bob.guid, "operation": "delete" }] });
    let emptied = call(&world, "PATCH", &path, Some(body)).await;
    assert_eq!(emptied.body["members"], json!([]));
    let body = json!({ "displayName": "acme.write", "members": [{ "value": bob.guid }] });
    let replaced = call(&world, "PUT", &path, Some(body)).await;
    assert_eq!(replaced.body["members"][0]["value"], bob.guid.as_str());
    assert_eq!(call(&world, "DELETE", &path, None).await.status, 200);
    call(&world, "GET", &path, None)
        .await
        .refused(404, "scim_resource_not_found");
}

#[tokio::test]
async fn groups_that_break_a_rule_are_refused_and_change_nothing() {
    let world = World::new().await;
    let cases = [
        json!({}),
        json!({ "displayName": "" }),
        json!({ "displayName": "two words" }),
        json!({ "displayName": "a,b" }),
        json!({ "displayName": "a", "members": [{ "value": "nobody" }] }),
        json!({ "displayName": "a", "members": [{ "value": "x", "type": "GROUP" }] }),
        json!({ "displayName": 7 }),
    ];
    for body in cases {
        call(&world, "POST", "/Groups", Some(body))
            .await
            .refused(400, "invalid_scim_resource");
    }
    let found = call(&world, "GET", "/Groups?filter=displayName+eq+%22a%22", None).await;
    assert_eq!(found.body["totalResults"], 0);
}

#[tokio::test]
async fn the_platforms_groups_stay() {
    let world = World::new().await;
    let admins = group(&world, "cloud_controller.admin").await;
    let path = format!("/Groups/{}", admins["id"].as_str().unwrap());
    call(&world, "DELETE", &path, None)
        .await
        .refused(403, "access_denied");
    let body = json!({ "displayName": "other" });
    call(&world, "PATCH", &path, Some(body))
        .await
        .refused(403, "access_denied");
    let everybody = group(&world, "openid").await;
    let admin = admins["members"][0]["value"].as_str().unwrap();
    let member = format!(
        "/Groups/{}/members/{admin}",
        everybody["id"].as_str().unwrap()
    );
    call(&world, "DELETE", &member, None)
        .await
        .refused(403, "access_denied");
}

#[tokio::test]
async fn every_request_on_groups_needs_its_scope() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let body = json!({ "displayName": "a", "value": "b" });
    for (method, path) in [
        ("GET", "/Groups"),
        ("POST", "/Groups"),
        ("GET", "/Groups/x"),
        ("PUT", "/Groups/x"),
        ("PATCH", "/Groups/x"),
        ("DELETE", "/Groups/x"),
        ("GET", "/Groups/x/members"),
        ("POST", "/Groups/x/members"),
        ("GET", "/Groups/x/members/y"),
        ("DELETE", "/Groups/x/members/y"),
    ] {
        let call = Call::new(method, path).bearer(&token).json(&body);
        call.any_version()
            .send(&world.uaa)
            .await
            .refused(403, "insufficient_scope");
        let call = Call::new(method, path).json(&body).any_version();
        call.send(&world.uaa).await.refused(401, "unauthorized");
    }
}
