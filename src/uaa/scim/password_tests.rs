//! Changing passwords over HTTP.

use serde_json::{Value, json};

use crate::base::guid::UserGuid;
use crate::uaa::TokenError;
use crate::uaa::testing::{ADMIN_PASSWORD, Answer, Call, World};

async fn change_password(world: &World, guid: &UserGuid, token: &str, body: Value) -> Answer {
    let path = format!("/Users/{guid}/password");
    Call::new("PUT", &path)
        .bearer(token)
        .json(&body)
        .send(&world.uaa)
        .await
}

#[tokio::test]
async fn changing_ones_password_takes_the_old_one_and_signs_out() {
    let world = World::new().await;
    let bob = world.user("bob", "old").await;
    let tokens = world.log_in("bob", "old").await;
    let access = tokens.text("access_token");
    let cases = [
        (json!({"password": "new"}), 422, "invalid_password"),
        (
            json!({"oldPassword": "", "password": "new"}),
            422,
            "invalid_password",
        ),
        (
            json!({"oldPassword": "old", "password": ""}),
            422,
            "invalid_password",
        ),
        (
            json!({"oldPassword": "old", "password": "old"}),
            422,
            "invalid_password",
        ),
        (
            json!({"oldPassword": "wrong", "password": "new"}),
            401,
            "unauthorized",
        ),
        (json!({"oldPassword": "old"}), 400, "invalid_scim_resource"),
        (
            json!({"oldPassword": 1, "password": "new"}),
            400,
            "invalid_scim_resource",
        ),
    ];
    for (body, status, error) in cases {
        change_password(&world, &bob.guid, access, body)
            .await
            .refused(status, error);
    }
    let body = json!({"oldPassword": "old", "password": "new"});
    let changed = change_password(&world, &bob.guid, access, body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(world.uaa.verify(access), Err(TokenError::Revoked));
    world
        .refresh(tokens.text("refresh_token"))
        .await
        .refused(401, "invalid_token");
    world
        .log_in("bob", "old")
        .await
        .refused(401, "unauthorized");
    let again = world.log_in("bob", "new").await;
    assert!(world.uaa.verify(again.text("access_token")).is_ok());
    assert!(
        world
            .restarted()
            .await
            .verify(again.text("access_token"))
            .is_ok()
    );
}

#[tokio::test]
async fn administrators_set_the_passwords_of_others_without_the_old_one() {
    let world = World::new().await;
    let bob = world.user("bob", "old").await;
    let admin = world.admin_token().await;
    let own = world.uaa.verify(&admin).unwrap().user.unwrap();
    let nobody = UserGuid::from("nobody");
    let unknown = change_password(&world, &nobody, &admin, json!({"password": "new"})).await;
    unknown.refused(404, "scim_resource_not_found");
    let changed = change_password(&world, &bob.guid, &admin, json!({"password": "new"})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(world.log_in("bob", "new").await.status, 200);
    let mine = change_password(&world, &own, &admin, json!({"password": "new"})).await;
    mine.refused(422, "invalid_password");
    assert_eq!(world.log_in("admin", ADMIN_PASSWORD).await.status, 200);
}
