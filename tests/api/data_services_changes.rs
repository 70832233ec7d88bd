//! Data services that change while the daemon or the service itself gives trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cflite::docker::{DockerError, Verb};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::data_services::{Answer, REDIS, World, wanted, with};

const POSTGRESQL: (&str, &str) = (
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0001",
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0011",
);
const MARIADB: (&str, &str) = (
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0002",
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0021",
);
const RABBITMQ: (&str, &str) = (
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0004",
    "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0041",
);
const SMALL_REDIS: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0031";
const PATH: &str = "/service_instances/i?accepts_incomplete=true";

/// A service of another offering that is ready; the answer to its creation.
async fn provisioned(world: &World, (offering, plan): (&str, &str)) -> Answer {
    let body = with(wanted(), "service_id", json!(offering));
    let asked = world.put(PATH, &with(body, "plan_id", json!(plan))).await;
    assert!(matches!(asked.status.as_u16(), 201 | 202), "{asked:?}");
    world.until("i", "succeeded").await;
    asked
}

async fn update(world: &World, offering: &str, parameters: Value) -> Answer {
    let body = json!({ "service_id": offering, "parameters": parameters });
    world.ask(Method::PATCH, PATH, Some(&body)).await
}

/// What is asked while the daemon does not answer, which it does again later.
async fn asked_in_trouble(world: &World, asked: impl Future<Output = Answer>) -> Answer {
    let gone = DockerError::Unreachable("it is busy".to_owned());
    world.app.engine().fail(Verb::Exec, gone);
    let heal = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.app.engine().heal();
    };
    tokio::join!(asked, heal).0
}

#[tokio::test]
async fn a_user_comes_and_goes_though_the_daemon_is_slow_to_answer() {
    let world = World::new().await;
    world.provision("i").await;
    let path = "/service_instances/i/service_bindings/b";
    let ids = json!({ "service_id": REDIS, "plan_id": SMALL_REDIS });
    let bound = asked_in_trouble(&world, world.put(path, &ids)).await;
    assert_eq!(bound.status, StatusCode::CREATED, "{bound:?}");
    let user = bound.body["credentials"]["username"].as_str().unwrap();
    let last = || {
        let commands = world.app.engine().commands().into_iter();
        let mut of_users = commands.filter(|command| command.input.starts_with("ACL "));
        of_users.next_back().unwrap().input
    };
    assert!(last().starts_with(&format!("ACL SETUSER {user} ")));

    let query = format!("{path}?service_id={REDIS}&plan_id={SMALL_REDIS}");
    let unbound = asked_in_trouble(&world, world.ask(Method::DELETE, &query, None)).await;
    assert_eq!(unbound.status, StatusCode::OK, "{unbound:?}");
    assert!(last().starts_with(&format!("ACL DELUSER {user}\n")));
    assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_binding_whose_user_could_not_be_removed_is_not_forgotten() {
    let world = World::new().await;
    world.provision("i").await;
    let path = "/service_instances/i/service_bindings/b";
    let ids = json!({ "service_id": REDIS, "plan_id": SMALL_REDIS });
    assert_eq!(world.put(path, &ids).await.status, StatusCode::CREATED);
    let query = format!("{path}?service_id={REDIS}&plan_id={SMALL_REDIS}");
    let unbind = async || world.ask(Method::DELETE, &query, None).await;
    world.app.engine().program("redis-cli", |input| {
        let refused = input.starts_with("ACL DELUSER ");
        (i64::from(refused), "PONG\nOK\nOK\n".to_owned())
    });
    let failed = asked_in_trouble(&world, unbind()).await;
    assert_eq!(failed.status, 500, "{failed:?}");
    // The next one knows of the first.
    let failed = unbind().await;
    assert_eq!(failed.status, 500, "{failed:?}");
    let last = format!("{path}/last_operation?service_id={REDIS}&plan_id={SMALL_REDIS}");
    let known = world.get(&last).await;
    assert_eq!(known.status, StatusCode::OK, "{known:?}");

    let works = |_: &str| (0, "PONG\nOK\nOK\n".to_owned());
    world.app.engine().program("redis-cli", works);
    let unbound = unbind().await;
    assert_eq!(unbound.status, StatusCode::OK, "{unbound:?}");
    assert_eq!(world.get(&last).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn the_administrator_gets_another_password() {
    let mut world = World::new().await;
    world.provision("i").await;
    let password = async |world: &World| {
        let container = world.container_of("i").await;
        let file = world.app.engine().file(&container, "/run/secrets/admin");
        (container, file.unwrap().content)
    };
    let (container, first) = password(&world).await;
    let on_create = json!({ "rotate_admin": true });
    let body = with(wanted(), "parameters", on_create.clone());
    let refused = world
        .put("/service_instances/j?accepts_incomplete=true", &body)
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");

    let changed = update(&world, REDIS, on_create).await;
    assert!(changed.status.is_success(), "{changed:?}");
    world.until("i", "succeeded").await;
    let (renewed, second) = password(&world).await;
    assert_ne!(renewed, container);
    assert_ne!(second, first);
    let shown = world.get("/service_instances/i").await;
    assert_eq!(shown.body["parameters"], json!({}), "it is done once");

    world.app = world.app.restart().await.unwrap();
    world.base = world.app.broker().await.unwrap().0;
    let changed = update(&world, REDIS, json!({ "recreate": true })).await;
    assert!(changed.status.is_success(), "{changed:?}");
    world.until("i", "succeeded").await;
    assert_eq!(password(&world).await.1, second, "it is on record");
}

#[tokio::test]
async fn an_administrator_without_a_password_gets_none() {
    let world = World::new().await;
    provisioned(&world, POSTGRESQL).await;
    let refused = update(&world, POSTGRESQL.0, json!({ "rotate_admin": true })).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let text = refused.body["description"].as_str().unwrap();
    assert!(text.contains("its administrator has no password"), "{text}");
}

#[tokio::test]
async fn a_service_with_a_page_tells_its_address() {
    let world = World::new().await;
    // Users are made and removed with this.
    world
        .app
        .engine()
        .program("curl", |_| (0, "gone".to_owned()));
    let made = provisioned(&world, RABBITMQ).await;
    let shown = world.get("/service_instances/i").await;
    let url = shown.body["dashboard_url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    if made.status == StatusCode::CREATED {
        assert_eq!(made.body["dashboard_url"], url);
    }
    let ids = json!({ "service_id": RABBITMQ.0, "plan_id": RABBITMQ.1 });
    let path = "/service_instances/i/service_bindings/b";
    let bound = world.put(path, &ids).await;
    assert_eq!(bound.body["credentials"]["dashboard_url"], url, "{bound:?}");

    world.provision("redis").await;
    let shown = world.get("/service_instances/redis").await;
    // Not null: the platform takes none from a broker, and then shows no parameters.
    assert_eq!(shown.body.get("dashboard_url"), None, "{shown:?}");
}

/// The words of the command that replaces all data.
const REPLACES: &str = "DROP DATABASE IF EXISTS db";

/// A database that tells the number of the dump in each, of which the first is a backup on record: its id.
async fn with_a_backup(world: &World) -> String {
    let dumps = AtomicUsize::new(0);
    world.app.engine().program("mariadb-dump", move |_| {
        let number = dumps.fetch_add(1, Ordering::Relaxed) + 1;
        (0, format!("dump {number}\n"))
    });
    provisioned(world, MARIADB).await;
    let changed = update(world, MARIADB.0, json!({ "backup": "now" })).await;
    assert!(changed.status.is_success(), "{changed:?}");
    world.until("i", "succeeded").await;
    let admin = world.app.admin().await.unwrap();
    let operator = admin.at(&world.app.registry_url());
    let listed = operator.get("/cflite/data_services/backups").await.unwrap();
    listed.text("/backups/0/guid").to_owned()
}

/// What the service was given to replace its data, in order.
fn replaced(world: &World) -> Vec<String> {
    let commands = world.app.engine().commands().into_iter();
    let loads = commands.filter(|command| command.words.join(" ").contains(REPLACES));
    loads.map(|command| command.input).collect()
}

#[tokio::test]
async fn a_load_that_fails_half_way_leaves_the_data_of_before() {
    let world = World::new().await;
    let backup = with_a_backup(&world).await;
    let loads = Arc::new(AtomicUsize::new(0));
    world.app.engine().program(REPLACES, move |_| {
        let first = loads.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            (1, "no".to_owned())
        } else {
            (0, String::new())
        }
    });
    let asked = update(&world, MARIADB.0, json!({ "restore": backup })).await;
    assert!(asked.status.is_success(), "{asked:?}");
    world.until("i", "failed").await;
    let told = world.get("/service_instances/i/last_operation").await;
    let text = told.body["description"].as_str().unwrap();
    assert!(text.ends_with("the data are as they were before"), "{text}");
    assert_eq!(replaced(&world), ["dump 1\n", "dump 2\n"]);
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_not_loaded() {
    let world = World::new().await;
    let backup = with_a_backup(&world).await;
    world
        .app
        .engine()
        .program("Dump completed", |_| (1, String::new()));
    let asked = update(&world, MARIADB.0, json!({ "restore": backup })).await;
    assert!(asked.status.is_success(), "{asked:?}");
    world.until("i", "failed").await;
    assert_eq!(replaced(&world), Vec::<String>::new());
}

#[tokio::test]
async fn a_load_that_was_cut_off_keeps_the_backup_of_before() {
    let mut world = World::new().await;
    let backup = with_a_backup(&world).await;
    // What there is now is saved, and nothing that is done then gets through before the platform ends.
    let engine = world.app.engine().clone();
    world.app.engine().program("mariadb-dump", move |_| {
        engine.stall(Verb::Exec);
        (0, "dump of before\n".to_owned())
    });
    let asked = update(&world, MARIADB.0, json!({ "restore": backup })).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let made = "select count(*) from data_service_backups where reason = 'before a restore'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.app.count(made).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "no backup was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.app = world.app.restart().await.unwrap();
    world.base = world.app.broker().await.unwrap().0;
    world.app.engine().heal();
    world.until("i", "succeeded").await;
    assert_eq!(world.app.count(made).await.unwrap(), 1);
    assert_eq!(replaced(&world), ["dump 1\n"]);
}

#[tokio::test]
async fn operators_are_told_what_is_missing_and_what_does_not_answer() {
    let world = World::new().await;
    world.provision("i").await;
    let admin = world.app.admin().await.unwrap();
    let operator = admin.at(&world.app.registry_url());
    let status = async |path: &str| {
        let path = format!("/cflite/data_services{path}");
        operator.get(&path).await.unwrap().status
    };
    assert_eq!(status("/i").await, StatusCode::OK);
    for unknown in ["/j", "/backups/j", "/backups/j/download"] {
        assert_eq!(status(unknown).await, StatusCode::NOT_FOUND, "{unknown}");
    }
    let path = "/cflite/data_services/backups/j";
    let deleted = operator.delete(path).await.unwrap();
    assert_eq!(deleted.status, StatusCode::NOT_FOUND);

    let gone = DockerError::Unreachable("it is busy".to_owned());
    world.app.engine().fail(Verb::Inspect, gone);
    assert_eq!(status("/i").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("").await, StatusCode::SERVICE_UNAVAILABLE);
    world.app.engine().heal();
    assert_eq!(status("").await, StatusCode::OK);

    let hide = "alter table data_service_backups rename to hidden";
    world.app.sql(hide).await.unwrap();
    for path in ["/backups", "/backups/j"] {
        let status = status(path).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

#[tokio::test]
async fn operators_read_what_is_stored_without_measuring_it_again() {
    let mut world = World::new().await;
    world
        .app
        .engine()
        .program("du -sk", |_| (0, "2049\t/data\n".to_owned()));
    world.provision("i").await;
    // What runs is measured first.
    world.app = world.app.restart().await.unwrap();
    let admin = world.app.admin().await.unwrap();
    let operator = admin.at(&world.app.registry_url());
    let used = async || {
        let path = "/cflite/data_services/i";
        let shown = operator.get(path).await.unwrap();
        assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
        shown.body["storage_used_mb"].clone()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while used().await.is_null() {
        assert!(Instant::now() < deadline, "it was never measured");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.app.engine().stall(Verb::Exec);
    assert_eq!(used().await, 3);
    world.app.engine().heal();
}
