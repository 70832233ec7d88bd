//! A scheduler with everything around it in memory; time is Tokio's paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::guid::ProcessGuid;
use crate::base::{Clock, GuidSource, Supervisor, Timestamp};
use crate::db::{Db, DbError};
use crate::docker::FakeEngine;
use crate::docker::{Container, ContainerState, Engine};
use crate::scheduler::fake::{FakeDesired, FakeLogs, FakeObserver, FakeProbe};
use crate::scheduler::settings::lifecycle_tar;
use crate::scheduler::{
    self, DesiredProcess, Instance, InstanceState, Lifecycle, Parts, Scheduler, Settings, labels,
};

/// Wall time that moves with Tokio's clock.
pub(in crate::scheduler) struct PausedClock(pub(in crate::scheduler) Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.0.elapsed())
    }
}

pub(super) struct World {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) db: Db,
    pub(super) engine: FakeEngine,
    pub(super) desired: Arc<FakeDesired>,
    pub(super) observer: Arc<FakeObserver>,
    pub(super) logs: Arc<FakeLogs>,
    pub(super) probe: Arc<FakeProbe>,
    pub(super) scheduler: Scheduler,
    /// The content of the launcher that the next process has.
    pub(super) launcher: &'static str,
    supervisor: Supervisor,
    dir: tempfile::TempDir,
}

impl World {
    /// A running scheduler without anything to do.
    pub(super) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(Instant::now()));
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("fresh database");
        let engine = FakeEngine::new(clock.clone());
        engine.add_image("dora@sha256:0");
        let desired = Arc::new(FakeDesired::default());
        let (observer, logs) = (Arc::default(), Arc::default());
        let probe = Arc::<FakeProbe>::default();
        let supervisor = Supervisor::new();
        let scheduler = Scheduler::new(Parts {
            db: db.clone(),
            clock: clock.clone(),
            guids: GuidSource::counted(),
            engine: Arc::new(engine.clone()),
            desired: desired.clone(),
            observer: Arc::clone(&observer) as _,
            logs: Arc::clone(&logs) as _,
            probe: probe.clone(),
            settings: Settings::for_tests(),
        });
        scheduler.start(&supervisor);
        Self {
            clock,
            db,
            engine,
            desired,
            observer,
            logs,
            probe,
            scheduler,
            launcher: "1",
            supervisor,
            dir,
        }
    }

    /// Ends the scheduler as kill -9 would, without cleanup.
    pub(super) async fn kill(&self) {
        assert!(self.supervisor.shut_down(Duration::from_secs(1)).await);
    }

    /// Another scheduler process over the same database and daemon.
    pub(super) fn start_again(&mut self) {
        self.supervisor = Supervisor::new();
        self.scheduler = Scheduler::new(Parts {
            db: self.db.clone(),
            clock: self.clock.clone(),
            guids: GuidSource::random(),
            engine: Arc::new(self.engine.clone()),
            desired: self.desired.clone(),
            observer: self.observer.clone(),
            logs: self.logs.clone(),
            probe: self.probe.clone(),
            settings: Settings {
                lifecycle: self.lifecycle(),
                ..Settings::for_tests()
            },
        });
        self.scheduler.start(&self.supervisor);
    }

    /// The lifecycle files of the next process.
    pub(super) fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new("0f0f", lifecycle_tar(self.launcher))
    }

    /// Another scheduler process over an empty database.
    pub(super) fn start_over(&mut self) {
        let path = self.dir.path().join("other.db");
        self.db = Db::open(&path).expect("fresh database");
        self.start_again();
    }

    /// Sets the desired state to these processes.
    pub(super) async fn want(&self, processes: Vec<DesiredProcess>) {
        self.desired.set(processes);
        self.db
            .write(|_| Ok::<_, DbError>(()))
            .await
            .expect("commit");
    }

    pub(super) async fn settle(&self) {
        let limit = Duration::from_secs(600);
        let settled = tokio::time::timeout(limit, self.scheduler.settled());
        settled.await.expect("settles");
    }

    /// Waits until `condition` holds for the instances of process `p`.
    pub(super) async fn until(&self, condition: impl Fn(&[Instance]) -> bool) -> Vec<Instance> {
        for _ in 0..100_000 {
            let all = self.instances("p").await;
            if condition(&all) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came true: {:#?}", self.instances("p").await);
    }

    pub(super) async fn instances(&self, process: &str) -> Vec<Instance> {
        let process = ProcessGuid::from(process);
        self.db
            .read(move |tx| scheduler::instances(tx, &process))
            .await
            .expect("instances")
    }

    /// `RUNNING RUNNING` in the order of indexes.
    pub(super) async fn states(&self) -> String {
        let all = self.instances("p").await;
        let states: Vec<_> = all.iter().map(|i| i.state.as_str()).collect();
        states.join(" ")
    }

    pub(super) async fn containers(&self) -> Vec<Container> {
        let ours = labels::of_platform("0f0f");
        self.engine.list(&ours).await.expect("list")
    }

    /// Ids of the running containers, sorted.
    pub(super) async fn running(&self) -> Vec<String> {
        let all = self.containers().await.into_iter();
        let mut ids: Vec<_> = all
            .filter(|c| matches!(c.state, ContainerState::Running { .. }))
            .map(|c| c.id)
            .collect();
        ids.sort();
        ids
    }

    pub(super) fn routable(&self) -> usize {
        self.scheduler.routable().borrow().len()
    }

    pub(super) fn crash_counts(&self) -> Vec<u32> {
        let crashes = self.observer.crashes();
        crashes.iter().map(|crash| crash.crash_count).collect()
    }

    /// The only container of the only active instance.
    pub(super) async fn container(&self) -> String {
        let all = self.instances("p").await;
        let active = all.into_iter().find(|i| i.state != InstanceState::Stopping);
        let active = active.expect("an active instance");
        active.container_id.expect("a container")
    }
}

/// All of them run, and there are `count`.
pub(super) fn all_running(count: usize) -> impl Fn(&[Instance]) -> bool {
    move |all| all.len() == count && all.iter().all(|i| i.state == InstanceState::Running)
}
