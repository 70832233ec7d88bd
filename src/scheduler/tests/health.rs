//! Startup, liveness and readiness checks.

use std::time::Duration;

use super::world::{World, all_running};
use crate::scheduler::fake::process;
use crate::scheduler::{CheckKind, InstanceState, Readiness, ReadinessCheck};

const REFUSED: &str = "failed to make TCP connection to 10.0.0.2:8080: connection refused";

#[tokio::test(start_paused = true)]
async fn an_app_that_never_listens_crashes_after_its_timeout() {
    let world = World::new();
    world.probe.fail("port", REFUSED);
    world.want(vec![process("p", 1)]).await;
    let all = world.until(|all| all.len() == 1).await;
    assert_eq!(all[0].state, InstanceState::Starting);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(world.states().await, "STARTING");
    world
        .until(|all| all.iter().any(|i| i.crash_count == 1))
        .await;
    // 47 probes in the first three seconds, then one every two seconds, and a last one.
    let why = format!(
        "Timed out after 1m0s (77 attempts) waiting for startup check to succeed: {REFUSED}"
    );
    let crash = world.observer.crashes()[0].exit_description.clone();
    assert_eq!(crash, format!("Instance never healthy after 1m0s: {why}"));
    let lines = world.logs.lines();
    let position = lines
        .iter()
        .position(|l| *l == format!("[HEALTH/0] ERR {why}"));
    let position = position.expect("the check's message");
    assert_eq!(
        lines[position + 1],
        "[CELL/0] ERR Failed after 1m0s: startup health check never passed."
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_is_running_within_a_tenth_of_a_second_of_listening() {
    let world = World::new();
    world.probe.fail("port", REFUSED);
    world.want(vec![process("p", 1)]).await;
    tokio::time::sleep(Duration::from_millis(1510)).await;
    assert_eq!(world.states().await, "STARTING");
    world.probe.pass("port");
    tokio::time::sleep(Duration::from_millis(110)).await;
    assert_eq!(world.states().await, "RUNNING");
}

#[tokio::test(start_paused = true)]
async fn one_failed_liveness_check_is_a_crash() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    world.probe.fail("port", REFUSED);
    world
        .until(|all| all.iter().any(|i| i.crash_count == 1))
        .await;
    world.probe.pass("port");
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING");
    assert_eq!(
        world.observer.crashes()[0].exit_description,
        format!("Instance became unhealthy: Liveness check unsuccessful: {REFUSED}")
    );
    let lines = world.logs.lines();
    let unhealthy = "[CELL/0] ERR Container became unhealthy";
    assert!(lines.iter().any(|line| line == unhealthy));
    assert_eq!(world.running().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_daemon_makes_no_app_unhealthy() {
    let world = World::new();
    world.want(vec![process("p", 1)]).await;
    world.settle().await;
    world.engine.set_reachable(false);
    world.probe.fail("port", REFUSED);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(world.crash_counts().is_empty());
    assert_eq!(world.routable(), 1, "as far as anybody knows");
    world.probe.pass("port");
    world.engine.set_reachable(true);
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.settle().await;
    assert_eq!(world.states().await, "RUNNING");
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn readiness_only_decides_about_traffic() {
    let world = World::new();
    world.probe.fail("/ready", "not yet");
    let mut wanted = process("p", 1);
    let endpoint = "/ready".to_owned();
    wanted.readiness_check = ReadinessCheck::new(CheckKind::Http { endpoint });
    world.want(vec![wanted]).await;
    world.until(all_running(1)).await;
    world.settle().await;
    assert_eq!(world.routable(), 0);
    let mut routable = world.scheduler.routable();
    world.probe.pass("/ready");
    routable
        .wait_for(|all| all.len() == 1)
        .await
        .expect("ready");
    world.probe.fail("/ready", "too busy");
    routable
        .wait_for(|all| all.is_empty())
        .await
        .expect("not ready");
    assert_eq!(world.states().await, "RUNNING");
    assert!(world.crash_counts().is_empty());
    let changes = world.observer.readiness();
    let changes: Vec<_> = changes.iter().map(|c| c.readiness).collect();
    assert_eq!(changes, [Readiness::Ready, Readiness::NotReady]);
    let lines = world.logs.lines();
    for expected in [
        "[CELL/0] OUT Starting readiness health monitoring of container",
        "[CELL/0] OUT Container passed the readiness health check. \
         Container marked ready and added to route pool.",
        "[HEALTH/0] ERR too busy",
        "[CELL/0] OUT Container failed the readiness health check. \
         Container marked not ready and removed from route pool.",
    ] {
        assert!(lines.iter().any(|l| l == expected), "{expected}: {lines:?}");
    }
}
