//! Tasks from beginning to end, over Docker in memory and a paused clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    DesiredTask, OpenTask, OpenTasks, TaskEnd, TaskList, TaskParts, TaskState, Tasks, container,
};
use crate::base::guid::TaskGuid;
use crate::base::{Clock, Megabytes, Supervisor, Timestamp};
use crate::db::{Db, DbError, ReadTx, WriteTx};
use crate::docker::{Behaviour, Container, DockerError, Engine, FakeEngine, Verb};
use crate::scheduler::Settings;
use crate::scheduler::fake::FakeLogs;
use crate::scheduler::tests::PausedClock;

/// A task, how it ended, and how often its start was reported.
type Known = (OpenTask, Option<TaskEnd>, u32);

/// Tasks by guid.
#[derive(Default)]
struct FakeTasks(Mutex<BTreeMap<TaskGuid, Known>>);

impl FakeTasks {
    fn open_ones(&self) -> usize {
        self.all()
            .values()
            .filter(|(_, end, _)| end.is_none())
            .count()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<TaskGuid, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskList for FakeTasks {
    fn open(&self, _: &ReadTx<'_>) -> Result<OpenTasks, DbError> {
        let all = self.all();
        let open = all.values().filter(|(_, end, _)| end.is_none());
        let open = open.map(|(task, ..)| task.clone());
        let (damaged, tasks) = open.partition(|task| task.name == "damaged");
        let damaged: Vec<OpenTask> = damaged;
        Ok(OpenTasks {
            tasks,
            unreadable: damaged.into_iter().map(|task| task.guid).collect(),
        })
    }

    fn desired(&self, _: &ReadTx<'_>, guid: &TaskGuid) -> Result<Option<DesiredTask>, DbError> {
        let all = self.all();
        let wanted = all
            .get(guid)
            .filter(|(task, end, _)| end.is_none() && task.state != TaskState::Canceling);
        if wanted.is_some_and(|(task, ..)| task.name == "no-environment") {
            return Err(DbError::Inconsistent {
                what: "desired_tasks.environment",
                value: "not JSON".to_owned(),
            });
        }
        Ok(wanted.map(|_| DesiredTask {
            app_name: "dora".to_owned(),
            image: "dora@sha256:0".to_owned(),
            droplet_size: None,
            entrypoint: Some(Vec::new()),
            command: vec!["rake".to_owned()],
            user: None,
            working_dir: None,
            environment: vec![("LANG".to_owned(), "C".to_owned())],
            memory: Megabytes(64),
            log_rate_limit: -1,
            lifecycle_files: true,
        }))
    }

    fn started(&self, _: &WriteTx<'_>, guid: &TaskGuid, _: Timestamp) -> Result<bool, DbError> {
        let mut all = self.all();
        let Some((task, None, count)) = all.get_mut(guid) else {
            return Ok(false);
        };
        if task.state == TaskState::Pending {
            task.state = TaskState::Running;
            *count += 1;
        }
        Ok(task.state == TaskState::Running)
    }

    fn ended(
        &self,
        _: &WriteTx<'_>,
        guid: &TaskGuid,
        end: &TaskEnd,
        _: Timestamp,
    ) -> Result<(), DbError> {
        if let Some((_, ended, _)) = self.all().get_mut(guid) {
            ended.get_or_insert(end.clone());
        }
        Ok(())
    }
}

struct World {
    clock: Arc<dyn Clock>,
    db: Db,
    engine: FakeEngine,
    tasks: Arc<FakeTasks>,
    logs: Arc<FakeLogs>,
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

impl World {
    /// A runner without tasks; the daemon's containers show `behaviour`.
    fn new(behaviour: Behaviour) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(Instant::now()));
        let dir = tempfile::tempdir().expect("temporary folder");
        let engine = FakeEngine::new(clock.clone());
        engine.add_image("dora@sha256:0");
        engine.script("rake", behaviour);
        let mut world = Self {
            db: Db::open(&dir.path().join("cflite.db")).expect("fresh database"),
            clock,
            engine,
            tasks: Arc::default(),
            logs: Arc::default(),
            supervisor: Supervisor::new(),
            _dir: dir,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        self.supervisor = Supervisor::new();
        Tasks::new(TaskParts {
            db: self.db.clone(),
            clock: self.clock.clone(),
            engine: Arc::new(self.engine.clone()),
            tasks: self.tasks.clone(),
            logs: self.logs.clone(),
            settings: Settings::for_tests(),
        })
        .start(&self.supervisor);
    }

    /// Ends the runner as kill -9 would, and starts another one.
    async fn kill_and_start(&mut self) {
        assert!(self.supervisor.shut_down(Duration::from_secs(1)).await);
        self.engine.heal();
        self.start();
    }

    async fn commit(&self) {
        let write = self.db.write(|_| Ok::<_, DbError>(()));
        write.await.expect("commit");
    }

    /// Creates the task `t`.
    async fn create(&self) {
        self.create_named("t", "migrate").await;
    }

    async fn create_named(&self, guid: &str, name: &str) {
        let task = OpenTask {
            guid: guid.into(),
            app_guid: "a".into(),
            name: name.to_owned(),
            state: TaskState::Pending,
            created_at: self.clock.now(),
        };
        let all = (task.guid.clone(), (task, None, 0));
        self.tasks.all().extend([all]);
        self.commit().await;
    }

    /// Lets time pass, also for the database's threads, which do not use the paused clock.
    async fn pass(&self, time: Duration) {
        sleep(time).await;
        let read = self.db.read(|_| Ok::<_, DbError>(()));
        read.await.expect("a read");
    }

    async fn cancel(&self) {
        for (task, ..) in self.tasks.all().values_mut() {
            task.state = TaskState::Canceling;
        }
        self.commit().await;
    }

    async fn containers(&self) -> Vec<Container> {
        let ours = container::of_platform("0f0f");
        self.engine.list(&ours).await.expect("a list")
    }

    /// How the task ended, once its container is gone.
    async fn end(&self) -> TaskEnd {
        for _ in 0..10_000 {
            let end = self.tasks.all().get(&"t".into()).and_then(|t| t.1.clone());
            if let Some(end) = end
                && self.containers().await.is_empty()
            {
                return end;
            }
            self.pass(Duration::from_secs(1)).await;
        }
        panic!("it never ended");
    }

    fn started(&self) -> u32 {
        self.tasks.all().get(&"t".into()).map_or(0, |task| task.2)
    }

    async fn until_running(&self) -> String {
        for _ in 0..10_000 {
            let all = self.containers().await;
            if let Some(found) = all.iter().find(|container| container.is_running())
                && self.started() == 1
            {
                return found.id.clone();
            }
            self.pass(Duration::from_millis(10)).await;
        }
        panic!("it never ran");
    }
}

fn failed(reason: &str) -> TaskEnd {
    TaskEnd::Failed(reason.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_once_and_its_container_is_removed() {
    let world = World::new(Behaviour::runs().waits(Duration::from_secs(3)).exits(0));
    world.create().await;
    let id = world.until_running().await;
    let spec = world.engine.spec(&id).expect("a specification");
    assert_eq!(spec.name, "cflite-0f0f-dora-task-migrate-t");
    assert_eq!(spec.hostname.as_deref(), Some("t"));
    assert_eq!(spec.memory, Some(Megabytes(64)));
    let environment = spec.environment.iter();
    let environment: Vec<_> = environment.map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(
        environment.join(" "),
        "HOME=/home/vcap USER=vcap PATH=/usr/local/bin:/usr/bin:/bin CF_INSTANCE_GUID=t INSTANCE_GUID=t \
         CF_INSTANCE_IP=10.0.0.1 CF_INSTANCE_ADDR= CF_INSTANCE_PORT= CF_INSTANCE_PORTS=[] LANG=C"
    );
    assert_eq!(world.end().await, TaskEnd::Succeeded);
    assert_eq!(world.started(), 1);
    insta::assert_snapshot!(world.logs.lines().join("\n"), @r"
    [CELL/0] OUT Cell 0f0f creating container for instance t
    [CELL/0] OUT Cell 0f0f successfully created container for instance t
    [APP/TASK/migrate/0] OUT Exit status 0
    [CELL/0] OUT Cell 0f0f destroying container for instance t
    [CELL/0] OUT Cell 0f0f successfully destroyed container for instance t
    ");
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_has_a_reason() {
    let table = [
        (
            Behaviour::runs().exits(3),
            "APP/TASK/migrate: Exited with status 3",
        ),
        (
            Behaviour::runs().runs_out_of_memory(),
            "APP/TASK/migrate: Exited with status 137 (out of memory)",
        ),
    ];
    for (behaviour, reason) in table {
        let world = World::new(behaviour);
        world.create().await;
        assert_eq!(world.end().await, failed(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_at_once_runs_once_whatever_else_is_committed() {
    for _ in 0..50 {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let count = move |_: &mut _| {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let world = World::new(Behaviour::runs().works(count).exits(0));
        world.create().await;
        let commits = async {
            for _ in 0..20 {
                world.commit().await;
            }
        };
        let (end, ()) = tokio::join!(world.end(), commits);
        assert_eq!((end, runs.load(Ordering::Relaxed)), (TaskEnd::Succeeded, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_canceled_task_is_stopped_also_before_it_runs() {
    let world = World::new(Behaviour::runs());
    world.create().await;
    world.until_running().await;
    world.cancel().await;
    assert_eq!(world.end().await, failed("task was cancelled"));

    let world = World::new(Behaviour::runs());
    world.engine.stall(Verb::Create);
    world.create().await;
    sleep(Duration::from_secs(1)).await;
    world.cancel().await;
    world.engine.heal();
    assert_eq!(world.end().await, failed("task was cancelled"));
    assert_eq!(world.started(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_survives_kill_9_at_every_step() {
    for verb in [
        Verb::List,
        Verb::Create,
        Verb::Upload,
        Verb::Start,
        Verb::Changes,
        Verb::Inspect,
        Verb::Remove,
    ] {
        let mut world = World::new(Behaviour::runs().waits(Duration::from_secs(5)).exits(0));
        world.engine.stall(verb);
        world.create().await;
        sleep(Duration::from_secs(20)).await;
        world.kill_and_start().await;
        assert_eq!(world.end().await, TaskEnd::Succeeded, "{verb:?}");
        assert_eq!(world.started(), 1, "{verb:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_half_an_hour_for_the_daemon() {
    let world = World::new(Behaviour::runs().exits(0));
    world.engine.set_reachable(false);
    world.create().await;
    sleep(Duration::from_secs(60)).await;
    world.engine.set_reachable(true);
    assert_eq!(world.end().await, TaskEnd::Succeeded);

    let world = World::new(Behaviour::runs().exits(0));
    world.engine.set_reachable(false);
    world.create().await;
    for _ in 0..10_000 {
        world.pass(Duration::from_secs(1)).await;
        if world.tasks.open_ones() == 0 {
            break;
        }
    }
    world.engine.set_reachable(true);
    assert_eq!(world.end().await, failed("not started within time limit"));

    let world = World::new(Behaviour::runs().exits(0));
    let gone = DockerError::Unreachable("no such socket".to_owned());
    world.engine.fail(Verb::Create, gone);
    world.create().await;
    assert_eq!(world.end().await, failed("not started within time limit"));
}

#[tokio::test(start_paused = true)]
async fn a_task_fails_if_the_daemon_refuses_or_loses_it() {
    let world = World::new(Behaviour::runs());
    let refusal = DockerError::Failed("no space left".to_owned());
    world.engine.fail_next(Verb::Start, refusal);
    world.create().await;
    let reason = "failed to create container: docker: no space left";
    assert_eq!(world.end().await, failed(reason));

    let world = World::new(Behaviour::runs());
    world.create().await;
    let id = world.until_running().await;
    world.engine.remove(&id).await.expect("removed");
    let reason = "cell disappeared before completion";
    assert_eq!(world.end().await, failed(reason));
}

#[tokio::test(start_paused = true)]
async fn the_container_of_a_deleted_task_is_removed_also_after_a_restart() {
    let mut world = World::new(Behaviour::runs());
    world.create().await;
    world.until_running().await;
    assert!(world.supervisor.shut_down(Duration::from_secs(1)).await);
    world.tasks.all().clear();
    world.start();
    for _ in 0..1000 {
        world.pass(Duration::from_secs(1)).await;
        if world.containers().await.is_empty() {
            return;
        }
    }
    panic!("it is still there");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_task_blocks_no_other_and_keeps_its_container() {
    let world = World::new(Behaviour::runs());
    world.create().await;
    world.until_running().await;
    let rename = |name: &str| {
        if let Some((task, ..)) = world.tasks.all().get_mut(&"t".into()) {
            name.clone_into(&mut task.name);
        }
    };
    rename("damaged");
    world.create_named("u", "no-environment").await;
    let failed = |guid: &str| {
        let all = world.tasks.all();
        all.get(&guid.into()).and_then(|(_, end, _)| end.clone())
    };
    for _ in 0..100 {
        world.pass(Duration::from_secs(1)).await;
    }
    let reason = "cannot read the task's configuration: database holds an invalid \
                  desired_tasks.environment: not JSON";
    assert_eq!(failed("u"), Some(TaskEnd::Failed(reason.to_owned())));
    assert_eq!(world.containers().await.len(), 1, "it goes on");
    assert_eq!(failed("t"), None);
    rename("migrate");
    world.cancel().await;
    assert_eq!(world.end().await, super::plan::canceled());
}
