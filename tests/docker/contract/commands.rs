//! Commands in running containers, signals, limits and published ports.

use std::sync::Arc;
use std::time::Duration;

use cflite::base::Megabytes;
use cflite::docker::{
    Access, Attached, Behaviour, ContainerState, DockerError, Engine, ExecSpec, Freeze,
    TerminalSize, VolumeMount,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::bench::{Bench, soon};

const SLEEPER: &str = "exec sleep 1000";

/// Runs a command to its end: its status and what it wrote.
async fn run(engine: &dyn Engine, id: &str, spec: &ExecSpec, input: &str) -> (i64, String) {
    let executing = engine.exec(id, spec).await.expect("started");
    let Attached {
        input: mut to,
        mut output,
    } = executing.streams;
    to.write_all(input.as_bytes()).await.expect("sent");
    // A terminal has no end of input: some daemons end it with its connection.
    if spec.terminal.is_none() {
        to.shutdown().await.expect("closed");
    }
    drop(to);
    let mut said = Vec::new();
    while let Some(part) = output.next().await {
        said.extend_from_slice(&part.expect("output").1);
    }
    // The daemon notes the end of a command with a terminal a moment after its output ended.
    let mut status = engine.exec_status(&executing.id).await;
    while matches!(status, Err(DockerError::Conflict(_))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = engine.exec_status(&executing.id).await;
    }
    (
        status.expect("ended"),
        String::from_utf8(said).expect("text"),
    )
}

fn words(words: &[&str]) -> ExecSpec {
    ExecSpec {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        ..ExecSpec::default()
    }
}

pub(super) async fn a_command_gets_its_input_and_tells_its_status(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    bench.program("tr a-z", |input| (3, input.to_uppercase()));
    let id = bench.started("commands", SLEEPER, Behaviour::runs()).await;
    let spec = words(&["sh", "-c", "tr a-z A-Z; exit 3"]);
    let (status, said) = soon(run(engine, &id, &spec, "hello")).await;
    assert_eq!((status, said.as_str()), (3, "HELLO"));

    engine
        .stop(&id, Duration::from_secs(5))
        .await
        .expect("stopped");
    let refused = engine.exec(&id, &spec).await.map(|_| ());
    assert!(
        matches!(refused, Err(DockerError::Conflict(_))),
        "{refused:?}"
    );
    let missing = engine.exec("there-is-none", &spec).await.map(|_| ());
    assert!(
        matches!(missing, Err(DockerError::NotFound(_))),
        "{missing:?}"
    );
}

pub(super) async fn a_killed_container_ends_with_its_signal(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    let id = bench.started("killed", SLEEPER, Behaviour::runs()).await;
    engine.kill(&id, "SIGKILL").await.expect("sent");
    assert_eq!(soon(engine.wait(&id)).await.expect("ended"), 137);
    let again = engine.kill(&id, "SIGKILL").await;
    assert!(matches!(again, Err(DockerError::Conflict(_))), "{again:?}");
}

pub(super) async fn a_frozen_container_goes_on_where_it_was(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    let id = bench.started("frozen", SLEEPER, Behaviour::runs()).await;
    let spec = ExecSpec {
        command: vec!["true".to_owned()],
        ..ExecSpec::default()
    };
    for _ in 0..2 {
        engine.freeze(&id, Freeze::Begin).await.expect("frozen");
        let found = engine.inspect(&id).await.expect("inspected");
        let found = found.expect("there");
        assert!(found.frozen && found.is_running(), "{found:?}");
        let refused = engine.exec(&id, &spec).await.map(|_| ());
        assert!(
            matches!(refused, Err(DockerError::Conflict(_))),
            "{refused:?}"
        );
    }
    for _ in 0..2 {
        engine.freeze(&id, Freeze::End).await.expect("goes on");
        let found = engine.inspect(&id).await.expect("inspected");
        assert!(!found.expect("there").frozen);
        let (status, _) = soon(run(engine, &id, &spec, "")).await;
        assert_eq!(status, 0);
    }
    // One that is frozen can be stopped as well.
    engine.freeze(&id, Freeze::Begin).await.expect("frozen");
    let stopped = engine.stop(&id, Duration::from_secs(1)).await;
    stopped.expect("stopped");
    let again = engine.freeze(&id, Freeze::Begin).await;
    assert!(matches!(again, Err(DockerError::Conflict(_))), "{again:?}");
    let missing = engine.freeze("there-is-none", Freeze::End).await;
    assert!(
        matches!(missing, Err(DockerError::NotFound(_))),
        "{missing:?}"
    );
}

pub(super) async fn limits_change_while_a_container_runs(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    let mut spec = bench.shell("limited", SLEEPER, Behaviour::runs());
    spec.memory = Some(Megabytes(64));
    spec.cpu_limit = Some(500);
    let id = engine.create(&spec).await.expect("created");
    engine.start(&id).await.expect("started");
    let before = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    engine
        .limit(&id, Megabytes(96), Some(250))
        .await
        .expect("changed");
    let after = engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    assert_eq!(before.state, after.state, "it was not started again");
    assert!(matches!(after.state, ContainerState::Running { .. }));
}

pub(super) async fn all_users_of_a_volume_are_known(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    let volume = bench.name("used");
    engine
        .ensure_volume(&volume, &bench.labels())
        .await
        .expect("made");
    assert!(
        engine
            .list_by_volume(&volume)
            .await
            .expect("listed")
            .is_empty()
    );
    let mut spec = bench.shell("user", SLEEPER, Behaviour::runs());
    spec.labels.clear();
    spec.labels.extend(bench.labels());
    spec.volumes = vec![VolumeMount {
        volume: volume.clone(),
        folder: "/data".to_owned(),
        access: Access::ReadWrite,
    }];
    let id = engine.create(&spec).await.expect("created");
    let users = engine.list_by_volume(&volume).await.expect("listed");
    assert_eq!(users.iter().map(|user| &user.id).collect::<Vec<_>>(), [&id]);
    engine.remove(&id).await.expect("removed");
    engine.remove_volume(&volume).await.expect("removed");
}

pub(super) async fn a_command_has_a_terminal_that_shows_any_byte(bench: Arc<Bench>) {
    let engine = &*bench.engine;
    bench.program("stty size", |_| (0, "\u{1}40 100\r\n".to_owned()));
    let id = bench.started("terminal", SLEEPER, Behaviour::runs()).await;
    let size = TerminalSize {
        rows: 40,
        columns: 100,
    };
    let spec = ExecSpec {
        terminal: Some(size),
        ..words(&["sh", "-c", "sleep 1; printf '\\001'; stty size"])
    };
    let (status, said) = soon(run(engine, &id, &spec, "")).await;
    assert_eq!((status, said.as_str()), (0, "\u{1}40 100\r\n"));
    let missing = engine.resize_exec("there-is-none", size).await;
    assert!(
        matches!(missing, Err(DockerError::NotFound(_))),
        "{missing:?}"
    );
}
