//! Drains after a restart of the platform.

use super::*;
use crate::logs::drains::backlog::{Backlog, PATIENCE, Part};
use crate::logs::drains::progress::Progress;
use crate::logs::envelope::Kinds;
use crate::logs::live::{Item, Selection, Wanted as Follows};

/// A drain that runs once the first line came.
async fn with_first_line(world: &World, received: &mut Received, drain: Drain) {
    world.want(vec![drain]).await;
    world.lines(0..1).await;
    assert_eq!(numbers(received, 1).await, [0]);
}

#[tokio::test]
async fn lines_that_a_receiver_did_not_get_reach_it_after_a_restart() {
    let world = World::start("").await;
    let address = receivers::free_address().await;
    world
        .want(vec![drain(&format!("syslog://{address}"))])
        .await;
    world.lines(0..1).await;
    world.told("Failed to connect").await;
    world.lines(1..12_000).await;
    let world = world.restart().await;
    let mut received = TcpReceiver::start_at(address, None).await;
    world.start_drains("");
    world.lines(12_000..12_100).await;
    let came = numbers(&mut received, 12_100).await;
    assert!(came.into_iter().eq(0..12_100), "more than a queue holds");
    assert!(received.is_quiet().await);
}

#[tokio::test]
async fn a_drain_goes_on_where_it_was_and_repeats_nothing_after_an_orderly_end() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let url = format!("syslog://{address}");
    with_first_line(&world, &mut received, drain(&url)).await;
    world.line("other", "line 77");
    let world = world.restart().await;
    world.lines(1..1500).await;
    world.start_drains("");
    let came = numbers(&mut received, 1499).await;
    assert!(came.into_iter().eq(1..1500));
    world.lines(1500..1501).await;
    assert_eq!(numbers(&mut received, 1).await, [1500]);
    assert!(received.is_quiet().await);
}

#[tokio::test]
async fn a_drain_of_all_sources_goes_on_with_each_of_them() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let all = Drain {
        source_id: None,
        ..drain(&format!("syslog://{address}"))
    };
    with_first_line(&world, &mut received, all).await;
    let world = world.restart().await;
    world.lines(1..700).await;
    for number in 5000..5700 {
        world.line("other", &format!("line {number}"));
    }
    world.logs.flush().await;
    world.start_drains("");
    let came = numbers(&mut received, 1399).await;
    let of = |range: std::ops::Range<usize>| {
        let own = came.iter().copied().filter(move |one| range.contains(one));
        own.collect::<Vec<usize>>()
    };
    assert!(of(0..5000).into_iter().eq(1..700));
    assert!(of(5000..6000).into_iter().eq(5000..5700));
    assert!(received.is_quiet().await);
}

#[tokio::test]
async fn a_drain_that_was_taken_away_begins_anew() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let wanted = drain(&format!("syslog://{address}"));
    with_first_line(&world, &mut received, wanted.clone()).await;
    world.want(Vec::new()).await;
    world.lines(1..5).await;
    let world = world.restart().await;
    world.want_later(vec![wanted]).await;
    world.lines(5..6).await;
    assert_eq!(numbers(&mut received, 1).await, [5]);
}

#[tokio::test]
async fn what_the_store_dropped_meanwhile_is_told() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let url = format!("syslog://{address}");
    with_first_line(&world, &mut received, drain(&url)).await;
    assert!(world.supervisor.shut_down(SOON).await);
    let few = Limits {
        disk_count: 1000,
        memory_count: 500,
        ..Limits::default()
    };
    let World { dir, wanted, .. } = world;
    let world = World::without_drains(dir, wanted, few).await;
    world.lines(1..7000).await;
    world.start_drains("");
    let told = world.told("may be lost").await;
    assert!(
        told.starts_with("Messages between 2023-11-14T22:13:20Z and 2023-11-14T22:13:20Z "),
        "{told}"
    );
    let end = format!(" for application app in user provided syslog drain with url {url}");
    assert!(told.ends_with(&end), "{told}");
    let first = numbers(&mut received, 1).await[0];
    assert!((2000..7000).contains(&first), "{first}");
    let rest = numbers(&mut received, 6999 - first).await;
    assert!(rest.into_iter().eq(first + 1..7000));
}

/// Makes stored lines unreadable, or readable again.
async fn rename(world: &World, statement: &'static str) {
    let renamed = world.db.write(move |tx| {
        tx.sql().execute_batch(statement)?;
        Ok::<_, DbError>(())
    });
    renamed.await.expect("renamed");
}

const HIDE: &str = "alter table log_segments rename to hidden_segments";
const SHOW: &str = "alter table hidden_segments rename to log_segments";

#[tokio::test]
async fn a_failed_read_loses_nothing() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let url = format!("syslog://{address}");
    with_first_line(&world, &mut received, drain(&url)).await;
    let world = world.restart().await;
    world.lines(1..700).await;
    // They are not in memory any more.
    let world = world.restart().await;
    rename(&world, HIDE).await;
    world.start_drains("");
    let running = async {
        while world.logs.hub().len() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let running = tokio::time::timeout(SOON, running).await;
    running.expect("the drain runs");
    rename(&world, SHOW).await;
    let came = numbers(&mut received, 699).await;
    assert!(came.into_iter().eq(1..700));
}

#[tokio::test]
async fn what_cannot_be_read_is_asked_for_again_and_told_in_the_end() {
    let world = World::start("").await;
    world.lines(0..3).await;
    let world = world.restart().await;
    let follows = Follows {
        name: "a test",
        selection: Selection::of_source("app"),
        shard: None,
        is_client: false,
    };
    let live = world.logs.subscribe(follows).expect("a queue");
    let progress = Progress::begun(1, 0);
    let begun = || Backlog::new(Some("app".into()), Kinds::ANY);
    let (mut first, mut second) = (begun(), begun());
    rename(&world, HIDE).await;
    for backlog in [&mut first, &mut second] {
        for _ in 0..2 {
            let failed = backlog.next(&world.logs, &live, &progress).await;
            assert!(failed.is_err(), "{failed:?}");
        }
    }
    tokio::time::pause();
    tokio::time::advance(PATIENCE).await;
    tokio::time::resume();
    let told = second.next(&world.logs, &live, &progress).await;
    let newest = world.logs.sources().newest("app");
    assert!(
        matches!(told, Ok(Some(Part::Gap { from: -1, until, .. })) if Some(until) == newest),
        "{told:?}"
    );
    let over = second.next(&world.logs, &live, &progress).await;
    assert!(matches!(over, Ok(None)), "{over:?}");

    rename(&world, SHOW).await;
    let read = first.next(&world.logs, &live, &progress).await;
    let Ok(Some(Part::Items(items))) = read else {
        panic!("{read:?}");
    };
    assert_eq!(items.len(), 3);
    for item in &items {
        assert!(matches!(item, Item::Envelope(one) if second.has_read(one)));
    }
}

#[tokio::test]
async fn what_the_queue_loses_while_the_backlog_is_sent_comes_from_the_store() {
    let authority = Authority::new();
    let world = World::start(&authority.pem()).await;
    let mut receiver = WebReceiver::start(authority.server(false).into()).await;
    let port = receiver.address.port();
    let url = format!("https://localhost:{port}/?disable-metadata=true");
    let number = |body: &str| {
        let (_, number) = body.trim_end().rsplit_once(" line ")?;
        number.parse::<usize>().ok()
    };
    world.want(vec![drain(&url)]).await;
    world.lines(0..1).await;
    assert_eq!(number(&receiver.next().await.body), Some(0));
    let world = world.restart().await;
    world.lines(1..4).await;
    receiver.refuse(usize::MAX);
    world.start_drains(&authority.pem());
    receiver.next().await;
    // Half as much again as the queue holds.
    let long = "x".repeat(20_000);
    for number in 4..604 {
        world.line("app", &format!("{long} line {number}"));
        if number % 50 == 0 {
            world.logs.flush().await;
        }
    }
    world.logs.flush().await;
    for _ in 0..2 {
        receiver.next().await;
    }
    receiver.refuse(0);
    let mut came = Vec::new();
    while came.last() != Some(&603) {
        let next = number(&receiver.next().await.body);
        // One is tried again.
        came.extend(next.filter(|next| came.last() != Some(next)));
    }
    assert!(came.iter().copied().eq(1..604), "{came:?}");
}
