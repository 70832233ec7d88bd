//! Guessing passwords is slow, and the administrator's follows its file.

use std::time::Duration;

use serde_json::json;

use crate::base::Secret;
use crate::uaa::AdminChange;
use crate::uaa::testing::{ADMIN_PASSWORD, Call, World};

#[tokio::test(start_paused = true)]
async fn wrong_passwords_slow_down_one_user_and_nobody_else() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let before = tokio::time::Instant::now();
        world
            .log_in("bob", "wrong")
            .await
            .refused(401, "unauthorized");
        waits.push(before.elapsed().as_millis());
    }
    // The clock of the platform stands still, so each attempt waits out the whole pause.
    assert_eq!(waits[..3], [0, 0, 0]);
    for (wait, pause) in waits[3..].iter().zip([500, 1000, 2000, 4000, 5000]) {
        assert!((pause..pause + 50).contains(wait), "{waits:?}");
    }
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("admin", ADMIN_PASSWORD).await.status, 200);
    assert_eq!(before.elapsed(), Duration::ZERO, "others do not wait");
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("bob", "secret").await.status, 200);
    assert!(
        before.elapsed() >= Duration::from_secs(5),
        "the right one waits, too, but passes"
    );
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("bob", "secret").await.status, 200);
    assert_eq!(before.elapsed(), Duration::ZERO, "the right one forgives");
}

#[tokio::test(start_paused = true)]
async fn the_count_of_wrong_passwords_survives_a_restart_and_time_passes_for_it() {
    let mut world = World::new().await;
    for _ in 0..4 {
        world.log_in("admin", "wrong").await;
    }
    world.uaa = world.restarted().await;
    let before = tokio::time::Instant::now();
    world
        .log_in("admin", "wrong")
        .await
        .refused(401, "unauthorized");
    assert!(before.elapsed() >= Duration::from_secs(1));
    world.advance(60);
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("admin", ADMIN_PASSWORD).await.status, 200);
    assert_eq!(before.elapsed(), Duration::ZERO);
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
