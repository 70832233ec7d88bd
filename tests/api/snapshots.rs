//! Snapshots of a running platform, and the platform put back to them.

use std::path::Path;
use std::sync::Arc;

use cflite::base::SystemClock;
use cflite::config::{Config, Options};
use cflite::docker::{DockerError, Engine, FakeEngine, FakeFile, Labels, Upload, Verb};
use cflite::platform;
use cflite::snapshots::Name;
use cflite::snapshots::archive::{Source, Target};
use cflite::testing::TestApp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::data_services::World;

async fn snapshot(app: &TestApp, name: &str) -> (StatusCode, Value) {
    let request = reqwest::Client::new()
        .post(format!(
            "{}/cflite/snapshots?name={name}",
            app.registry_url()
        ))
        .basic_auth("admin", Some("only-for-tests"));
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn made(app: &TestApp, name: &str) -> Value {
    let (status, body) = snapshot(app, name).await;
    assert_eq!(status, 201, "{body}");
    body
}

/// Writes a file into the volume of a service.
async fn store(world: &World, guid: &str, text: &'static str) {
    let container = world.container_of(guid).await;
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_uid(101);
    header.set_gid(102);
    tar.append_data(&mut header, "data/note", text.as_bytes())
        .unwrap();
    let upload = Upload {
        folder: "/".to_owned(),
        tar: Box::pin(std::io::Cursor::new(tar.into_inner().unwrap())),
    };
    world.app.engine().upload(&container, upload).await.unwrap();
}

async fn stored(app: &TestApp, guid: &str) -> Option<FakeFile> {
    let all = app.engine().list(&Labels::new()).await.unwrap();
    let ending = format!("-service-{guid}");
    let container = all.into_iter().find(|one| one.name.ends_with(&ending))?;
    app.engine().file(&container.id, "/data/note")
}

async fn volumes(app: &TestApp) -> usize {
    app.engine().volume_names("cflite-").await.unwrap().len()
}

async fn organizations(app: &TestApp) -> Vec<String> {
    let admin = app.admin().await.unwrap();
    let found = admin.get("/v3/organizations?order_by=name").await.unwrap();
    let all = found.body["resources"].as_array().unwrap().iter();
    all.map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn create_organization(app: &TestApp, name: &str) {
    let admin = app.admin().await.unwrap();
    let body = json!({ "name": name });
    let made = admin.post("/v3/organizations", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn a_platform_comes_back_as_it_was() {
    let world = World::new().await;
    world.provision("i").await;
    store(&world, "i", "before").await;
    create_organization(&world.app, "kept").await;
    let manifest = made(&world.app, "one").await;
    assert_eq!(manifest["volumes"][0]["instance_guid"], "i");
    let container = world.container_of("i").await;
    let found = world.app.engine().inspect(&container).await.unwrap();
    assert!(!found.unwrap().frozen, "it goes on");

    store(&world, "i", "after").await;
    world.provision("later").await;
    create_organization(&world.app, "lost").await;
    let World { app, .. } = world;
    let before = volumes(&app).await;
    let app = app.rewind("one").await.unwrap();
    assert_eq!(organizations(&app).await, ["kept"]);
    eventually("the service runs again", async || {
        stored(&app, "i").await.is_some()
    })
    .await;
    let note = stored(&app, "i").await.unwrap();
    assert_eq!(note.content, "before");
    assert_eq!((note.mode, note.uid, note.gid), (0o600, 101, 102));
    assert_eq!(volumes(&app).await, before - 1, "one was made later");
    let left = app.engine().list(&Labels::new()).await.unwrap();
    let helpers = left.iter().filter(|one| one.name.contains("-volume-"));
    assert_eq!(helpers.count(), 0, "helpers are removed");

    // Snapshots are no part of what is put back.
    made(&app, "two").await;
    let app = app.rewind("one").await.unwrap();
    let app = app.rewind("two").await.unwrap();
    assert_eq!(organizations(&app).await, ["kept"]);
}

#[tokio::test]
async fn a_rewind_that_was_cut_off_is_ended_by_the_next_start() {
    let world = World::new().await;
    world.provision("i").await;
    store(&world, "i", "before").await;
    made(&world.app, "one").await;
    store(&world, "i", "after").await;
    create_organization(&world.app, "lost").await;
    let fault = DockerError::Failed("no space left on device".to_owned());
    world.app.engine().fail_next(Verb::Upload, fault);
    let World { app, .. } = world;
    let (app, failed) = app.try_rewind("one").await.unwrap();
    let failed = failed.expect_err("it failed");
    assert!(failed.to_string().contains("no space left"), "{failed}");
    assert!(!app.data_dir().join("rewinding.json").exists());
    assert_eq!(organizations(&app).await, Vec::<String>::new());
    eventually("the service runs again", async || {
        let note = stored(&app, "i").await;
        note.is_some_and(|note| note.content == "before")
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_made_leaves_nothing() {
    let world = World::new().await;
    world.provision("i").await;
    for name in ["", "..", "a/b", "-x", "a%20b"] {
        let (status, body) = snapshot(&world.app, name).await;
        assert_eq!(status, 422, "{name}: {body}");
    }
    let fault = DockerError::Failed("it broke".to_owned());
    world.app.engine().fail_next(Verb::Download, fault);
    let (status, body) = snapshot(&world.app, "one").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["errors"][0]["message"], "docker: it broke");
    let container = world.container_of("i").await;
    let found = world.app.engine().inspect(&container).await.unwrap();
    assert!(!found.unwrap().frozen, "it goes on");
    made(&world.app, "one").await;
    let (status, body) = snapshot(&world.app, "one").await;
    assert_eq!(status, 409, "{body}");
    let anonymous = reqwest::Client::new()
        .post(format!(
            "{}/cflite/snapshots?name=two",
            world.app.registry_url()
        ))
        .send()
        .await;
    assert_eq!(anonymous.unwrap().status(), 401);
    let folders = std::fs::read_dir(world.app.data_dir().join("snapshots")).unwrap();
    assert_eq!(folders.count(), 1);
}

#[tokio::test]
async fn a_service_that_was_left_frozen_goes_on() {
    use cflite::docker::Freeze;
    let world = World::new().await;
    world.provision("i").await;
    let container = world.container_of("i").await;
    let frozen = world.app.engine().freeze(&container, Freeze::Begin).await;
    frozen.unwrap();
    eventually("it goes on", async || {
        let found = world.app.engine().inspect(&container).await.unwrap();
        found.is_some_and(|found| found.is_running() && !found.frozen)
    })
    .await;
}

async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let source = Source {
        file,
        passphrase: None,
        progress: &|_, _| (),
    };
    let engine = Arc::new(FakeEngine::new(Arc::new(SystemClock)));
    let restored = platform::snapshots::restore(config, engine, &source, &|_| ());
    restored.await.map(drop)
}

#[tokio::test]
async fn a_backup_is_restored_with_another_domain() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    for name in ["team.cf.localhost", "notcf.localhost", "shop.example"] {
        let made = admin.post("/v3/domains", &json!({ "name": name })).await;
        assert_eq!(made.unwrap().status, 201, "{name}");
    }
    create_organization(&app, "kept").await;
    made(&app, "one").await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("backup");
    let target = Target {
        file: &file,
        passphrase: None,
        progress: &|_, _| (),
    };
    let name = Name::parse("one").unwrap();
    target.write(app.data_dir(), &name).unwrap();

    let data_dir = tempfile::tempdir().unwrap();
    let options = Options {
        data_dir: Some(data_dir.path().to_owned()),
        domain: Some("other.localhost".to_owned()),
        ..Options::default()
    };
    let config = options.clone().resolve().unwrap();
    let wrong = place.path().join("wrong");
    std::fs::write(&wrong, "no backup").unwrap();
    let refused = restore(&config, &wrong).await.unwrap_err().to_string();
    assert!(refused.contains("it is no backup of cflite"), "{refused}");
    let left = std::fs::read_dir(data_dir.path()).unwrap().count();
    assert_eq!(left, 0, "it leaves the folder as it was");
    restore(&config, &file).await.unwrap();
    let again = restore(&config, &file).await.unwrap_err().to_string();
    assert!(again.contains("there is a platform in"), "{again}");

    let options = Options {
        data_dir: None,
        ..options
    };
    let other = TestApp::start_on(data_dir, options).await.unwrap();
    assert_eq!(organizations(&other).await, ["kept"]);
    let admin = other.admin().await.unwrap();
    let found = admin.get("/v3/domains").await.unwrap();
    let mut names: Vec<&str> = { found.body["resources"].as_array().unwrap().iter() }
        .map(|domain| domain["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        "apps.internal",
        "notcf.localhost",
        "other.localhost",
        "shop.example",
        "tcp.other.localhost",
        "team.other.localhost",
    ];
    assert_eq!(names, expected);
}
