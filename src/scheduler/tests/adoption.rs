//! Restarts of this process, of the daemon and of the machine.

use std::time::Duration;

use super::world::{World, all_running};
use crate::docker::Verb;
use crate::docker::{ContainerSpec, Engine};
use crate::scheduler::fake::process;
use crate::scheduler::{InstanceState, labels};

#[tokio::test(start_paused = true)]
async fn running_instances_are_adopted_as_they_are() {
    let mut world = World::new();
    world.want(vec![process("p", 3)]).await;
    world.settle().await;
    let (before, containers) = (world.instances("p").await, world.running().await);
    world.kill().await;
    world.start_again();
    world.settle().await;
    assert_eq!(world.instances("p").await, before);
    assert_eq!(world.running().await, containers);
    assert_eq!(world.routable(), 3);
}

#[tokio::test(start_paused = true)]
async fn containers_are_adopted_by_their_labels_when_the_records_are_lost() {
    let mut world = World::new();
    world.want(vec![process("p", 3)]).await;
    world.settle().await;
    let containers = world.running().await;
    world.kill().await;
    world.start_over();
    world.settle().await;
    assert_eq!(world.running().await, containers);
    assert_eq!(world.states().await, "RUNNING RUNNING RUNNING");
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_the_scheduler_is_down_is_counted() {
    let mut world = World::new();
    world.want(vec![process("p", 2)]).await;
    world.settle().await;
    let container = world.container().await;
    world.kill().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.engine.exit(&container, 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.start_again();
    world
        .until(|all| all.iter().any(|i| i.crash_count == 1))
        .await;
    world.until(all_running(2)).await;
    assert_eq!(world.crash_counts(), [1]);
}

#[tokio::test(start_paused = true)]
async fn everything_is_back_after_the_daemon_restarted_and_nothing_crashed() {
    let world = World::new();
    world.want(vec![process("p", 3), process("q", 2)]).await;
    world.settle().await;
    let before = world.running().await;
    for code in [137, 143, 0, 255] {
        // Not at a tick: a real daemon cannot restart unnoticed.
        tokio::time::sleep(Duration::from_secs(50)).await;
        world.engine.restart_daemon(code);
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.settle().await;
        let after = world.running().await;
        assert_eq!(after.len(), 5);
        assert!(after.iter().all(|id| !before.contains(id)), "fresh disks");
    }
    assert!(world.crash_counts().is_empty());
    assert_eq!(world.routable(), 5);
}

#[tokio::test(start_paused = true)]
async fn everything_is_back_after_the_machine_restarted() {
    let mut world = World::new();
    world.want(vec![process("p", 3)]).await;
    world.settle().await;
    world.kill().await;
    world.engine.restart_daemon(255);
    tokio::time::sleep(Duration::from_secs(90)).await;
    world.start_again();
    world.settle().await;
    assert_eq!(world.running().await.len(), 3);
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_app_that_crashes_again_after_a_daemon_restart_is_counted() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    world.engine.restart_daemon(137);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.settle().await;
    world.engine.exit(&world.container().await, 1);
    world
        .until(|all| all.iter().any(|i| i.crash_count == 1))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_container_is_replaced_and_a_foreign_one_is_left_alone() {
    let world = World::new();
    let stranger = ContainerSpec {
        name: "stranger".to_owned(),
        image: "dora@sha256:0".to_owned(),
        labels: labels::of_platform("another"),
        ..ContainerSpec::default()
    };
    let stranger = world.engine.create(&stranger).await.expect("create");
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    let before = world.container().await;
    world.engine.remove(&before).await.expect("remove");
    let replaced = |all: &[crate::scheduler::Instance]| {
        let running = |i: &crate::scheduler::Instance| i.state == InstanceState::Running;
        all.len() == 1 && running(&all[0]) && all[0].container_id.as_ref() != Some(&before)
    };
    world.until(replaced).await;
    assert!(world.crash_counts().is_empty());
    let rescheduled = world.observer.reschedulings();
    assert_eq!(rescheduled.len(), 1, "{rescheduled:?}");
    assert_eq!(rescheduled[0].reason, "its container is gone");
    let told = format!(
        "[CELL/0] OUT Cell 0f0f requesting replacement for instance {}",
        rescheduled[0].instance_guid
    );
    assert_eq!(
        world
            .logs
            .lines()
            .iter()
            .filter(|line| **line == told)
            .count(),
        1
    );
    assert!(world.engine.inspect(&stranger).await.expect("ok").is_some());
}

/// The process dies before each daemon call while starting, replacing and stopping; the next
/// process converges to the same state.
#[tokio::test(start_paused = true)]
async fn it_converges_after_kill_9_at_any_step() {
    let verbs = [
        Verb::List,
        Verb::Create,
        Verb::Image,
        Verb::Pull,
        Verb::Volume,
        Verb::RemoveVolume,
        Verb::EnsureVolume,
        Verb::Upload,
        Verb::Start,
        Verb::Inspect,
        Verb::Stop,
        Verb::Remove,
    ];
    for verb in verbs {
        let mut world = World::new();
        world.engine.offer("pulled@sha256:3");
        let mut wanted = process("p", 2);
        wanted.image = "pulled@sha256:3".to_owned();
        wanted.lifecycle_files = true;
        let mut next = wanted.clone();
        next.version = "v2".to_owned();
        next.instances = 3;
        for (step, wanted) in [vec![wanted], vec![next], vec![]].into_iter().enumerate() {
            let count = wanted.first().map_or(0, |p| p.instances as usize);
            world.engine.stall(verb);
            world.want(wanted).await;
            tokio::time::sleep(Duration::from_secs(15)).await;
            world.kill().await;
            world.engine.heal();
            world.start_again();
            world.settle().await;
            let at = format!("{verb:?} at step {step}");
            let running = world.running().await;
            assert_eq!(running.len(), count, "{at}");
            for id in running {
                let launcher = world.engine.file(&id, "/tmp/lifecycle/launcher");
                assert!(launcher.is_some(), "{at}");
            }
            assert_eq!(world.containers().await.len(), count, "{at}");
            assert_eq!(world.instances("p").await.len(), count, "{at}");
            assert_eq!(world.routable(), count, "{at}");
            assert!(world.crash_counts().is_empty(), "{at}");
        }
    }
}
