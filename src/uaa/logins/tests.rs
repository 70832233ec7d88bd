//! Guessing passwords is slow, and the administrator's password follows its file.

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
    // The platform's clock stands still, so each attempt waits for the whole pause.
    assert_eq!(waits[..3], [0, 0, 0]);
    for (wait, pause) in waits[3..].iter().zip([500, 1000, 2000, 4000, 5000]) {
        assert!((pause..pause + 50).contains(wait), "{waits:?}");
    }
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("admin", ADMIN_PASSWORD).await.status, 200);
    assert_eq!(before.elapsed(), Duration::ZERO, "others do not wait");
    let before = tokio::time::Instant::now();
    assert_eq!(world.log_in("bob", "secret").await.status, 200);
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "the right one never waits"
    );
    let before = tokio::time::Instant::now();
    let again = world.log_in("bob", "wrong").await;
    again.refused(401, "unauthorized");
    assert_eq!(before.elapsed(), Duration::ZERO, "the right one forgives");
}

const OTHER: [u8; 4] = [10, 0, 0, 9];

#[tokio::test(start_paused = true)]
async fn guessing_does_not_lock_out_the_right_password() {
    let world = World::new().await;
    let guessers = async {
        let guess = |number: usize| {
            let world = &world;
            async move {
                loop {
                    let answer = world.log_in("admin", &format!("guess {number}")).await;
                    answer.refused(401, "unauthorized");
                }
            }
        };
        futures_util::future::join_all((0..12).map(guess)).await
    };
    let owner = async {
        for address in [[127, 0, 0, 1], OTHER].repeat(5) {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let before = tokio::time::Instant::now();
            let answer = world.log_in_from(address, "admin", ADMIN_PASSWORD).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(before.elapsed(), Duration::ZERO, "{address:?}");
        }
    };
    tokio::select! {
        () = owner => {}
        _ = guessers => unreachable!("they never end"),
    }
}

#[tokio::test(start_paused = true)]
async fn failures_count_per_source_and_headers_do_not_change_it() {
    let world = World::new().await;
    // Failures since the start are counted per source.
    world.advance(1);
    for _ in 0..6 {
        world.log_in("admin", "wrong").await;
    }
    let before = tokio::time::Instant::now();
    world.log_in_from(OTHER, "admin", "wrong").await;
    assert_eq!(before.elapsed(), Duration::ZERO, "another source");
    let form = [
        ("grant_type", "password"),
        ("username", "admin"),
        ("password", "wrong"),
    ];
    let disguised = Call::new("POST", "/oauth/token")
        .basic("cf", "")
        .header("x-forwarded-for".parse().unwrap(), "10.9.9.9")
        .form(&form)
        .from([127, 0, 0, 1]);
    let before = tokio::time::Instant::now();
    let answer = disguised.send(&world.uaa).await;
    answer.refused(401, "unauthorized");
    assert!(
        before.elapsed() >= Duration::from_secs(4),
        "the same source"
    );
}

/// How long the responses to `count` identical calls take.
async fn waits(world: &World, count: usize, call: impl Fn() -> Call) -> Vec<u128> {
    let mut waits = Vec::new();
    for _ in 0..count {
        let before = tokio::time::Instant::now();
        let answer = call().send(&world.uaa).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        waits.push(before.elapsed().as_millis());
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn guessing_unknown_names_secrets_and_codes_is_as_slow() {
    let world = World::new().await;
    let token = || Call::new("POST", "/oauth/token");
    let unknown = || {
        let form = [
            ("grant_type", "password"),
            ("username", "nobody"),
            ("password", "x"),
        ];
        token().basic("cf", "").form(&form)
    };
    let secret = || {
        let form = [("grant_type", "client_credentials")];
        token().basic("doppler", "guess").form(&form)
    };
    let passcode = || {
        let form = [("grant_type", "password"), ("passcode", "guess")];
        token().basic("cf", "").form(&form)
    };
    let code = || {
        let form = [("grant_type", "authorization_code"), ("code", "guess")];
        token().basic("ssh-proxy", "").form(&form)
    };
    let calls: [&dyn Fn() -> Call; 4] = [&unknown, &secret, &passcode, &code];
    for (number, call) in calls.into_iter().enumerate() {
        let waits = waits(&world, 5, call).await;
        assert_eq!(waits[..3], [0, 0, 0], "{number}");
        for (wait, pause) in waits[3..].iter().zip([500, 1000]) {
            assert!((pause..pause + 50).contains(wait), "{number}: {waits:?}");
        }
    }
    let doppler = world.doppler_secret().await;
    let form = [("grant_type", "client_credentials")];
    let right = token().basic("doppler", &doppler).form(&form);
    let before = tokio::time::Instant::now();
    assert_eq!(right.send(&world.uaa).await.status, 200);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_count_of_wrong_passwords_survives_a_restart_and_expires() {
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
