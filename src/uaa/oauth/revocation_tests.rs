//! A revocation persists, whatever happens concurrently.

use std::sync::mpsc;

use tokio::task::JoinSet;

use crate::uaa::claims::TokenError;
use crate::uaa::error::UaaError;
use crate::uaa::testing::{ADMIN_PASSWORD, Call, World};

/// A write that revokes the token, reports that it did, and waits for a signal before it returns
/// the given result.
fn revocation(
    world: &World,
    token: &str,
    outcome: Result<(), UaaError>,
) -> (
    JoinSet<Result<(), UaaError>>,
    tokio::sync::oneshot::Receiver<()>,
    mpsc::Sender<()>,
) {
    let claims = world.uaa.verify(token).unwrap();
    let (staged, reported) = tokio::sync::oneshot::channel();
    let (signal, signalled) = mpsc::channel();
    let uaa = world.uaa.clone();
    let write = async move {
        let now = uaa.now();
        uaa.write(move |tx, revocations| {
            revocations.end_token(tx, &claims, now)?;
            staged.send(()).unwrap();
            signalled.recv().unwrap();
            outcome
        })
        .await
    };
    let mut writes = JoinSet::new();
    writes.spawn(write);
    (writes, reported, signal)
}

async fn refused_write(world: &World) -> bool {
    let refused = world
        .uaa
        .write(|_, _| Err::<(), _>(UaaError::insufficient_scope(&[])));
    refused.await.is_err()
}

#[tokio::test]
async fn a_token_ends_with_the_commit_and_not_before() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let (mut write, staged, signal) = revocation(&world, &token, Ok(()));
    staged.await.unwrap();
    assert!(world.uaa.verify(&token).is_ok(), "nothing is committed yet");
    signal.send(()).unwrap();
    assert!(write.join_next().await.unwrap().unwrap().is_ok());
    assert_eq!(world.uaa.verify(&token), Err(TokenError::Revoked));
}

#[tokio::test]
async fn a_failed_concurrent_write_restores_no_revoked_token() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let (mut write, staged, signal) = revocation(&world, &token, Ok(()));
    staged.await.unwrap();
    // These are behind it in the writer's queue and fail right after its commit.
    let beside = async { tokio::join!(refused_write(&world), refused_write(&world)) };
    let send = async { signal.send(()).unwrap() };
    let (refused, (), revoked) = tokio::join!(beside, send, write.join_next());
    assert!(revoked.unwrap().unwrap().is_ok());
    assert_eq!(refused, (true, true));
    assert_eq!(world.uaa.verify(&token), Err(TokenError::Revoked));
}

#[tokio::test]
async fn a_failed_write_ends_no_token_even_when_its_request_is_dropped() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let refusal = || Err(UaaError::insufficient_scope(&[]));
    for dropped in [false, true] {
        let (mut write, staged, signal) = revocation(&world, &token, refusal());
        staged.await.unwrap();
        if dropped {
            write.abort_all();
        }
        signal.send(()).unwrap();
        assert!(!matches!(write.join_next().await.unwrap(), Ok(Ok(()))));
        assert!(refused_write(&world).await, "the writer is free again");
        assert!(world.uaa.verify(&token).is_ok(), "dropped: {dropped}");
    }
}

#[tokio::test]
async fn a_dropped_request_that_commits_ends_the_token() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let (mut write, staged, signal) = revocation(&world, &token, Ok(()));
    staged.await.unwrap();
    write.abort_all();
    signal.send(()).unwrap();
    assert!(write.join_next().await.unwrap().is_err());
    assert!(refused_write(&world).await, "the writer is free again");
    assert_eq!(world.uaa.verify(&token), Err(TokenError::Revoked));
    assert_eq!(
        world.restarted().await.verify(&token),
        Err(TokenError::Revoked)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_revocation_is_lost_between_failing_requests() {
    let world = World::new().await;
    let admin = world.admin_token().await;
    for _ in 0..40 {
        let token = world.token("admin", ADMIN_PASSWORD).await;
        let id = world.uaa.verify(&token).unwrap().id;
        let revoke = Call::new("DELETE", &format!("/oauth/token/revoke/{id}"))
            .bearer(&admin)
            .send(&world.uaa);
        let unknown = || {
            Call::new("DELETE", "/oauth/token/revoke/unknown")
                .bearer(&admin)
                .send(&world.uaa)
        };
        let (revoked, ..) = tokio::join!(revoke, unknown(), unknown(), unknown(), unknown());
        assert_eq!(revoked.status, 200);
        assert_eq!(world.uaa.verify(&token), Err(TokenError::Revoked));
    }
}

#[tokio::test]
async fn keys_created_concurrently_are_all_known() {
    let world = World::new().await;
    let (db, vault, now) = (world.uaa.db(), world.uaa.vault(), world.uaa.now());
    let rotate = || world.uaa.keys().rotate(db, vault, now);
    let (first, second) = tokio::join!(rotate(), rotate());
    first.and(second).unwrap();
    let known = Call::new("GET", "/token_keys").send(&world.uaa).await;
    let kept = Call::new("GET", "/token_keys")
        .send(&world.restarted().await)
        .await;
    assert_eq!(known.body, kept.body);
    assert_eq!(known.body["keys"].as_array().unwrap().len(), 3);
}
