//! From an app to the scheduler's input, with a real database.

#[path = "crash_tests.rs"]
mod crashes;
#[path = "damage_tests.rs"]
mod damage;

use std::sync::Arc;

use rusqlite::params;
use serde_json::{Value, json};

use crate::base::guid::{AppGuid, DropletGuid, ProcessGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::engines::scheduler::{AppObserver, DesiredApps};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::model::apps::{App, AppState};
use crate::cloud_controller::model::audit_events::{Actor, Cause, Recorder};
use crate::cloud_controller::model::processes::Scaling;
use crate::cloud_controller::payload::processes::ScaleProcess;
use crate::cloud_controller::permits::MayWrite;
use crate::cloud_controller::{actions, flows, model, payload};
use crate::db::{Db, DbError, ReadTx, Vault, WriteTx};
use crate::scheduler::{CheckKind, Crash, DesiredProcess, DesiredState, Observer, Wanted};

struct World {
    db: Db,
    vault: Vault,
    recorder: Recorder,
    snapshots: Snapshots,
    desired: Arc<DesiredApps>,
    _dir: tempfile::TempDir,
}

const SET_UP: &str = "
    insert into stacks (guid, name, is_default, created_at, updated_at) values ('st', 'cflinuxfs4', 1, 0, 0);
    insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'test', 0, 0);
    insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'org', 'q', 0, 0);
    insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 'dev', 'o', 0, 0);
    insert into domains (guid, name, created_at, updated_at) values ('dom', 'cf.localhost', 0, 0);";

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("cflite.db");
        let vault = Vault::open(&dir.path().join("key"), &path).expect("key");
        let db = Db::open(&path).expect("database");
        let images = Arc::new(|droplet: &DropletGuid, digest: &crate::blobs::Digest| {
            format!("127.0.0.1:5000/{droplet}@{digest}")
        });
        let world = Self {
            recorder: recorder(),
            snapshots: Snapshots {
                vault: vault.clone(),
                cf_api: "http://api.cf.localhost".to_owned(),
                log_revisions: true,
                proxy_variables: Arc::default(),
            },
            desired: Arc::new(DesiredApps::new(vault.clone(), images)),
            db,
            vault,
            _dir: dir,
        };
        world
            .write(|_, tx| Ok(tx.sql().execute_batch(SET_UP)?))
            .await;
        world
    }

    /// Runs a transaction that has to succeed.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tools, &WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        self.try_write(work).await.expect("write")
    }

    async fn try_write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tools, &WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tools = Tools {
            may: may(Recorder {
                actor: self.recorder.actor.clone(),
                now: self.recorder.now,
                guids: self.recorder.guids.clone(),
            }),
            vault: self.vault.clone(),
            snapshots: self.snapshots.clone(),
        };
        self.db.write(move |tx| work(&tools, tx)).await
    }

    async fn load(&self) -> Vec<DesiredProcess> {
        self.wanted().await.processes
    }

    async fn wanted(&self) -> Wanted {
        let desired = self.desired.clone();
        self.db
            .read(move |tx| desired.load(tx))
            .await
            .expect("load")
    }

    /// An app with a staged droplet that has a web and a worker process.
    async fn app(&self, name: &'static str) -> App {
        self.write(move |tools, tx| {
            let app = create(tools, tx, name)?;
            let droplet = add_droplet(tx, &app.guid, &json!({ "web": "serve", "worker": "work" }))?;
            flows::running::assign_droplet(tx, &tools.may, app, &droplet)
        })
        .await
    }

    async fn start(&self, app: &App) -> App {
        let app = app.clone();
        self.write(move |tools, tx| flows::running::start(tx, &tools.may, &tools.snapshots, app))
            .await
    }
}

struct Tools {
    may: MayWrite,
    vault: Vault,
    snapshots: Snapshots,
}

fn recorder() -> Recorder {
    let actor = Actor {
        guid: "u".to_owned(),
        kind: "user",
        name: "admin".to_owned(),
    };
    Recorder {
        actor,
        now: Timestamp::from_micros(1_000_000),
        guids: GuidSource::counted(),
    }
}

/// All apps here are in one space.
fn may(recorder: Recorder) -> MayWrite {
    MayWrite::of_platform(recorder, &"s".into())
}

fn body(value: Value) -> Body {
    match value {
        Value::Object(map) => Body::new(map),
        other => panic!("{other} is no object"),
    }
}

fn create(tools: &Tools, tx: &WriteTx<'_>, name: &str) -> Result<App> {
    let wanted = payload::apps::create(body(json!({
        "name": name,
        "environment_variables": { "COLOUR": "blue" },
        "relationships": { "space": { "data": { "guid": "s" } } },
    })))?;
    actions::apps::create(tx, &tools.may, &tools.vault, wanted, "cflinuxfs4")
}

fn add_droplet(tx: &WriteTx<'_>, app: &AppGuid, types: &Value) -> Result<DropletGuid> {
    let guid = DropletGuid::from(format!("droplet-of-{app}"));
    tx.sql().execute(
        "insert into droplets (guid, app_guid, state, lifecycle_type, process_types, image_digest, created_at, \
         updated_at) values (?1, ?2, 'STAGED', 'buildpack', ?3, ?4, 0, 0)",
        params![guid, app, types.to_string(), format!("sha256:{}", "a".repeat(64))],
    )?;
    Ok(guid)
}

fn value<'a>(process: &'a DesiredProcess, name: &str) -> &'a str {
    let found = process.environment.iter().rev().find(|(n, _)| n == name);
    found.map_or_else(|| panic!("{name} is not set"), |(_, value)| value)
}

fn scale(
    tx: &WriteTx<'_>,
    tools: &Tools,
    app: &App,
    (kind, wanted): (&str, Scaling),
) -> Result<()> {
    let process = model::processes::find_of_type(tx, &app.guid, kind)?;
    let process = process.ok_or_else(|| Error::not_found("Process"))?;
    let wanted = ScaleProcess {
        scaling: wanted,
        request: json!({}),
    };
    actions::processes::scale(tx, &tools.may, app, process, wanted, Cause::Request)?;
    Ok(())
}

fn instances(number: i64) -> Scaling {
    Scaling {
        instances: Some(number),
        ..Scaling::default()
    }
}

#[tokio::test]
async fn a_started_app_is_desired_with_everything_it_needs() {
    let world = World::new().await;
    let app = world.app("shop").await;
    assert!(
        world.load().await.is_empty(),
        "nothing runs before the start"
    );
    world.start(&app).await;
    let all = world.load().await;
    assert_eq!(all.len(), 1, "the worker has no instances");
    let web = &all[0];
    assert_eq!(web.process_guid.as_str(), app.guid.as_str());
    assert_eq!((web.instances, web.process_type.as_str()), (1, "web"));
    assert_eq!(web.command, ["/tmp/lifecycle/launcher", "app", "serve", ""]);
    assert_eq!(web.ports, [8080]);
    assert_eq!(web.health_check.kind, CheckKind::Port);
    assert_eq!(web.log_source_type, "APP/REV/1/PROC/WEB");
    assert!(
        web.image.starts_with("127.0.0.1:5000/droplet-of-"),
        "{}",
        web.image
    );
    assert_eq!(value(web, "COLOUR"), "blue");
    assert_eq!(value(web, "MEMORY_LIMIT"), "1024m");
    assert_eq!(value(web, "VCAP_SERVICES"), "{}");
    let about: Value = serde_json::from_str(value(web, "VCAP_APPLICATION")).expect("JSON");
    let expected = json!({
        "cf_api": "http://api.cf.localhost",
        "limits": { "fds": 16384, "mem": 1024, "disk": 1024 },
        "application_name": "shop",
        "application_uris": [],
        "name": "shop",
        "space_name": "dev",
        "space_id": "s",
        "organization_id": "o",
        "organization_name": "org",
        "uris": [],
        "process_id": app.guid,
        "process_type": "web",
        "application_id": app.guid,
        "version": web.version,
        "application_version": web.version,
    });
    assert_eq!(about, expected);
}

#[tokio::test]
async fn instances_change_at_once_and_everything_else_with_the_next_start() {
    let world = World::new().await;
    let app = world.app("shop").await;
    let app = world.start(&app).await;
    let before = world.load().await.remove(0);
    let changed = app.clone();
    world
        .write(move |tools, tx| {
            let wanted = Scaling {
                instances: Some(3),
                memory: Some(64),
                ..Scaling::default()
            };
            scale(tx, tools, &changed, ("web", wanted))?;
            scale(tx, tools, &changed, ("worker", instances(2)))?;
            let variables = json!({ "COLOUR": null, "SHAPE": "round" });
            let Value::Object(variables) = variables else {
                unreachable!("an object")
            };
            actions::apps::update_environment(
                tx,
                &tools.may,
                &tools.vault,
                changed,
                variables,
                Cause::Request,
            )
        })
        .await;
    let after = world.load().await;
    let web = after.iter().find(|p| p.process_type == "web").expect("web");
    assert_eq!((web.instances, &web.version), (3, &before.version));
    assert_eq!(
        (web.memory, &web.environment),
        (before.memory, &before.environment)
    );
    let worker = after
        .iter()
        .find(|p| p.process_type == "worker")
        .expect("worker");
    assert_eq!(
        (worker.instances, &worker.health_check.kind),
        (2, &CheckKind::Process)
    );

    let app = apps_find(&world, &app.guid).await;
    let again = app.clone();
    world
        .write(move |tools, tx| flows::running::restart(tx, &tools.may, &tools.snapshots, again))
        .await;
    let restarted = world.load().await;
    let web = restarted
        .iter()
        .find(|p| p.process_type == "web")
        .expect("web");
    assert_ne!(web.version, before.version);
    assert_eq!(web.memory.0, 64);
    assert_eq!(value(web, "SHAPE"), "round");
    assert!(web.environment.iter().all(|(name, _)| name != "COLOUR"));
}

#[tokio::test]
async fn a_second_start_replaces_nothing_and_a_stop_ends_all() {
    let world = World::new().await;
    let app = world.app("shop").await;
    let app = world.start(&app).await;
    let version = world.load().await.remove(0).version;
    let app = world.start(&app).await;
    assert_eq!(world.load().await.remove(0).version, version);
    let stopping = app.clone();
    let app = world
        .write(move |tools, tx| flows::running::stop(tx, &tools.may, stopping))
        .await;
    assert_eq!(app.state, AppState::Stopped);
    assert!(world.load().await.is_empty());
    world.start(&app).await;
    assert_ne!(world.load().await.remove(0).version, version);
}

#[tokio::test]
async fn deleting_leaves_nothing_behind() {
    let world = World::new().await;
    let app = world.app("shop").await;
    let app = world.start(&app).await;
    let gone = app.clone();
    world
        .write(move |tools, tx| flows::deletion::app(tx, &tools.may, &gone))
        .await;
    assert!(world.load().await.is_empty());
    let left: i64 = world
        .db
        .read(|tx| {
            let sql = "select (select count(*) from apps) + (select count(*) from processes) \
                       + (select count(*) from droplets) + (select count(*) from desired_processes)";
            tx.sql().query_row(sql, [], |row| row.get(0)).map_err(DbError::from)
        })
        .await
        .expect("count");
    assert_eq!(left, 0);
    assert_eq!(
        events(&world, &app.guid)
            .await
            .last()
            .map(|(kind, _)| kind.as_str()),
        Some("audit.app.delete-request")
    );
}

#[tokio::test]
async fn what_exceeds_the_quota_is_not_started() {
    let world = World::new().await;
    let app = world.app("shop").await;
    world
        .write(|_, tx| {
            tx.sql().execute(
                "update organization_quotas set total_memory_in_mb = 2047 where guid = 'q'",
                [],
            )?;
            Ok(())
        })
        .await;
    let app = world.start(&app).await;
    let more = app.clone();
    let refused = world
        .try_write(move |tools, tx| scale(tx, tools, &more, ("web", instances(2))))
        .await;
    assert_eq!(
        refused.expect_err("too much").detail(),
        "memory quota_exceeded"
    );
    assert_eq!(
        world.load().await.remove(0).instances,
        1,
        "the change was rolled back"
    );
    let other = world.app("other").await;
    let refused = world
        .try_write(move |tools, tx| flows::running::start(tx, &tools.may, &tools.snapshots, other))
        .await;
    assert_eq!(
        refused.expect_err("too much").detail(),
        "memory quota_exceeded"
    );
    assert_eq!(world.load().await.len(), 1);
}

#[tokio::test]
async fn an_environment_is_not_readable_in_the_database() {
    let world = World::new().await;
    let app = world.app("shop").await;
    world.start(&app).await;
    let stored: Vec<Vec<u8>> = world
        .db
        .read(|tx| {
            let sql = "select environment_variables from apps union all select environment from desired_processes";
            let mut statement = tx.sql().prepare(sql)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>().map_err(DbError::from)
        })
        .await
        .expect("read");
    assert_eq!(stored.len(), 3);
    assert!(
        stored
            .iter()
            .all(|sealed| !sealed.windows(4).any(|w| w == b"blue"))
    );
}

#[tokio::test]
async fn a_pass_reads_what_is_started_however_many_apps_there_are() {
    let world = World::new().await;
    let app = world.app("shop").await;
    world.start(&app).await;
    let plan: Vec<String> = world
        .db
        .read(|tx| {
            let mut statement = tx
                .sql()
                .prepare(&format!("explain query plan {}", model::desired::STARTED))?;
            let rows = statement.query_map([], |row| row.get(3))?;
            rows.collect::<rusqlite::Result<_>>().map_err(DbError::from)
        })
        .await
        .expect("plan");
    assert_eq!(plan[0], "SCAN d");
    assert!(
        plan[1..].iter().all(|step| step.starts_with("SEARCH ")),
        "{plan:?}"
    );
}

async fn apps_find(world: &World, guid: &AppGuid) -> App {
    let guid = guid.clone();
    let found = world
        .db
        .read(move |tx: &ReadTx<'_>| model::apps::find(tx, &guid))
        .await;
    found.expect("read").expect("app")
}

async fn events(world: &World, app: &AppGuid) -> Vec<(String, Value)> {
    let app = app.to_string();
    world
        .db
        .read(move |tx| {
            let sql = "select type, data from audit_events where target_guid = ?1 order by id";
            let mut statement = tx.sql().prepare(sql)?;
            let rows = statement.query_map([app], |row| {
                let data: String = row.get(1)?;
                Ok((row.get(0)?, serde_json::from_str(&data).expect("JSON")))
            })?;
            rows.collect::<rusqlite::Result<_>>().map_err(DbError::from)
        })
        .await
        .expect("events")
}
