//! Planner decisions, one test each. A situation is written in lines:
//!
//! - `want p v1 2`: process `p` in version `v1` with two instances
//! - `record i1 p v1 0 RUNNING`: an instance on record, with options `@90` (in its state since
//!   second 90), `crashes=3`, `serving`, `container`
//! - `container i1 p v1 0 running@10`: its container, running since second 10, `exited(1)@50`,
//!   `created`; option `watched`
//! - `busy i1`, `paused i1 until 120`
//!
//! The current time is second 100; the drain time is 5 s.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Megabytes, Timestamp};
use crate::docker::ContainerState;
use crate::scheduler::actual::{Actual, InstanceContainer};
use crate::scheduler::desired::Desired;
use crate::scheduler::fake::process;
use crate::scheduler::instance::{InstanceAddress, Phase, Record, Slot};
use crate::scheduler::plan::{Change, Effect, NO_ROOM, plan};

fn second(text: &str) -> Timestamp {
    let seconds: i64 = text.parse().expect("a second");
    Timestamp::from_micros(seconds * 1_000_000)
}

fn slot(words: &[&str]) -> Slot {
    Slot {
        process_guid: words[0].into(),
        version: words[1].to_owned(),
        index: words[2].parse().expect("an index"),
        app_guid: format!("{}-app", words[0]).into(),
        process_type: "web".to_owned(),
    }
}

fn record(words: &[&str]) -> Record {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let since = option("@").map_or(second("90"), second);
    let phase = Phase::parse(words[4]).expect("a state");
    let container = words.contains(&"container") || phase == Phase::Running;
    Record {
        guid: words[0].into(),
        slot: slot(&words[1..4]),
        phase,
        since,
        container_id: container.then(|| format!("c-{}", words[0])),
        ready: phase == Phase::Running,
        serving: words.contains(&"serving"),
        crash_count: option("crashes=").map_or(0, |n| n.parse().expect("a number")),
        last_crash_at: option("crashes=").map(|_| since),
        details: words.contains(&"waits").then(|| NO_ROOM.to_owned()),
    }
}

fn instance_container(words: &[&str]) -> InstanceContainer {
    let (state, at) = words[4].split_once('@').unwrap_or((words[4], "0"));
    let at = second(at);
    let state = match state {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running { since: at },
        exited => {
            let code = exited
                .strip_prefix("exited(")
                .and_then(|t| t.strip_suffix(')'));
            ContainerState::Exited {
                code: code.expect("exited(CODE)").parse().expect("a code"),
                out_of_memory: false,
                at,
            }
        }
    };
    InstanceContainer {
        container_id: format!("c-{}", words[0]),
        slot: Some(slot(&words[1..4])),
        state,
        address: InstanceAddress {
            ip: None,
            ports: BTreeMap::new(),
        },
        watched: words.contains(&"watched"),
    }
}

fn decide(situation: &str) -> String {
    let mut wanted = Vec::new();
    let mut actual = Actual::default();
    let mut capacity = None;
    for line in situation.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[0] {
            "want" => {
                let mut process = process(words[1], words[3].parse().expect("a number"));
                process.version = words[2].to_owned();
                wanted.push(process);
            }
            "record" => actual.instances.push(record(&words[1..])),
            "container" => {
                let guid = words[1].into();
                actual
                    .containers
                    .insert(guid, instance_container(&words[1..]));
            }
            "capacity" => capacity = Some(Megabytes(words[1].parse().expect("megabytes"))),
            "busy" => drop(actual.busy.insert(words[1].into())),
            "paused" => drop(actual.paused.insert(words[1].into(), second(words[3]))),
            other => panic!("unknown keyword {other}"),
        }
    }
    let mut desired = Desired::new(wanted.into(), Duration::from_secs(5));
    desired.memory_capacity = capacity;
    let plan = plan(&desired, &actual, second("100"));
    let changes = plan.changes.iter().map(|c| (change(&c.what), c.reason));
    let effects = plan.effects.iter().map(|e| (effect(&e.what), e.reason));
    let mut lines: Vec<_> = changes
        .chain(effects)
        .map(|(what, reason)| format!("{what}: {reason}"))
        .collect();
    if let Some(at) = plan.next_check {
        lines.push(format!("next check at {}", at.as_seconds()));
    }
    lines.join("\n")
}

fn change(change: &Change) -> String {
    let place = |slot: &Slot| format!("{} {} {}", slot.process_guid, slot.version, slot.index);
    match change {
        Change::Place { slot } => format!("place {}", place(slot)),
        Change::Adopt { guid, slot, .. } => format!("adopt {guid} as {}", place(slot)),
        Change::Started { guid, .. } => format!("started {guid}"),
        Change::Crash { guid, description } => format!("crash {guid} ({description})"),
        Change::Replace { guid } => format!("replace {guid}"),
        Change::Retire { guid } => format!("retire {guid}"),
        Change::Retry { guid } => format!("retry {guid}"),
        Change::Forget { guid } => format!("forget {guid}"),
        Change::Wait { guid } => format!("wait {guid}"),
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Launch { guid, container_id } => match container_id {
            Some(id) => format!("launch {guid} with {id}"),
            None => format!("launch {guid}"),
        },
        Effect::Stop { guid, container_id } => format!("stop {guid} in {container_id}"),
        Effect::Discard { container_id, .. } => format!("discard {container_id}"),
    }
}

#[test]
fn a_wanted_process_is_placed_then_launched() {
    insta::assert_snapshot!(decide("want p v1 2"), @"
    place p v1 0: the process wants it
    place p v1 1: the process wants it
    ");
    insta::assert_snapshot!(decide("
        want p v1 2
        record i0 p v1 0 STARTING
        record i1 p v1 1 STARTING
        container i1 p v1 1 created
    "), @"
    launch i0: it has no container
    launch i1 with c-i1: its container was never started
    ");
}

#[test]
fn an_instance_without_room_waits_until_there_is_some() {
    // Each has a limit of 256 MB.
    insta::assert_snapshot!(decide("
        capacity 600
        want p v1 3
        record i0 p v1 0 RUNNING
        record i1 p v1 1 STARTING
        record i2 p v1 2 STARTING
        container i0 p v1 0 running@10 watched
    "), @"
    wait i2: there is no room for it
    launch i1: it has no container
    ");
    // It is told once; one that is being launched, and one that still stops, have their memory.
    insta::assert_snapshot!(decide("
        capacity 600
        want p v1 3
        record i0 p v1 0 STARTING
        busy i0
        record i1 p v1 1 RUNNING
        record i2 p v1 2 STARTING waits
        container i1 p v1 1 running@10 watched
    "), @"");
    insta::assert_snapshot!(decide("
        capacity 600
        want p v1 3
        record i0 p v1 0 CRASHED crashes=5 @99
        record i1 p v1 1 RUNNING
        record i2 p v1 2 STARTING waits
        container i1 p v1 1 running@10 watched
    "), @"
    launch i2: it has no container
    next check at 219
    ");
    insta::assert_snapshot!(decide("
        capacity 100
        want p v1 1
        record i0 p v1 0 STARTING
    "), @"wait i0: there is no room for it");
}

#[test]
fn a_converged_process_needs_no_change() {
    insta::assert_snapshot!(decide("
        want p v1 2
        record i0 p v1 0 RUNNING
        record i1 p v1 1 STARTING container
        container i0 p v1 0 running@10 watched
        container i1 p v1 1 running@99 watched
    "), @"");
}

#[test]
fn an_unrecorded_start_is_recorded() {
    insta::assert_snapshot!(decide("
        want p v1 1
        record i0 p v1 0 STARTING
        container i0 p v1 0 running@10
    "), @"started i0: its container runs");
}

#[test]
fn unwanted_instances_are_retired_and_the_new_version_does_not_wait() {
    insta::assert_snapshot!(decide("
        want p v2 1
        record i0 p v1 0 RUNNING
        record i1 p v1 1 CRASHED crashes=5
        record j0 q v1 0 RUNNING
        container i0 p v1 0 running@10 watched
        container j0 q v1 0 running@10 watched
    "), @"
    retire i0: the process has fewer instances or another version
    retire i1: the process has fewer instances or another version
    retire j0: the process is stopped or deleted
    place p v2 0: the process wants it
    ");
}

#[test]
fn a_serving_instance_is_drained_before_it_is_stopped() {
    insta::assert_snapshot!(decide("
        record a p v1 0 STOPPING @96 serving
        record b p v1 1 STOPPING @95 serving
        record c p v1 2 STOPPING @96
        record d p v1 3 STOPPING @96 serving
        record e p v1 4 STOPPING @200 serving
        container a p v1 0 running@10
        container b p v1 1 running@10
        container c p v1 2 running@10
        container d p v1 3 exited(1)@20
        container e p v1 4 running@10
    "), @"
    stop b in c-b: it is no longer wanted
    stop c in c-c: it is no longer wanted
    stop d in c-d: it is no longer wanted
    stop e in c-e: it is no longer wanted
    next check at 101
    ");
}

#[test]
fn a_slot_waits_for_a_deliberately_stopped_container() {
    insta::assert_snapshot!(decide("
        want p v1 2
        record i0 p v1 0 STOPPING
        record i1 p v1 1 STOPPING
        container i0 p v1 0 running@10
    "), @"
    forget i1: its container is gone
    stop i0 in c-i0: it is no longer wanted
    ");
}

#[test]
fn a_watched_exit_is_a_crash() {
    insta::assert_snapshot!(decide("
        want p v1 1
        record i0 p v1 0 RUNNING
        container i0 p v1 0 exited(1)@95 watched
    "), @"crash i0 (APP/PROC/WEB: Exited with status 1): its container ended");
}

#[test]
fn an_unwatched_exit_is_a_crash_only_if_another_container_outlived_it() {
    insta::assert_snapshot!(decide("
        want p v1 3
        record i0 p v1 0 RUNNING
        record i1 p v1 1 STARTING container
        record i2 p v1 2 RUNNING
        container i0 p v1 0 exited(137)@50
        container i1 p v1 1 exited(137)@60
        container i2 p v1 2 running@55
    "), @"
    replace i0: its container ended with the daemon
    crash i1 (APP/PROC/WEB: Exited with status 137): its container ended
    ");
}

#[test]
fn a_removed_or_recreated_container_is_replaced() {
    insta::assert_snapshot!(decide("
        want p v1 2
        record i0 p v1 0 RUNNING
        record i1 p v1 1 RUNNING
        container i1 p v1 1 created
    "), @"
    replace i0: its container is gone
    replace i1: its container was recreated
    ");
}

#[test]
fn backoff_delays_restarts_and_ends_at_200() {
    insta::assert_snapshot!(decide("
        want p v1 4
        record i0 p v1 0 CRASHED @70 crashes=3
        record i1 p v1 1 CRASHED @71 crashes=3
        record i2 p v1 2 CRASHED @71 crashes=4
        record i3 p v1 3 CRASHED @1 crashes=200
    "), @"
    retry i0: its backoff is over
    next check at 101
    ");
}

#[test]
fn a_leftover_container_is_removed_during_the_backoff() {
    insta::assert_snapshot!(decide("
        want p v1 2
        record i0 p v1 0 CRASHED @71 crashes=3
        record i1 p v1 1 CRASHED @1 crashes=200
        container i0 p v1 0 created
        container i1 p v1 1 running@10
    "), @"
    discard c-i0: it belongs to no instance
    discard c-i1: it belongs to no instance
    next check at 101
    ");
}

#[test]
fn matching_strays_are_adopted_and_others_discarded() {
    insta::assert_snapshot!(decide("
        want p v2 2
        container old p v1 0 running@10
        container fits p v2 0 running@10
        container twin p v2 0 running@11
        container ended p v2 1 exited(0)@20
    "), @"
    adopt fits as p v2 0: its container runs without a record
    place p v2 1: the process wants it
    discard c-ended: it belongs to no instance
    discard c-old: it belongs to no instance
    discard c-twin: it belongs to no instance
    ");
}

#[test]
fn busy_instances_are_skipped_and_failed_ones_wait() {
    insta::assert_snapshot!(decide("
        want p v1 3
        record i0 p v1 0 STARTING
        record i1 p v1 1 STARTING
        record i2 p v1 2 STARTING container
        record i3 p v0 3 STOPPING
        container i2 p v1 2 exited(1)@99
        container stray p v0 9 running@10
        busy i0
        busy i2
        busy i3
        busy stray
        paused i1 until 120
    "), @"next check at 120");
}
