//! Ports that come and go.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::harness::{
    PATIENCE, World, connect, free_port, is_closed, letter, listener, named_echo, rest, settings,
};
use crate::router::TcpSettings;

async fn is_refused(port: u16) -> bool {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn ports_open_and_close_while_connections_stay() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let (first, second) = (free_port().await, free_port().await);
    let world = World::new(settings());
    assert!(is_refused(first).await);
    world.set(&[(first, &[backend])]).await;
    let mut kept = connect(first).await;
    assert_eq!(letter(&mut kept).await, 'e');
    for routes in [
        &[(first, &[backend][..]), (second, &[backend][..])][..],
        &[(second, &[backend])],
        &[(first, &[]), (second, &[backend])],
    ] {
        world.set(routes).await;
        kept.write_all(b"still here").await.expect("sent");
        let mut back = [0; 10];
        kept.read_exact(&mut back).await.expect("read");
        assert_eq!(&back, b"still here");
        assert_eq!(letter(&mut connect(second).await).await, 'e');
    }
    assert!(is_refused(first).await);
    // Opened again while a connection of before is still there.
    world.set(&[(first, &[backend])]).await;
    assert_eq!(letter(&mut connect(first).await).await, 'e');
    assert!(is_refused(second).await);
}

#[tokio::test]
async fn a_port_that_another_program_has_is_told_of_and_tried_again() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let other = listener().await;
    let taken = other.local_addr().expect("address").port();
    let free = free_port().await;
    let world = World::new(settings());
    world.set(&[(taken, &[backend]), (free, &[backend])]).await;
    assert_eq!(world.router.figures().unavailable, [taken]);
    assert_eq!(letter(&mut connect(free).await).await, 'e');
    drop(other);
    world.until(|figures| figures.ports.len() == 2).await;
    assert!(world.router.figures().unavailable.is_empty());
    assert_eq!(letter(&mut connect(taken).await).await, 'e');
}

#[tokio::test]
async fn a_port_that_nobody_wants_any_more_is_not_told_of() {
    let other = listener().await;
    let taken = other.local_addr().expect("address").port();
    let world = World::new(TcpSettings {
        retry: Duration::from_secs(600),
        ..settings()
    });
    world.set(&[(taken, &[1])]).await;
    assert_eq!(world.router.figures().unavailable, [taken]);
    world.set(&[]).await;
    assert!(world.router.figures().unavailable.is_empty());
}

#[tokio::test]
async fn at_the_end_idle_connections_close_and_others_may_finish() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let port = free_port().await;
    let mut world = World::new(TcpSettings {
        drain_idle: Duration::from_millis(400),
        drain: PATIENCE,
        ..settings()
    });
    world.set(&[(port, &[backend])]).await;
    let (mut idle, mut busy) = (connect(port).await, connect(port).await);
    letter(&mut idle).await;
    letter(&mut busy).await;
    world.token.cancel();
    for _ in 0..20 {
        busy.write_all(b"x").await.expect("sent");
        assert_eq!(letter(&mut busy).await, 'x');
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(is_closed(&mut idle).await);
    assert!(is_refused(port).await);
    busy.write_all(b"y").await.expect("sent");
    busy.shutdown().await.expect("ended");
    assert_eq!(rest(&mut busy).await, b"y");
    let ended = tokio::time::timeout(PATIENCE, world.running.join_next()).await;
    ended
        .expect("in time")
        .expect("a worker")
        .expect("no panic");
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_connection_that_never_rests() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let port = free_port().await;
    let mut world = World::new(TcpSettings {
        drain: Duration::from_millis(200),
        ..settings()
    });
    world.set(&[(port, &[backend])]).await;
    let mut busy = connect(port).await;
    letter(&mut busy).await;
    world.token.cancel();
    let ended = tokio::time::timeout(PATIENCE, world.running.join_next()).await;
    ended
        .expect("in time")
        .expect("a worker")
        .expect("no panic");
    assert!(is_closed(&mut busy).await);
}
