//! The scheduler on a real daemon: containers that listen, crash, outlive it and come by the
//! dozen.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cflite::base::guid::{InstanceGuid, ProcessGuid};
use cflite::base::{GuidSource, Supervisor, SystemClock};
use cflite::db::{Db, DbError};
use cflite::docker::{BollardEngine, ContainerState, DockerError, Engine, LABEL_OWNER, Labels};
use cflite::scheduler::fake::{FakeDesired, FakeLogs, FakeObserver, process};
use cflite::scheduler::{
    self, DesiredProcess, FileError, FileKind, Instance, InstanceState, Lifecycle, Network,
    NetworkProbe, Parts, Scheduler, Settings,
};
use cflite::staging::lifecycle_files;

use futures_util::StreamExt as _;

use crate::bench::{daemon, soon, test_image};

const LISTEN: &str = "exec perl -MIO::Socket::INET -e \
    '$s = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1) or die; \
    $SIG{TERM} = sub { exit 0 }; close $c while $c = $s->accept'";

struct World {
    engine: Arc<BollardEngine>,
    platform: String,
    db: Db,
    desired: Arc<FakeDesired>,
    observer: Arc<FakeObserver>,
    scheduler: Scheduler,
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Option<Self> {
        let engine = Arc::new(daemon().await?);
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("fresh database");
        let platform = GuidSource::random().next();
        let desired = Arc::<FakeDesired>::default();
        let observer = Arc::<FakeObserver>::default();
        let supervisor = Supervisor::new();
        let parts = parts(&engine, &db, &platform, &desired, &observer);
        let scheduler = Scheduler::new(parts);
        scheduler.start(&supervisor);
        Some(Self {
            engine,
            platform,
            db,
            desired,
            observer,
            scheduler,
            supervisor,
            _dir: dir,
        })
    }

    async fn start_again(&mut self) {
        assert!(self.supervisor.shut_down(Duration::from_secs(5)).await);
        let (desired, observer) = (&self.desired, &self.observer);
        let parts = parts(&self.engine, &self.db, &self.platform, desired, observer);
        self.scheduler = Scheduler::new(parts);
        self.supervisor = Supervisor::new();
        self.scheduler.start(&self.supervisor);
    }

    async fn want(&self, processes: Vec<DesiredProcess>) {
        self.desired.set(processes);
        let commit = self.db.write(|_| Ok::<_, DbError>(()));
        commit.await.expect("commit");
    }

    async fn settle(&self) {
        soon(self.scheduler.settled()).await;
    }

    async fn instances(&self) -> Vec<Instance> {
        let process = ProcessGuid::from("p");
        let read = self.db.read(move |tx| scheduler::instances(tx, &process));
        read.await.expect("instances")
    }

    async fn running(&self) -> Vec<String> {
        let ours = Labels::from([(LABEL_OWNER.to_owned(), self.platform.clone())]);
        let all = self.engine.list(&ours).await.expect("list");
        let mut running: Vec<_> = all
            .into_iter()
            .filter(|c| matches!(c.state, ContainerState::Running { .. }))
            .map(|c| c.id)
            .collect();
        running.sort();
        running
    }

    /// Stops everything through the scheduler itself.
    async fn end(self) {
        self.want(Vec::new()).await;
        self.settle().await;
        assert!(self.running().await.is_empty());
        assert!(self.supervisor.shut_down(Duration::from_secs(5)).await);
        let network = Network::of_platform(&self.platform);
        let removed = self.engine.remove_network(network.name()).await;
        removed.expect("removed");
        let removed = scheduler::remove_volumes(&*self.engine, &self.platform).await;
        removed.expect("removed");
    }

    async fn wait_for_address(&self, guid: &InstanceGuid) -> IpAddr {
        let address = async {
            loop {
                if let Some(ip) = self.scheduler.address(guid).and_then(|a| a.ip) {
                    return ip;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(address).await
    }
}

impl Drop for World {
    /// A test that failed leaves containers.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.desired.set(Vec::new());
        let ours = format!("label={LABEL_OWNER}={}", self.platform);
        let listed = Command::new("docker")
            .args(["ps", "-aq", "--filter", &ours])
            .output();
        let Ok(listed) = listed else { return };
        let found = String::from_utf8_lossy(&listed.stdout).into_owned();
        for container in found.split_whitespace() {
            let removed = Command::new("docker")
                .args(["rm", "--force", container])
                .output();
            drop(removed);
        }
        let network = Network::of_platform(&self.platform);
        let removed = Command::new("docker")
            .args(["network", "rm", network.name()])
            .output();
        drop(removed);
        let removed = Command::new("docker")
            .args(["volume", "rm", &lifecycle(&self.platform).volume()])
            .output();
        drop(removed);
    }
}

fn lifecycle(platform: &str) -> Lifecycle {
    Lifecycle::new(platform, lifecycle_files())
}

fn parts(
    engine: &Arc<BollardEngine>,
    db: &Db,
    platform: &str,
    desired: &Arc<FakeDesired>,
    observer: &Arc<FakeObserver>,
) -> Parts {
    Parts {
        db: db.clone(),
        clock: Arc::new(SystemClock),
        guids: GuidSource::random(),
        engine: engine.clone(),
        desired: desired.clone(),
        observer: observer.clone(),
        logs: Arc::new(FakeLogs::default()),
        probe: Arc::new(NetworkProbe),
        settings: Settings {
            lifecycle: lifecycle(platform),
            ..Settings::new(platform, IpAddr::from([127, 0, 0, 1]))
        },
    }
}

async fn app(world: &World, script: &str, instances: u32) -> DesiredProcess {
    let mut app = process("p", instances);
    app.image = test_image(&*world.engine).await;
    app.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_instance_are_listed_and_read_to_their_end() {
    let Some(world) = World::new().await else {
        return;
    };
    let script = format!(
        "mkdir -p /tmp/f/sub /tmp/f/.hidden; touch /tmp/f/empty; \
         head -c 300000 /dev/zero >'/tmp/f/a b'; ln -s empty /tmp/f/link; {LISTEN}"
    );
    let wanted = app(&world, &script, 1).await;
    let of = scheduler::InstanceOf {
        app: &wanted.app_guid.clone(),
        process: &wanted.process_type.clone(),
        index: 0,
    };
    world.want(vec![wanted]).await;
    world.settle().await;
    let scheduler = &world.scheduler;
    let listing = scheduler.list_files(of, "/tmp/f").await.expect("a listing");
    let entries = listing.entries.iter();
    let entries: Vec<_> = entries
        .map(|one| (one.name.as_str(), one.kind, one.size))
        .filter(|(_, kind, _)| *kind != FileKind::Folder)
        .collect();
    let expected = [
        ("a b", FileKind::File, 300_000),
        ("empty", FileKind::File, 0),
        ("link", FileKind::Link, 5),
    ];
    assert_eq!(entries, expected);
    assert_eq!(listing.entries[0].name, ".hidden");
    assert_eq!(listing.entries[1].name, "sub");

    let all = u64::try_from(i64::MAX).expect("a limit");
    for (path, limit, length) in [
        ("/tmp/f/a b", all, 300_000),
        ("/tmp/f/a b", 10, 10),
        ("/tmp/f/link", all, 0),
    ] {
        let read = scheduler.read_file(of, path, limit).await.expect("a file");
        let parts: Vec<_> = read.collect().await;
        let bytes = parts.into_iter().map(|part| part.expect("bytes").len());
        assert_eq!(bytes.sum::<usize>(), length, "{path}");
    }
    let refused = scheduler.list_files(of, "/tmp/f/empty").await;
    assert!(matches!(refused, Err(FileError::IsFile)), "{refused:?}");
    let refused = scheduler.list_files(of, "/tmp/none").await;
    assert!(matches!(refused, Err(FileError::Missing)), "{refused:?}");
    let refused = scheduler.read_file(of, "/tmp/f", all).await.err();
    assert!(matches!(refused, Some(FileError::IsFolder)), "{refused:?}");
    let refused = scheduler.read_file(of, "/dev/null", all).await.err();
    assert!(matches!(refused, Some(FileError::Missing)), "{refused:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_run_outlive_the_scheduler_and_end_with_their_process() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let wanted = app(&world, LISTEN, 2).await;
    world.want(vec![wanted]).await;
    world.settle().await;
    let before = world.running().await;
    assert_eq!(before.len(), 2);
    world.start_again().await;
    world.settle().await;
    assert_eq!(world.running().await, before);
    assert_eq!(world.scheduler.routable().borrow().len(), 2);
    assert!(world.observer.crashes().is_empty());

    let first = world.instances().await.swap_remove(0);
    let gone = first.container_id.expect("a container");
    world
        .engine
        .stop(&gone, Duration::ZERO)
        .await
        .expect("stop");
    // Nothing is unsettled before the crash is on record: what is waited for is the other instance.
    let replaced = async {
        loop {
            let after = world.running().await;
            if after.len() == 2 && !after.contains(&gone) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(replaced).await;
    assert_eq!(world.observer.crashes().len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_is_shown_crashed_with_its_status() {
    let Some(world) = World::new().await else {
        return;
    };
    let wanted = app(&world, "exit 3", 1).await;
    world.want(vec![wanted]).await;
    let crashed = async {
        while world.observer.crashes().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(crashed).await;
    world.settle().await;
    let all = world.instances().await;
    assert_eq!(all[0].state, InstanceState::Crashed);
    let details = all[0].details.as_deref();
    assert_eq!(details, Some("APP/PROC/WEB: Exited with status 3"));
    world.end().await;
}

/// Scaling from one to ten is nothing but ten containers made and started side by side.
/// The daemon would give the lowest free address: that of the instance that just ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_an_ended_instance_goes_to_nobody_else() {
    let Some(world) = World::new().await else {
        return;
    };
    let mut seen = Vec::new();
    for round in 0..4 {
        let mut app = app(&world, LISTEN, 1).await;
        app.version = format!("v{round}");
        world.want(vec![app]).await;
        world.settle().await;
        let instances = world.instances().await;
        let [instance] = instances.as_slice() else {
            panic!("one instance: {instances:?}");
        };
        let address = world.wait_for_address(&instance.guid).await;
        assert!(!seen.contains(&address), "{address} again, after {seen:?}");
        seen.push(address);
    }
    world.end().await;
}

/// The daemon creates a missing volume without saying so, and empty.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_the_lifecycle_files_although_their_volume_was_pruned() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let volume = lifecycle(&world.platform).volume();
    let script = format!("test -x /tmp/lifecycle/launcher || exit 9; {LISTEN}");
    let mut wanted = app(&world, &script, 2).await;
    wanted.lifecycle_files = true;
    for round in ["first", "pruned", "restarted"] {
        if round == "restarted" {
            world.start_again().await;
        }
        world.want(vec![wanted.clone()]).await;
        world.settle().await;
        assert_eq!(world.running().await.len(), 2, "{round}");
        let used = world.engine.remove_volume(&volume).await;
        assert!(matches!(used, Err(DockerError::Conflict(_))), "{used:?}");
        world.want(Vec::new()).await;
        world.settle().await;
        let pruned = world.engine.remove_volume(&volume).await;
        pruned.expect("nothing uses it");
    }
    assert!(world.observer.crashes().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_becomes_ten() {
    let Some(world) = World::new().await else {
        return;
    };
    let wanted = app(&world, LISTEN, 1).await;
    world.want(vec![wanted]).await;
    world.settle().await;
    let wanted = app(&world, LISTEN, 10).await;
    world.want(vec![wanted]).await;
    world.settle().await;
    assert_eq!(world.scheduler.routable().borrow().len(), 10);
    world.end().await;
}
