//! What the first opening makes, and what later ones keep.

use serde_json::json;

use crate::base::Secret;
use crate::uaa::AdminChange;
use crate::uaa::testing::{ADMIN_PASSWORD, Call, World};

#[tokio::test]
async fn keys_and_secrets_outlive_a_restart() {
    let world = World::new().await;
    let answer = world.log_in("admin", ADMIN_PASSWORD).await;
    let again = world.restarted().await;
    assert!(again.verify(answer.text("access_token")).is_ok());
    let secret = again.client_secret("doppler").await.unwrap().unwrap();
    assert_eq!(*secret.expose(), world.doppler_secret().await);
}

#[tokio::test]
async fn the_administrators_password_follows_the_file_only_when_the_file_changes() {
    let world = World::new().await;
    let given = Secret::new(ADMIN_PASSWORD.to_owned());
    assert_eq!(
        world.uaa.ensure_admin(&given).await.unwrap(),
        AdminChange::Unchanged
    );
    let token = world.admin_token().await;
    let id = world.uaa.verify(&token).unwrap().subject;
    let body = json!({"oldPassword": ADMIN_PASSWORD, "password": "mine"});
    let path = format!("/Users/{id}/password");
    let changed = Call::new("PUT", &path)
        .bearer(&token)
        .json(&body)
        .send(&world.uaa)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        world.uaa.ensure_admin(&given).await.unwrap(),
        AdminChange::Unchanged
    );
    assert_eq!(world.log_in("admin", "mine").await.status, 200);
    let new = Secret::new("from a new file".to_owned());
    assert_eq!(
        world.uaa.ensure_admin(&new).await.unwrap(),
        AdminChange::PasswordReplaced
    );
    world
        .log_in("admin", "mine")
        .await
        .refused(401, "unauthorized");
    assert_eq!(world.log_in("admin", "from a new file").await.status, 200);
}

#[tokio::test]
async fn the_first_opening_makes_a_key_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let open = || async {
        let parts = crate::uaa::Parts {
            db: crate::db::Db::open(&directory.path().join("cflite.db")).unwrap(),
            vault: crate::db::Vault::open(&directory.path().join("key")).unwrap(),
            clock: std::sync::Arc::new(crate::base::SystemClock),
            guids: crate::base::GuidSource::random(),
            issuer: Some("https://uaa.example.com".to_owned()),
        };
        crate::uaa::Uaa::open(parts).await.unwrap()
    };
    let first = Call::new("GET", "/token_key").send(&open().await).await;
    assert!(
        first
            .text("value")
            .starts_with("-----BEGIN PUBLIC KEY-----")
    );
    let uaa = open().await;
    assert_eq!(
        Call::new("GET", "/token_key").send(&uaa).await.body,
        first.body
    );
    let discovery = Call::new("GET", "/.well-known/openid-configuration")
        .send(&uaa)
        .await;
    assert_eq!(
        discovery.text("issuer"),
        "https://uaa.example.com/oauth/token"
    );
    assert_eq!(
        discovery.text("jwks_uri"),
        "http://uaa.cf.localhost:8080/token_keys"
    );
}
