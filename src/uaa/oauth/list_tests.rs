//! Tokens are listed and revoked by user, by client and one by one.

use serde_json::json;

use crate::uaa::TokenError;
use crate::uaa::testing::{Answer, Call, World, payload};

async fn get(world: &World, path: &str, token: &str) -> Answer {
    Call::new("GET", path).bearer(token).send(&world.uaa).await
}

async fn client_token(world: &World) -> String {
    let secret = world.doppler_secret().await;
    let call = Call::new("POST", "/oauth/token").basic("doppler", &secret);
    let form = [("grant_type", "client_credentials")];
    let answer = call.form(&form).send(&world.uaa).await;
    answer.text("access_token").to_owned()
}

#[tokio::test]
async fn people_see_their_own_tokens_and_administrators_everybodys() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let own = get(&world, "/oauth/token/list", &token).await;
    let kinds: Vec<&str> = own
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["responseType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ACCESS_TOKEN", "REFRESH_TOKEN"]);
    assert_eq!(own.body[0]["tokenId"], payload(&token)["jti"]);
    assert_eq!(own.body[0]["value"], json!(null));
    let admin = world.admin_token().await;
    let of_bob = format!("/oauth/token/list/user/{}", bob.guid);
    assert_eq!(get(&world, &of_bob, &admin).await.body, own.body);
    let of_client = get(&world, "/oauth/token/list/client/cf", &admin).await;
    assert_eq!(of_client.body.as_array().unwrap().len(), 4);
    for path in [
        format!(
            "/oauth/token/list/user/{}",
            payload(&admin)["user_id"].as_str().unwrap()
        ),
        "/oauth/token/list/client/cf".to_owned(),
    ] {
        get(&world, &path, &token)
            .await
            .refused(403, "insufficient_scope");
    }
    world.advance(601);
    let later = get(
        &world,
        "/oauth/token/list/client/cf",
        &world.admin_token().await,
    )
    .await;
    assert_eq!(later.body.as_array().unwrap().len(), 4, "{later:?}");
}

#[tokio::test]
async fn a_client_sees_its_own_tokens() {
    let world = World::new().await;
    let token = client_token(&world).await;
    let own = get(&world, "/oauth/token/list", &token).await;
    assert_eq!(own.body[0]["clientId"], "doppler");
    assert_eq!(own.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn everything_issued_to_a_user_ends_at_once() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let answer = world.log_in("bob", "secret").await;
    let (access, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    let admin = world.admin_token().await;
    let path = format!("/oauth/token/revoke/user/{}", bob.guid);
    assert_eq!(get(&world, &path, &admin).await.status, 200);
    assert_eq!(world.uaa.verify(access), Err(TokenError::Revoked));
    world.refresh(refresh).await.refused(401, "invalid_token");
    assert!(world.uaa.verify(&admin).is_ok());
    let again = world.token("bob", "secret").await;
    assert!(world.uaa.verify(&again).is_ok());
    let path = format!(
        "/oauth/token/revoke/user/{}",
        payload(&admin)["user_id"].as_str().unwrap()
    );
    get(&world, &path, &again)
        .await
        .refused(403, "insufficient_scope");
    get(&world, "/oauth/token/revoke/user/nobody", &admin)
        .await
        .refused(404, "scim_resource_not_found");
}

#[tokio::test]
async fn everything_issued_through_a_client_ends_at_once() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let answer = world.log_in("bob", "secret").await;
    let (access, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    let doppler = client_token(&world).await;
    let admin = world.admin_token().await;
    let path = "/oauth/token/revoke/client/cf";
    get(&world, path, access)
        .await
        .refused(403, "insufficient_scope");
    assert_eq!(get(&world, path, &admin).await.status, 200);
    for token in [access, &admin] {
        assert_eq!(world.uaa.verify(token), Err(TokenError::Revoked));
    }
    world.refresh(refresh).await.refused(401, "invalid_token");
    assert!(world.uaa.verify(&doppler).is_ok());
    let own = "/oauth/token/revoke/client/doppler";
    assert_eq!(get(&world, own, &doppler).await.status, 200);
    assert_eq!(world.uaa.verify(&doppler), Err(TokenError::Revoked));
}

#[tokio::test]
async fn a_users_tokens_through_one_client_end_without_others() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let answer = world.log_in("bob", "secret").await;
    let access = answer.text("access_token");
    let admin = world.admin_token().await;
    let other = format!("/oauth/token/revoke/user/{}/client/doppler", bob.guid);
    assert_eq!(get(&world, &other, &admin).await.status, 200);
    assert!(world.uaa.verify(access).is_ok());
    let path = format!("/oauth/token/revoke/user/{}/client/cf", bob.guid);
    assert_eq!(get(&world, &path, access).await.status, 200);
    assert_eq!(world.uaa.verify(access), Err(TokenError::Revoked));
    let refresh = answer.text("refresh_token");
    world.refresh(refresh).await.refused(401, "invalid_token");
    assert!(world.uaa.verify(&admin).is_ok());
}

#[tokio::test]
async fn administrators_end_one_token_by_its_id() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let id = payload(&token)["jti"].as_str().unwrap().to_owned();
    let path = format!("/oauth/token/revoke/{id}");
    let doppler = client_token(&world).await;
    let refused = Call::new("DELETE", &path).bearer(&doppler);
    refused
        .send(&world.uaa)
        .await
        .refused(403, "insufficient_scope");
    let admin = world.admin_token().await;
    let ended = Call::new("DELETE", &path).bearer(&admin);
    assert_eq!(ended.send(&world.uaa).await.status, 200);
    assert_eq!(world.uaa.verify(&token), Err(TokenError::Revoked));
}
