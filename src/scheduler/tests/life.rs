//! Starting, scaling, replacing and stopping.

use std::time::Duration;

use super::world::{World, all_running};
use crate::docker::Verb;
use crate::docker::{DockerError, Usage};
use crate::scheduler::fake::process;
use crate::scheduler::{self, InstanceState, by_index};

#[tokio::test(start_paused = true)]
async fn a_wanted_process_gets_its_instances_and_their_traffic() {
    let world = World::new();
    world.want(vec![process("p", 3)]).await;
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING RUNNING RUNNING");
    assert_eq!(world.routable(), 3);
    let first = &world.instances("p").await[0];
    let address = world.scheduler.address(&first.guid).expect("address");
    assert!(address.ports.contains_key(&8080));
    let spec = world.engine.spec(&world.container().await).expect("spec");
    assert_eq!(spec.name, format!("cflite-0f0f-dora-web-0-{:012x}", 1));
    assert_eq!(spec.hostname.as_deref(), Some(first.guid.as_str()));
    assert_eq!(spec.cpu_shares, Some(32));
    let lines = world.logs.lines();
    let of_index_0: Vec<_> = lines.iter().filter(|l| l.starts_with("[CELL/0]")).collect();
    insta::assert_debug_snapshot!(of_index_0, @r#"
    [
        "[CELL/0] OUT Cell 0f0f creating container for instance 00000000-0000-4000-8000-000000000001",
        "[CELL/0] OUT Cell 0f0f successfully created container for instance 00000000-0000-4000-8000-000000000001",
        "[CELL/0] OUT Starting health monitoring of container",
        "[CELL/0] OUT Container became healthy",
    ]
    "#);
}

#[tokio::test(start_paused = true)]
async fn scaling_down_stops_the_highest_indexes_and_leaves_no_container() {
    let world = World::new();
    world.want(vec![process("p", 3)]).await;
    world.settle().await;
    let kept = world.container().await;
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING");
    assert_eq!(world.running().await, [kept]);
    world.want(vec![]).await;
    world.settle().await;
    assert!(world.instances("p").await.is_empty());
    assert!(world.containers().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn traffic_is_withdrawn_a_drain_before_sigterm() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    let mut routable = world.scheduler.routable();
    let started = tokio::time::Instant::now();
    world.want(vec![]).await;
    routable
        .wait_for(|all| all.is_empty())
        .await
        .expect("withdrawn");
    assert!(started.elapsed() < Duration::from_millis(100));
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(world.running().await.len(), 1);
    assert_eq!(world.states().await, "STOPPING");
    world.settle().await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    let lines = world.logs.lines();
    insta::assert_debug_snapshot!(lines[lines.len() - 4..], @r#"
    [
        "[CELL/0] OUT Cell 0f0f stopping instance 00000000-0000-4000-8000-000000000001",
        "[APP/PROC/WEB/0] OUT Exit status 143",
        "[CELL/0] OUT Cell 0f0f destroying container for instance 00000000-0000-4000-8000-000000000001",
        "[CELL/0] OUT Cell 0f0f successfully destroyed container for instance 00000000-0000-4000-8000-000000000001",
    ]
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_ignores_sigterm_is_killed_after_ten_seconds() {
    let world = World::new();
    let stubborn = crate::docker::Behaviour::runs().ignores_stop();
    world.engine.script("dora", stubborn);
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    let started = tokio::time::Instant::now();
    world.want(vec![]).await;
    world.settle().await;
    assert!(started.elapsed() >= Duration::from_secs(11));
    let expected = "[APP/PROC/WEB/0] OUT Exit status 137 (exceeded 10s graceful shutdown interval)";
    assert!(world.logs.lines().iter().any(|line| line == expected));
}

#[tokio::test(start_paused = true)]
async fn a_new_version_replaces_all_instances_without_waiting_for_the_old() {
    let world = World::new();
    world.want(vec![process("p", 2)]).await;
    world.settle().await;
    let old = world.running().await;
    let mut next = process("p", 2);
    next.version = "v2".to_owned();
    world.want(vec![next]).await;
    let all = world
        .until(|all| {
            let shown = by_index(all, "v2", 2);
            shown
                .iter()
                .all(|i| matches!(i, Some(i) if i.state == InstanceState::Running))
        })
        .await;
    let stopping = all.iter().filter(|i| i.state == InstanceState::Stopping);
    assert_eq!(stopping.count(), 2, "the old ones are still being drained");
    world.settle().await;
    let new = world.running().await;
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|id| !old.contains(id)));
    assert!(world.instances("p").await.iter().all(|i| i.version == "v2"));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_instance_is_stopping_before_its_successor_runs() {
    let world = World::new();
    world.want(vec![process("p", 2)]).await;
    world.settle().await;
    let before = world.instances("p").await;
    let now = world.clock.now();
    let restart = |index| {
        world
            .db
            .write(move |tx| scheduler::restart_instance(tx, &"p".into(), index, now))
    };
    assert!(!restart(7).await.expect("write"), "there is no index 7");
    assert!(restart(1).await.expect("write"));
    tokio::time::sleep(Duration::from_millis(990)).await;
    assert_eq!(world.states().await, "RUNNING STOPPING");
    world.settle().await;
    let after = world.instances("p").await;
    assert_eq!(after[0].guid, before[0].guid);
    assert_ne!(after[1].guid, before[1].guid);
    assert_eq!(after[1].crash_count, 0);
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_the_daemon_lacks_is_pulled_once() {
    let world = World::new();
    world.engine.offer("other@sha256:1");
    let mut wanted = process("p", 10);
    wanted.image = "other@sha256:1".to_owned();
    world.want(vec![wanted]).await;
    world.settle().await;
    assert_eq!(world.engine.pulled().len(), 1);
    let lines = world.logs.lines();
    for text in ["Downloading droplet...", "Downloaded droplet (57M)"] {
        let line = |line: &&String| line.ends_with(&format!("OUT {text}"));
        assert_eq!(lines.iter().filter(line).count(), 1, "{text}");
    }
    assert_eq!(world.running().await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_daemon_makes_instances_wait_not_crash() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    let unreachable = DockerError::Unreachable("no such socket".to_owned());
    world.engine.fail(Verb::Create, unreachable);
    world.want(vec![process("p", 2)]).await;
    let all = world.until(|all| all.len() == 2).await;
    assert_eq!(all[0].state, InstanceState::Running);
    let down = world.until(|all| all[1].state == InstanceState::Down).await;
    assert_eq!(
        down[1].details.as_deref(),
        Some("docker does not answer: no such socket")
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.engine.heal();
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING RUNNING");
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn usage_is_sampled_every_15_seconds_and_on_demand_after_5() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.until(all_running(1)).await;
    let (guid, container) = (
        world.instances("p").await[0].guid.clone(),
        world.container().await,
    );
    let cpu = |seconds: u64| Usage {
        cpu_nanos: seconds * 1_000_000_000,
        memory: 1 << 20,
        ..Usage::default()
    };
    world.engine.set_usage(&container, cpu(0));
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(world.logs.reports().len(), 1);
    let first = world.scheduler.usage(&guid).expect("sampled");
    assert_eq!((first.memory, first.cpu), (1 << 20, 0.0));
    world.engine.set_usage(&container, cpu(3));
    let limit = Duration::from_secs(2);
    world
        .scheduler
        .refresh_usage(std::slice::from_ref(&guid), limit)
        .await;
    let fresh_enough = world.scheduler.usage(&guid).expect("sampled");
    assert_eq!(fresh_enough.cpu_nanos, 0);
    tokio::time::sleep(Duration::from_secs(5)).await;
    world
        .scheduler
        .refresh_usage(std::slice::from_ref(&guid), limit)
        .await;
    let second = world.scheduler.usage(&guid).expect("sampled");
    assert!((0.45..0.61).contains(&second.cpu), "{}", second.cpu);
    // Callers do not wait longer for a daemon that does not answer.
    world.engine.stall(Verb::Usage);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let started = tokio::time::Instant::now();
    let answered = world
        .scheduler
        .refresh_usage(std::slice::from_ref(&guid), limit)
        .await;
    assert!(!answered);
    assert_eq!(started.elapsed(), limit);
}
