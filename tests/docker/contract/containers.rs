//! Lives of containers, the changes the engine reports, and networks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cflite::base::Megabytes;
use cflite::docker::{
    AddressRange, Behaviour, ContainerState, DockerError, LogReading, NetworkSpec,
};
use futures_util::StreamExt;

use crate::bench::{Bench, soon};

const SLEEPER: &str = "exec sleep 1000";

pub(super) async fn a_container_lives_and_every_verb_can_be_repeated(bench: Arc<Bench>) {
    let engine = &bench.engine;
    // A daemon reports a container as started before its program runs; a signal in between ends
    // the runtime in its place, with a status of its own.
    let behaviour = Behaviour::runs().prints("here\n");
    let spec = bench.shell("life", "echo here; exec sleep 1000", behaviour);
    let id = engine.create(&spec).await.expect("created");
    let made = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    assert_eq!(made.state, ContainerState::Created);
    assert_eq!((made.name, made.image), (spec.name, spec.image));
    assert_eq!(made.ip, None);

    engine.start(&id).await.expect("started");
    engine.start(&id).await.expect("started again");
    let running = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    assert!(running.is_running());
    assert!(running.address(8080).is_some());
    let mut lines = engine.logs(&id, 0, LogReading::Follow).await.expect("logs");
    soon(lines.next()).await.expect("a frame").expect("a frame");
    drop(lines);

    soon(engine.stop(&id, Duration::from_secs(10)))
        .await
        .expect("stopped");
    engine
        .stop(&id, Duration::from_secs(10))
        .await
        .expect("stopped again");
    let stopped = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    assert!(
        matches!(
            stopped.state,
            ContainerState::Exited {
                code: 143,
                out_of_memory: false,
                ..
            }
        ),
        "{:?}",
        stopped.state
    );
    assert_eq!(stopped.address(8080), None);
    engine
        .start(&id)
        .await
        .expect("an ended one can be started");
}

pub(super) async fn what_is_gone_stays_gone(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let id = bench.started("gone", SLEEPER, Behaviour::runs()).await;
    engine.remove(&id).await.expect("removed while it runs");
    engine.remove(&id).await.expect("removed again");
    assert!(engine.inspect(&id).await.expect("inspected").is_none());
    engine
        .stop(&id, Duration::ZERO)
        .await
        .expect("what is gone is stopped");
    assert!(matches!(
        engine.start(&id).await,
        Err(DockerError::NotFound(_))
    ));
    assert!(matches!(
        engine.wait(&id).await,
        Err(DockerError::NotFound(_))
    ));
    assert!(matches!(
        engine.logs(&id, 0, LogReading::Once).await,
        Err(DockerError::NotFound(_))
    ));
}

pub(super) async fn a_name_can_be_used_once(bench: Arc<Bench>) {
    let spec = bench.shell("once", SLEEPER, Behaviour::runs());
    bench.engine.create(&spec).await.expect("created");
    let second = bench.engine.create(&spec).await;
    assert!(
        matches!(second, Err(DockerError::Conflict(_))),
        "{second:?}"
    );
    let mut strange = bench.shell("strange", SLEEPER, Behaviour::runs());
    strange.image = "cflite/there-is-no:such-image".into();
    let missing = bench.engine.create(&strange).await;
    assert!(
        matches!(missing, Err(DockerError::NotFound(_))),
        "{missing:?}"
    );
}

pub(super) async fn lists_hold_what_carries_all_labels(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let mut spec = bench.shell("a", SLEEPER, Behaviour::runs());
    spec.labels.insert("cflite.colour".into(), "red".into());
    let red = engine.create(&spec).await.expect("created");
    engine.start(&red).await.expect("started");
    let blue = bench.started("b", SLEEPER, Behaviour::runs()).await;

    let all = engine.list(&bench.labels()).await.expect("listed");
    let mut ids: Vec<_> = all.iter().map(|c| c.id.clone()).collect();
    ids.sort();
    let mut expected = vec![red.clone(), blue];
    expected.sort();
    assert_eq!(ids, expected);
    let reds = engine.list(&spec.labels).await.expect("listed");
    assert_eq!(reds.len(), 1);
    assert_eq!(reds[0].id, red);
    assert_eq!(reds[0].labels["cflite.colour"], "red");
    assert!(reds[0].is_running());
}

pub(super) async fn waiting_gives_the_exit_status(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let behaviour = Behaviour::runs().waits(Duration::from_millis(300)).exits(7);
    let spec = bench.shell("wait", "sleep 0.3; exit 7", behaviour);
    let id = engine.create(&spec).await.expect("created");
    let early = engine.wait(&id).await;
    assert!(matches!(early, Err(DockerError::Conflict(_))), "{early:?}");
    engine.start(&id).await.expect("started");
    assert_eq!(soon(engine.wait(&id)).await.expect("waited"), 7);
    assert_eq!(soon(engine.wait(&id)).await.expect("waited again"), 7);
    let ended = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    assert!(matches!(
        ended.state,
        ContainerState::Exited { code: 7, .. }
    ));
}

pub(super) async fn one_that_ignores_sigterm_is_killed_after_the_grace(bench: Arc<Bench>) {
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    let id = bench
        .started("deaf", script, Behaviour::runs().ignores_stop())
        .await;
    // The shell needs a moment to set its trap.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begin = tokio::time::Instant::now();
    soon(bench.engine.stop(&id, Duration::from_secs(1)))
        .await
        .expect("stopped");
    assert!(
        begin.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(bench.engine.wait(&id).await.expect("waited"), 137);
}

pub(super) async fn one_that_uses_too_much_memory_says_so(bench: Arc<Bench>) {
    // A daemon under load may hear of the end before it hears why, and then never says so.
    let mut ends = Vec::new();
    for name in ["greedy", "greedier", "greediest"] {
        let behaviour = Behaviour::runs().runs_out_of_memory();
        let mut spec = bench.shell(name, "exec tail /dev/zero", behaviour);
        spec.memory = Some(Megabytes(24));
        let id = bench.engine.create(&spec).await.expect("created");
        bench.engine.start(&id).await.expect("started");
        assert_eq!(soon(bench.engine.wait(&id)).await.expect("waited"), 137);
        let ended = bench.engine.inspect(&id).await.expect("inspected");
        let state = ended.expect("there").state;
        if let ContainerState::Exited {
            code: 137,
            out_of_memory: true,
            ..
        } = state
        {
            return;
        }
        ends.push(state);
    }
    panic!("{ends:?}");
}

pub(super) async fn changes_are_told_in_order(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let mut changes = engine.changes(&bench.labels()).await.expect("changes");
    let work = async {
        // The daemon has to have seen the question before the first change.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut foreign = bench.shell("foreign", SLEEPER, Behaviour::runs());
        foreign
            .labels
            .insert("cflite.platform".into(), "another".into());
        let foreign = engine.create(&foreign).await.expect("created");
        let id = bench.started("changes", SLEEPER, Behaviour::runs()).await;
        engine
            .stop(&id, Duration::from_secs(5))
            .await
            .expect("stopped");
        engine.remove(&id).await.expect("removed");
        engine.remove(&foreign).await.expect("removed");
        id
    };
    let listen = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(_, action)| action != "destroy") {
            let change = soon(changes.next())
                .await
                .expect("goes on")
                .expect("a change");
            seen.push((change.id, change.action));
        }
        seen
    };
    let (id, seen) = tokio::join!(work, listen);
    let mine: Vec<&str> = seen
        .iter()
        .filter(|(of, action)| *of == id && ["start", "die", "destroy"].contains(&action.as_str()))
        .map(|(_, action)| action.as_str())
        .collect();
    assert_eq!(mine, ["start", "die", "destroy"]);
    assert!(seen.iter().all(|(of, _)| *of == id), "{seen:?}");
}

/// A network whose containers reach other machines, after one of the same name whose did not.
async fn network(bench: &Bench, name: &str) -> AddressRange {
    let engine = &bench.engine;
    let mut wanted = NetworkSpec {
        name: name.to_owned(),
        labels: bench.labels(),
        internal: true,
    };
    let made = engine.ensure_network(&wanted).await;
    let made = made.expect("made");
    let again = engine.ensure_network(&wanted).await;
    assert_eq!(again.expect("made again"), made);
    // One that reaches other machines is another network.
    wanted.internal = false;
    // It is found without being made.
    assert_eq!(engine.network(name).await.expect("found"), Some(made));
    let missing = engine.network(&bench.name("no-such-net")).await;
    assert_eq!(missing.expect("asked"), None);
    let made = engine.ensure_network(&wanted).await.expect("made anew");
    let again = engine.ensure_network(&wanted).await;
    assert_eq!(again.expect("made again"), made);
    let owned = made.assignable.first..=made.assignable.last;
    assert!(!owned.contains(&made.gateway), "{made:?}");
    made.assignable
}

pub(super) async fn containers_join_networks(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let network = bench.name("net");
    let range = self::network(&bench, &network).await;
    let mut spec = bench.shell("member", SLEEPER, Behaviour::runs());
    spec.network = Some(network.clone());
    spec.address = Some(range.last);
    let id = engine.create(&spec).await.expect("created");
    let look = async || {
        engine
            .inspect(&id)
            .await
            .expect("inspected")
            .expect("there")
    };
    let member = look().await;
    assert_eq!((member.ip, member.assigned), (None, spec.address));
    engine.start(&id).await.expect("started");
    let member = look().await;
    assert_eq!(member.ip, spec.address.map(IpAddr::V4));
    assert_eq!(member.assigned, spec.address);

    let mut rival = spec.clone();
    rival.name = bench.name("rival");
    let second = engine.create(&rival).await.expect("created");
    assert!(engine.start(&second).await.is_err(), "the address is taken");
    engine.remove(&second).await.expect("removed");

    let mut free = spec.clone();
    (free.name, free.address) = (bench.name("free"), None);
    let third = engine.create(&free).await.expect("created");
    engine.start(&third).await.expect("started");
    let other = engine
        .inspect(&third)
        .await
        .expect("inspected")
        .expect("there");
    let chosen = other.ip.expect("an address");
    let owned = IpAddr::V4(range.first)..=IpAddr::V4(range.last);
    assert!(
        !owned.contains(&chosen),
        "the daemon chose {chosen} of {owned:?}"
    );
    engine.remove(&third).await.expect("removed");
    engine.remove(&id).await.expect("removed");
    engine.remove_network(&network).await.expect("removed");
    engine
        .remove_network(&network)
        .await
        .expect("removed again");
    spec.name = bench.name("lost");
    let lost = async {
        let id = engine.create(&spec).await?;
        engine.start(&id).await
    };
    assert!(matches!(lost.await, Err(DockerError::NotFound(_))));
}

pub(super) async fn usage_and_size_are_measured(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let script = "head -c 3000000 /dev/zero > /tmp/big; echo written; exec sleep 1000";
    let behaviour = Behaviour::runs().grows(3_000_000).prints("written\n");
    let id = bench.started("usage", script, behaviour).await;
    let mut logs = engine.logs(&id, 0, LogReading::Follow).await.expect("logs");
    soon(logs.next()).await.expect("a frame").expect("a frame");
    let usage = engine.usage(&id).await.expect("asked").expect("runs");
    assert!(usage.memory > 0 && usage.cpu_nanos > 0, "{usage:?}");
    let size = engine.writable_size(&id).await.expect("measured");
    assert!((3_000_000..4_000_000).contains(&size), "{size}");
    engine
        .stop(&id, Duration::from_secs(5))
        .await
        .expect("stopped");
    assert_eq!(engine.usage(&id).await.expect("asked"), None);
    assert_eq!(
        engine.usage("no-such-container").await.expect("asked"),
        None
    );
}
