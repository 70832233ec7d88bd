//! What happens to connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::harness::{
    World, connect, free_port, is_closed, letter, listener, named_echo, rest, settings,
};
use crate::router::TcpSettings;

#[tokio::test]
async fn connections_go_to_all_instances_in_turn_and_several_ports_to_their_own() {
    let mut tasks = JoinSet::new();
    let (a, b) = (
        named_echo(&mut tasks, "a").await,
        named_echo(&mut tasks, "b").await,
    );
    let (shared, own) = (free_port().await, free_port().await);
    let world = World::new(settings());
    world.set(&[(shared, &[a, b]), (own, &[b])]).await;
    let mut letters = String::new();
    for _ in 0..4 {
        letters.push(letter(&mut connect(shared).await).await);
    }
    assert_eq!(letters, "abab");
    assert_eq!(letter(&mut connect(own).await).await, 'b');
}

#[tokio::test]
async fn either_side_may_end_first_and_the_other_goes_on() {
    let socket = listener().await;
    let backend = socket.local_addr().expect("address").port();
    let port = free_port().await;
    let world = World::new(settings());
    world.set(&[(port, &[backend])]).await;

    let mut client = connect(port).await;
    client.write_all(b"question").await.expect("sent");
    client.shutdown().await.expect("ended");
    let (mut instance, _) = socket.accept().await.expect("accepted");
    assert_eq!(rest(&mut instance).await, b"question");
    instance.write_all(b"late answer").await.expect("sent");
    drop(instance);
    assert_eq!(rest(&mut client).await, b"late answer");

    let mut client = connect(port).await;
    let (mut instance, _) = socket.accept().await.expect("accepted");
    instance.write_all(b"greeting").await.expect("sent");
    instance.shutdown().await.expect("ended");
    assert_eq!(rest(&mut client).await, b"greeting");
    client.write_all(b"reply").await.expect("sent");
    client.shutdown().await.expect("ended");
    assert_eq!(rest(&mut instance).await, b"reply");
    world.until(|figures| figures.open == 0).await;
    let figures = world.router.figures();
    assert_eq!(
        (figures.served, figures.received, figures.sent),
        (2, 13, 19)
    );
}

#[tokio::test]
async fn many_bytes_pass_both_ways_at_once_unchanged() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let port = free_port().await;
    let world = World::new(settings());
    world.set(&[(port, &[backend])]).await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|at| u8::try_from(at % 251).unwrap_or(0))
        .collect();
    let mut client = connect(port).await;
    assert_eq!(letter(&mut client).await, 'e');
    let (mut from, mut to) = client.split();
    let mut back = Vec::new();
    let (sent, read) = tokio::join!(
        async {
            to.write_all(&bytes).await?;
            to.shutdown().await
        },
        from.read_to_end(&mut back)
    );
    sent.expect("sent");
    read.expect("read");
    assert!(back == bytes, "{} of {} bytes", back.len(), bytes.len());
}

#[tokio::test]
async fn an_instance_that_does_not_answer_costs_no_connection() {
    let mut tasks = JoinSet::new();
    let alive = named_echo(&mut tasks, "a").await;
    let (dead, port) = (free_port().await, free_port().await);
    let world = World::new(settings());
    world.set(&[(port, &[dead, alive])]).await;
    for _ in 0..4 {
        assert_eq!(letter(&mut connect(port).await).await, 'a');
    }
    world.set(&[(port, &[dead])]).await;
    assert!(is_closed(&mut connect(port).await).await);
    world.until(|figures| figures.unreachable == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_moves_is_closed() {
    let socket = listener().await;
    let backend = socket.local_addr().expect("address").port();
    let port = free_port().await;
    let world = World::new(TcpSettings {
        idle: Duration::from_secs(300),
        ..settings()
    });
    world.set(&[(port, &[backend])]).await;
    let mut client = connect(port).await;
    let (mut instance, _) = socket.accept().await.expect("accepted");
    let mut byte = [0];
    // Either way counts.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(200)).await;
        client.write_all(b"x").await.expect("sent");
        instance.read_exact(&mut byte).await.expect("read");
        tokio::time::sleep(Duration::from_secs(200)).await;
        instance.write_all(b"y").await.expect("sent");
        client.read_exact(&mut byte).await.expect("read");
    }
    let since = Instant::now();
    let ended = client.read(&mut byte).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let waited = since.elapsed().as_secs();
    assert!((299..=301).contains(&waited), "{waited} s");
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed() {
    let mut tasks = JoinSet::new();
    let backend = named_echo(&mut tasks, "e").await;
    let port = free_port().await;
    let world = World::new(TcpSettings {
        connections: 2,
        ..settings()
    });
    world.set(&[(port, &[backend])]).await;
    let (mut first, mut second) = (connect(port).await, connect(port).await);
    letter(&mut first).await;
    letter(&mut second).await;
    assert!(is_closed(&mut connect(port).await).await);
    assert_eq!(world.router.figures().refused, 1);
    first.shutdown().await.expect("ended");
    assert!(is_closed(&mut first).await);
    world.until(|figures| figures.open == 1).await;
    assert_eq!(letter(&mut connect(port).await).await, 'e');
}
