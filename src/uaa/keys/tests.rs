//! Key rotation and the validity of tokens.

use serde_json::Value;

use crate::uaa::TokenError;
use crate::uaa::testing::{Call, World, payload};

async fn key_ids(world: &World) -> Vec<String> {
    let keys = Call::new("GET", "/token_keys").send(&world.uaa).await;
    let keys = keys.body["keys"].as_array().unwrap().clone();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn rotate(world: &World) -> Value {
    let call = Call::new("POST", "/token_keys").bearer(&world.admin_token().await);
    let made = call.send(&world.uaa).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body
}

#[tokio::test]
async fn a_new_key_signs_and_the_old_one_verifies_until_its_tokens_have_expired() {
    let world = World::new().await;
    let before = world.admin_token().await;
    let old = key_ids(&world).await;
    let new = rotate(&world).await["kid"].as_str().unwrap().to_owned();
    assert_eq!(key_ids(&world).await, [new.clone(), old[0].clone()]);
    let after = world.admin_token().await;
    for token in [&before, &after] {
        assert!(world.uaa.verify(token).is_ok());
        assert!(world.restarted().await.verify(token).is_ok());
    }
    let current = Call::new("GET", "/token_key").send(&world.uaa).await;
    assert_eq!(current.text("kid"), new);
    world.uaa.maintain().await.unwrap();
    assert_eq!(key_ids(&world).await.len(), 2);
    world.advance(3700);
    world.uaa.maintain().await.unwrap();
    assert_eq!(key_ids(&world).await, std::slice::from_ref(&new));
    assert_eq!(world.uaa.verify(&before), Err(TokenError::Unknown));
    assert_eq!(world.uaa.verify(&after), Err(TokenError::Expired));
    world.uaa.maintain().await.unwrap();
    assert_eq!(key_ids(&world).await, [new], "the last one stays");
}

#[tokio::test]
async fn a_long_token_keeps_its_key() {
    let world = World::new().await;
    let secret = world.doppler_secret().await;
    let call = Call::new("POST", "/oauth/token").basic("doppler", &secret);
    let form = [("grant_type", "client_credentials")];
    let answer = call.form(&form).send(&world.uaa).await;
    let token = answer.text("access_token");
    let lifetime = {
        let claims = payload(token);
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    rotate(&world).await;
    world.advance(lifetime.unsigned_abs() - 10);
    world.uaa.maintain().await.unwrap();
    assert!(world.uaa.verify(token).is_ok());
    world.advance(10);
    world.uaa.maintain().await.unwrap();
    assert_eq!(key_ids(&world).await.len(), 1);
}

#[tokio::test]
async fn a_key_signs_for_ninety_days() {
    let world = World::new().await;
    let first = key_ids(&world).await;
    rotate(&world).await;
    let second = key_ids(&world).await[0].clone();
    assert_ne!(second, first[0]);
    world.advance(90 * 24 * 3600 - 1);
    world.uaa.maintain().await.unwrap();
    assert_eq!(key_ids(&world).await, std::slice::from_ref(&second));
    world.advance(1);
    world.uaa.maintain().await.unwrap();
    let third = key_ids(&world).await;
    assert_eq!(third.len(), 2);
    assert_eq!(third[1], second);
}

#[tokio::test]
async fn only_administrators_create_keys() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let call = Call::new("POST", "/token_keys").bearer(&token);
    call.send(&world.uaa)
        .await
        .refused(403, "insufficient_scope");
    assert_eq!(key_ids(&world).await.len(), 1);
}
