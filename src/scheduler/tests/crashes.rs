//! Crashes: counting, backoff, exit descriptions.

use std::time::Duration;

use super::world::{World, all_running};
use crate::docker::{Behaviour, Verb};
use crate::scheduler::fake::process;
use crate::scheduler::{CheckKind, HealthCheck, InstanceState};

#[tokio::test(start_paused = true)]
async fn two_crashes_restart_at_once_and_the_third_waits_30_seconds() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    for count in 1..=2 {
        let container = world.container().await;
        world.engine.exit(&container, 1);
        world
            .until(|all| all.iter().any(|i| i.crash_count == count))
            .await;
        world.settle().await;
        assert_eq!(world.states().await, "RUNNING", "after crash {count}");
    }
    let started = tokio::time::Instant::now();
    world.engine.exit(&world.container().await, 1);
    let all = world
        .until(|all| all.iter().any(|i| i.state == InstanceState::Crashed))
        .await;
    let crashed = all.iter().find(|i| i.state == InstanceState::Crashed);
    let crashed = crashed.expect("crashed");
    assert_eq!(
        crashed.details.as_deref(),
        Some("APP/PROC/WEB: Exited with status 1")
    );
    assert_eq!(world.routable(), 0);
    world.until(all_running(1)).await;
    let waited = started.elapsed();
    assert!((30..31).contains(&waited.as_secs()), "waited {waited:?}");
    assert_eq!(world.crash_counts(), [1, 2, 3]);
    let crash = &world.observer.crashes()[0];
    assert_eq!(crash.exit_description, "APP/PROC/WEB: Exited with status 1");
    assert_eq!((crash.index, crash.cell_id.as_str()), (0, "0f0f"));
}

#[tokio::test(start_paused = true)]
async fn a_failing_app_shows_crashed_and_its_backoff_grows() {
    let world = World::new();
    world.engine.script("dora", Behaviour::runs().exits(1));
    world.want(vec![process("p", 1)]).await;
    world
        .until(|all| all.iter().any(|i| i.crash_count == 3))
        .await;
    let started = tokio::time::Instant::now();
    world
        .until(|all| all.iter().any(|i| i.crash_count == 6))
        .await;
    // 30 s, 60 s and 120 s.
    let waited = started.elapsed();
    assert!((210..212).contains(&waited.as_secs()), "waited {waited:?}");
    world.settle().await;
    assert_eq!(world.states().await, "CRASHED");
    assert!(world.containers().await.is_empty());
    let lines = world.logs.lines();
    let exits = lines
        .iter()
        .filter(|l| *l == "[APP/PROC/WEB/0] OUT Exit status 1");
    assert_eq!(exits.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_forgets_the_crashes() {
    let world = World::new();
    world.engine.script("false", Behaviour::runs().exits(1));
    let mut broken = process("p", 1);
    broken.command = vec!["/bin/false".to_owned()];
    world.want(vec![broken]).await;
    world
        .until(|all| all.iter().any(|i| i.crash_count == 4))
        .await;
    let mut fixed = process("p", 1);
    fixed.version = "v2".to_owned();
    world.want(vec![fixed]).await;
    let all = world.until(all_running(1)).await;
    assert_eq!(all[0].crash_count, 0);
}

#[tokio::test(start_paused = true)]
async fn five_minutes_of_running_reset_the_count() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    for _ in 0..3 {
        world.until(all_running(1)).await;
        tokio::time::sleep(Duration::from_secs(301)).await;
        let (count, container) = (world.crash_counts().len(), world.container().await);
        world.engine.exit(&container, 3);
        while world.crash_counts().len() == count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(world.crash_counts(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_exit_has_its_description() {
    let world = World::new();
    let mut worker = process("p", 1);
    worker.process_type = "worker".to_owned();
    worker.health_check = HealthCheck::new(CheckKind::Process);
    world.want(vec![worker]).await;
    world.until(all_running(1)).await;
    world.engine.exit(&world.container().await, 0);
    world
        .until(|all| all.iter().any(|i| i.crash_count == 1))
        .await;
    world.until(all_running(1)).await;
    world.engine.run_out_of_memory(&world.container().await);
    world
        .until(|all| all.iter().any(|i| i.crash_count == 2))
        .await;
    world.settle().await;
    let crashes = world.observer.crashes();
    let texts: Vec<_> = crashes
        .iter()
        .map(|c| c.exit_description.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "Codependent step exited",
            "APP/PROC/WORKER: Exited with status 137 (out of memory)"
        ]
    );
    let line = "[APP/PROC/WEB/0] OUT Exit status 137 (out of memory)";
    assert!(world.logs.lines().iter().any(|l| l == line));
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_a_crash_with_details() {
    let world = World::new();
    let mut wanted = process("p", 1);
    wanted.image = "nowhere@sha256:2".to_owned();
    world.want(vec![wanted]).await;
    world.settle().await;
    let all = world.instances("p").await;
    assert_eq!(all[0].state, InstanceState::Crashed);
    let details = all[0].details.clone().expect("details");
    assert!(
        details.starts_with("failed to create container: docker: "),
        "{details}"
    );
    let failed = "[CELL/0] ERR Cell 0f0f failed to create container for instance ";
    assert!(world.logs.lines().iter().any(|l| l.starts_with(failed)));
}

#[tokio::test(start_paused = true)]
async fn an_exited_instance_loses_its_traffic_before_containers_are_listed() {
    let world = World::new();
    world.want(vec![process("p", 2)]).await;
    world.settle().await;
    assert_eq!(world.routable(), 2);
    let container = world.container().await;
    world.engine.stall(Verb::List);
    world.engine.exit(&container, 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.routable(), 1);
    // A running pass must not restore it.
    world.want(vec![process("p", 2)]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.routable(), 1);
    world.engine.heal();
    world.settle().await;
    assert_eq!(world.routable(), 2);
}
