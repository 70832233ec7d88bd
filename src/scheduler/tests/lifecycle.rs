//! The volume of the lifecycle files: shared, complete before every start, and removed when unused.

use std::time::Duration;

use super::world::World;
use crate::docker::{ContainerSpec, DockerError, Engine, Verb};
use crate::scheduler::fake::process;
use crate::scheduler::lifecycle::remove_volumes;
use crate::scheduler::settings::lifecycle_tar;
use crate::scheduler::{DesiredProcess, Lifecycle, labels};

const LAUNCHER: &str = "/tmp/lifecycle/launcher";

fn app(instances: u32) -> DesiredProcess {
    DesiredProcess {
        lifecycle_files: true,
        ..process("p", instances)
    }
}

async fn run(world: &World, wanted: Vec<DesiredProcess>) -> Vec<String> {
    world.want(wanted).await;
    world.settle().await;
    world.running().await
}

async fn volumes(world: &World) -> Vec<String> {
    world.engine.volume_names("").await.expect("listed")
}

/// The content of the launcher in each running container, `none` when there is none.
async fn launchers(world: &World) -> Vec<String> {
    let read = |id: String| {
        let file = world.engine.file(&id, LAUNCHER);
        file.map_or("none".to_owned(), |file| {
            String::from_utf8_lossy(&file.content).into_owned()
        })
    };
    world.running().await.into_iter().map(read).collect()
}

#[tokio::test(start_paused = true)]
async fn the_files_are_copied_once_for_all_instances() {
    let world = World::new();
    run(&world, vec![app(1)]).await;
    let again = DockerError::Failed("copied again".to_owned());
    world.engine.fail(Verb::Upload, again);
    run(&world, vec![app(10)]).await;
    assert_eq!(launchers(&world).await, vec!["1"; 10]);
    assert_eq!(volumes(&world).await, [world.lifecycle().volume()]);
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ten_first_instances_fill_the_volume_once() {
    let world = World::new();
    run(&world, vec![app(10)]).await;
    assert_eq!(launchers(&world).await, vec!["1"; 10]);
    assert_eq!(
        world.engine.container_names().len(),
        10,
        "no helper is left"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_without_lifecycle_files_gets_no_volume() {
    let world = World::new();
    run(&world, vec![process("p", 1)]).await;
    assert_eq!(volumes(&world).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pruned_volume_is_filled_again() {
    let world = World::new();
    let volume = world.lifecycle().volume();
    run(&world, vec![app(1)]).await;
    let used = world.engine.remove_volume(&volume).await;
    assert!(matches!(used, Err(DockerError::Conflict(_))));
    run(&world, vec![]).await;
    world.engine.remove_volume(&volume).await.expect("pruned");
    run(&world, vec![app(2)]).await;
    assert_eq!(launchers(&world).await, vec!["1"; 2]);

    run(&world, vec![]).await;
    world.engine.remove_volume(&volume).await.expect("pruned");
    let stranger = ContainerSpec {
        name: "stranger".to_owned(),
        image: "dora@sha256:0".to_owned(),
        volumes: vec![world.lifecycle().mount()],
        ..ContainerSpec::default()
    };
    let stranger = world.engine.create(&stranger).await.expect("created");
    run(&world, vec![app(2)]).await;
    assert_eq!(launchers(&world).await, vec!["1"; 2]);
    run(&world, vec![]).await;
    world.engine.remove(&stranger).await.expect("removed");
    run(&world, vec![app(1)]).await;
    assert_eq!(launchers(&world).await, ["1"]);
    let found = world.engine.volume(&volume).await.expect("asked");
    assert!(!found.expect("there").labels.is_empty(), "it is ours again");
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn containers_of_an_earlier_version_are_adopted_and_unstarted_ones_replaced() {
    let mut world = World::new();
    let before = run(&world, vec![process("p", 1)]).await;
    world.kill().await;
    world.start_again();
    assert_eq!(run(&world, vec![app(1)]).await, before);
    assert_eq!(launchers(&world).await, ["none"]);

    world.engine.stall(Verb::Start);
    world.want(vec![process("p", 2)]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.containers().await.len(), 2, "one was not started");
    world.kill().await;
    world.engine.heal();
    world.desired.set(vec![app(2)]);
    world.start_again();
    world.settle().await;
    let mut found = launchers(&world).await;
    found.sort();
    assert_eq!(found, ["1", "none"]);
    assert_eq!(world.containers().await.len(), 2);
    assert!(world.crash_counts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn volumes_of_earlier_versions_are_removed_once_unused() {
    let mut world = World::new();
    let engine = world.engine.clone();
    let foreign = Lifecycle::new("another", lifecycle_tar("1")).volume();
    let labels = labels::of_platform("another");
    engine.ensure_volume(&foreign, &labels).await.expect("made");
    let old = world.lifecycle().volume();
    run(&world, vec![app(1)]).await;
    world.kill().await;

    world.launcher = "2";
    let new = world.lifecycle();
    world.start_again();
    let mut both = run(&world, vec![app(2)]).await;
    assert_eq!(
        launchers(&world).await,
        ["1", "2"],
        "a running container keeps its files"
    );
    new.remove_unused(&engine).await.expect("checked");
    assert_eq!(volumes(&world).await.len(), 3, "all are used");
    // A killed process left the container through which it filled the old volume.
    engine.remove(&both.remove(0)).await.expect("removed");
    world.settle().await;
    let left = Lifecycle::new("0f0f", lifecycle_tar("1")).helper("dora@sha256:0");
    engine.create(&left).await.expect("created");
    new.remove_unused(&engine).await.expect("checked");
    let mut expected = [foreign.clone(), new.volume()];
    expected.sort();
    assert_eq!(volumes(&world).await, expected);
    assert_ne!(old, new.volume());

    run(&world, vec![]).await;
    remove_volumes(&engine, "0f0f").await.expect("removed");
    assert_eq!(volumes(&world).await, [foreign]);
}
