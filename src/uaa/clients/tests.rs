//! Administrators create clients, and the clients get tokens.

use serde_json::{Value, json};

use crate::uaa::TokenError;
use crate::uaa::testing::{Answer, Call, World, payload};

async fn call(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    let call = Call::new(method, path).bearer(&world.admin_token().await);
    match &body {
        Some(body) => call.json(body).send(&world.uaa).await,
        None => call.send(&world.uaa).await,
    }
}

fn robot() -> Value {
    json!({
        "client_id": "robot",
        "client_secret": "first",
        "name": "A robot",
        "authorized_grant_types": ["client_credentials"],
        "authorities": ["cloud_controller.read", "clients.secret", "scim.read"],
        "access_token_validity": 120,
    })
}

async fn token(world: &World, secret: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", secret),
    ];
    let call = Call::new("POST", "/oauth/token").form(&form);
    call.send(&world.uaa).await
}

#[tokio::test]
async fn a_created_client_gets_its_own_token() {
    let world = World::new().await;
    let made = call(&world, "POST", "/oauth/clients", Some(robot())).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.page.contains("first"), "secrets are never shown");
    assert_eq!(made.body["scope"], json!(["uaa.none"]));
    assert_eq!(made.body["autoapprove"], json!([]));
    call(&world, "POST", "/oauth/clients", Some(robot()))
        .await
        .refused(409, "invalid_client");
    let answer = token(&world, "first").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let claims = payload(answer.text("access_token"));
    assert_eq!(claims["client_id"], "robot");
    assert_eq!(claims.get("user_name"), None);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        120
    );
    assert_eq!(
        claims["authorities"],
        json!(["clients.secret", "cloud_controller.read", "scim.read"])
    );
    token(&world, "wrong").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn clients_are_listed_changed_and_deleted() {
    let world = World::new().await;
    call(&world, "POST", "/oauth/clients", Some(robot())).await;
    let listed = call(&world, "GET", "/oauth/clients?sortBy=client_id", None).await;
    let ids: Vec<&str> = listed.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|client| client["client_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["cf", "cflite-console", "doppler", "robot", "ssh-proxy"]
    );
    let path = "/oauth/clients?filter=client_id+eq+%22robot%22";
    let found = call(&world, "GET", path, None).await;
    assert_eq!(found.body["totalResults"], 1);
    let mut body = found.body["resources"][0].clone();
    body["authorities"] = json!(["uaa.resource"]);
    body["autoapprove"] = json!(["openid"]);
    let changed = call(&world, "PUT", "/oauth/clients/robot", Some(body)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["autoapprove"], json!(["openid"]));
    assert_eq!(changed.body["access_token_validity"], 120);
    let kept = token(&world, "first").await;
    assert_eq!(kept.body["scope"], "uaa.resource", "the secret stays");
    let issued = kept.text("access_token").to_owned();
    assert!(world.uaa.verify(&issued).is_ok());
    let deleted = call(&world, "DELETE", "/oauth/clients/robot", None).await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.text("client_id")),
        (200, "robot")
    );
    assert_eq!(world.uaa.verify(&issued), Err(TokenError::Revoked));
    assert_eq!(
        world.restarted().await.verify(&issued),
        Err(TokenError::Revoked)
    );
    token(&world, "first").await.refused(401, "unauthorized");
    call(&world, "GET", "/oauth/clients/robot", None)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_secret_is_changed_at_once_or_with_two_for_a_while() {
    let world = World::new().await;
    call(&world, "POST", "/oauth/clients", Some(robot())).await;
    let path = "/oauth/clients/robot/secret";
    let own = token(&world, "first").await.text("access_token").to_owned();
    let body = json!({ "oldSecret": "wrong", "secret": "second" });
    let refused = Call::new("PUT", path).bearer(&own).json(&body);
    refused
        .send(&world.uaa)
        .await
        .refused(400, "invalid_client");
    let body = json!({ "secret": "second", "changeMode": "ADD" });
    let added = call(&world, "PUT", path, Some(body.clone())).await;
    assert_eq!(added.text("message"), "Secret is added");
    for secret in ["first", "second"] {
        assert_eq!(token(&world, secret).await.status, 200, "{secret}");
    }
    assert!(world.uaa.verify(&own).is_ok());
    call(&world, "PUT", path, Some(body))
        .await
        .refused(400, "invalid_client");
    let body = json!({ "changeMode": "DELETE" });
    assert_eq!(call(&world, "PUT", path, Some(body)).await.status, 200);
    token(&world, "first").await.refused(401, "unauthorized");
    assert_eq!(world.uaa.verify(&own), Err(TokenError::Revoked));
    let own = token(&world, "second")
        .await
        .text("access_token")
        .to_owned();
    let body = json!({ "oldSecret": "second", "secret": "third" });
    let changed = Call::new("PUT", path).bearer(&own).json(&body);
    assert_eq!(changed.send(&world.uaa).await.status, 200);
    token(&world, "second").await.refused(401, "unauthorized");
    assert_eq!(token(&world, "third").await.status, 200);
}

#[tokio::test]
async fn clients_that_break_a_rule_are_refused() {
    let world = World::new().await;
    let with = |key: &str, value: Value| {
        let mut body = robot();
        body[key] = value;
        body
    };
    let cases = [
        with("client_id", json!("")),
        with("client_id", json!("a/b")),
        with("client_id", json!(7)),
        with("client_secret", json!("")),
        with("client_secret", json!("x".repeat(256))),
        with("client_secret", Value::Null),
        with("authorized_grant_types", json!([])),
        with("authorized_grant_types", json!(["implicit"])),
        with("authorized_grant_types", json!(["authorization_code"])),
        with("redirect_uri", json!(["nowhere"])),
        with("authorities", json!(["two words"])),
        with("access_token_validity", json!(-1)),
        with("refresh_token_validity", json!(99_999_999_999_i64)),
        with("autoapprove", json!(7)),
        with("allowpublic", json!(true)),
    ];
    for body in cases {
        let answer = call(&world, "POST", "/oauth/clients", Some(body.clone())).await;
        assert_eq!(answer.status, 400, "{body} {answer:?}");
        answer.refused(400, "invalid_client");
    }
    call(&world, "GET", "/oauth/clients/robot", None)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn the_platforms_clients_stay_as_they_are() {
    let world = World::new().await;
    let mut body = robot();
    body["client_id"] = json!("cf");
    for (method, path, body) in [
        ("DELETE", "/oauth/clients/cf", None),
        ("PUT", "/oauth/clients/cf", Some(body)),
        (
            "PUT",
            "/oauth/clients/doppler/secret",
            Some(json!({ "secret": "x" })),
        ),
    ] {
        call(&world, method, path, body)
            .await
            .refused(403, "access_denied");
    }
}

#[tokio::test]
async fn every_request_on_clients_needs_its_scope() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let bob = world.token("bob", "secret").await;
    for (method, path) in [
        ("GET", "/oauth/clients"),
        ("POST", "/oauth/clients"),
        ("GET", "/oauth/clients/cf"),
        ("PUT", "/oauth/clients/cf"),
        ("DELETE", "/oauth/clients/cf"),
        ("PUT", "/oauth/clients/cf/secret"),
    ] {
        let call = Call::new(method, path).bearer(&bob).json(&robot());
        call.send(&world.uaa)
            .await
            .refused(403, "insufficient_scope");
        let call = Call::new(method, path).json(&robot());
        call.send(&world.uaa).await.refused(401, "unauthorized");
    }
}
