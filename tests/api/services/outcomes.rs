//! Faults of brokers: what is undone, what is not, and what a restart resumes.

use std::time::Duration;

use cflite::testing::{Answer, TestApp};
use serde_json::json;

use super::broker::Reply;
use super::{World, binding, complete, failure, job};

const BINDINGS: &str = "/v3/service_credential_bindings";

/// Makes an instance that the broker answers like this; its job once it is over.
async fn provision(world: &World, name: &str, reply: Reply) -> Answer {
    world.broker.script("provision", [reply]);
    let wanted = world.wanted(name, &world.small);
    let made = world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    job(&world.admin, &made).await
}

/// Every answer to a provision request, and whether an orphan is undone.
#[tokio::test]
async fn an_orphaned_instance_is_undone() {
    let world = World::new().await;
    let rows = [
        ("created", Reply::Json(201, json!({})), true, false),
        ("ok", Reply::Json(200, json!({})), true, false),
        ("ok with text", Reply::Text(200, "fine"), false, false),
        ("created with text", Reply::Text(201, "fine"), false, true),
        ("other success", Reply::Json(204, json!({})), false, true),
        ("redirect", Reply::Json(307, json!({})), false, true),
        (
            "bad request",
            Reply::Json(400, json!({ "description": "bad" })),
            false,
            false,
        ),
        ("unauthorized", Reply::Json(401, json!({})), false, false),
        ("timeout", Reply::Json(408, json!({})), false, false),
        (
            "conflict",
            Reply::Json(409, json!({ "description": "taken" })),
            false,
            false,
        ),
        ("gone", Reply::Json(410, json!({})), false, true),
        (
            "app required",
            Reply::Json(422, json!({ "error": "RequiresApp" })),
            false,
            true,
        ),
        (
            "async required",
            Reply::Json(422, json!({ "error": "AsyncRequired" })),
            false,
            false,
        ),
        (
            "concurrent",
            Reply::Json(422, json!({ "error": "ConcurrencyError" })),
            false,
            false,
        ),
        (
            "error",
            Reply::Json(500, json!({ "description": "down" })),
            false,
            true,
        ),
        ("unavailable", Reply::Json(503, json!({})), false, true),
        ("cut off", Reply::CutOff, false, true),
    ];
    let mut undone = 0;
    for (at, (what, reply, made, orphan)) in rows.into_iter().enumerate() {
        let job = provision(&world, &format!("i{at}"), reply).await;
        let state = if made { "COMPLETE" } else { "FAILED" };
        assert_eq!(job.text("/state"), state, "{what}: {job:?}");
        assert!(!job.body.to_string().contains("hunter2"));
        undone += usize::from(orphan);
        world
            .until(what, async || {
                world.broker.got("deprovision").len() >= undone
            })
            .await;
        let guid = world.found(&format!("i{at}")).await;
        let shown = world.shown(&guid).await;
        let state = if made { "succeeded" } else { "failed" };
        assert_eq!(shown.text("/last_operation/state"), state, "{what}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        world.broker.got("deprovision").len(),
        undone,
        "no more than these"
    );
}

/// The same for binding requests.
#[tokio::test]
async fn an_orphaned_binding_is_undone() {
    let world = World::new().await;
    let mine = world.instance("mine").await;
    let rows = [
        ("ok", Reply::Json(200, json!({})), true, false),
        ("ok with text", Reply::Text(200, "fine"), false, false),
        ("created with text", Reply::Text(201, "fine"), false, true),
        ("bad request", Reply::Json(400, json!({})), false, false),
        ("conflict", Reply::Json(409, json!({})), false, false),
        (
            "app required",
            Reply::Json(422, json!({ "error": "RequiresApp" })),
            false,
            false,
        ),
        ("error", Reply::Json(500, json!({})), false, true),
        ("cut off", Reply::CutOff, false, true),
    ];
    let mut undone = 0;
    for (at, (what, reply, made, orphan)) in rows.into_iter().enumerate() {
        world.broker.script("bind", [reply]);
        let mut body = binding(&mine, None);
        body["name"] = json!(format!("key{at}"));
        let bound = world.admin.post(BINDINGS, &body).await.unwrap();
        let job = job(&world.admin, &bound).await;
        let state = if made { "COMPLETE" } else { "FAILED" };
        assert_eq!(job.text("/state"), state, "{what}: {job:?}");
        undone += usize::from(orphan);
        world
            .until(what, async || world.broker.got("unbind").len() >= undone)
            .await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        world.broker.got("unbind").len(),
        undone,
        "no more than these"
    );
}

#[tokio::test]
async fn undoing_is_tried_again_and_survives_a_restart() {
    let world = World::new().await;
    world
        .broker
        .script("deprovision", [Reply::Json(500, json!({}))]);
    provision(&world, "lost", Reply::Json(500, json!({}))).await;
    world
        .until("tried", async || {
            !world.broker.got("deprovision").is_empty()
        })
        .await;
    let World { app, broker, .. } = world;
    let app = app.restart().await.unwrap();
    broker.script("deprovision", [Reply::Json(200, json!({}))]);
    let before = broker.got("deprovision").len();
    let started = std::time::Instant::now();
    while broker.got("deprovision").len() == before {
        assert!(started.elapsed() < super::PATIENCE, "never undone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left = app
        .count("select count(*) from service_operations")
        .await
        .unwrap();
    assert_eq!(left, 0, "nothing is left to do");
}

/// Waits until the last operation on the instance `mine` is over, like this.
async fn ended(app: &TestApp, state: &str) {
    let admin = app.admin().await.unwrap();
    let started = std::time::Instant::now();
    loop {
        let list = admin.get("/v3/service_instances?names=mine").await.unwrap();
        let shown = list.text("/resources/0/last_operation/state");
        if matches!(shown, "succeeded" | "failed") {
            assert_eq!(shown, state, "{list:?}");
            return;
        }
        assert!(started.elapsed() < super::PATIENCE, "{list:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A platform that dies while a broker answers asks again: brokers must take that.
#[tokio::test]
async fn a_restart_asks_again() {
    let world = World::new().await;
    let hang = Duration::from_secs(40);
    world
        .broker
        .script("provision", [Reply::Slow(hang, 201, json!({}))]);
    let wanted = world.wanted("mine", &world.small);
    world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    world
        .until("asked", async || !world.broker.got("provision").is_empty())
        .await;
    let World { app, broker, .. } = world;
    broker.script("provision", [Reply::Json(200, json!({}))]);
    let app = app.restart().await.unwrap();
    ended(&app, "succeeded").await;
    let asked = broker.got("provision");
    assert_eq!(asked.len(), 2);
    assert_eq!(
        (&asked[0].path, &asked[0].body),
        (&asked[1].path, &asked[1].body),
        "the same"
    );
}

/// What the broker was asked before is what it is busy with.
#[tokio::test]
async fn a_restart_waits_for_a_broker_that_is_busy_with_the_same() {
    let world = World::new().await;
    let mine = world.instance("mine").await;
    let hang = Duration::from_secs(40);
    world
        .broker
        .script("update", [Reply::Slow(hang, 202, json!({}))]);
    let path = format!("/v3/service_instances/{mine}");
    let change = json!({ "parameters": { "size": 2 } });
    world.admin.patch(&path, &change).await.unwrap();
    world
        .until("asked", async || !world.broker.got("update").is_empty())
        .await;
    let World { app, broker, .. } = world;
    let busy = Reply::Json(422, json!({ "error": "ConcurrencyError" }));
    broker.script("update", [busy.clone(), busy, Reply::Json(200, json!({}))]);
    let app = app.restart().await.unwrap();
    ended(&app, "succeeded").await;
    assert_eq!(broker.got("update").len(), 4);
}

/// Whatever is said of the second request: the first may have been done.
#[tokio::test]
async fn an_instance_asked_for_twice_is_undone_when_it_fails() {
    let world = World::new().await;
    let hang = Duration::from_secs(40);
    world
        .broker
        .script("provision", [Reply::Slow(hang, 201, json!({}))]);
    let wanted = world.wanted("mine", &world.small);
    world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    world
        .until("asked", async || !world.broker.got("provision").is_empty())
        .await;
    let World { app, broker, .. } = world;
    broker.script("provision", [Reply::Json(400, json!({}))]);
    let app = app.restart().await.unwrap();
    ended(&app, "failed").await;
    let started = std::time::Instant::now();
    while broker.got("deprovision").is_empty() {
        assert!(started.elapsed() < super::PATIENCE, "never undone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn older_brokers_are_spoken_to_in_their_version() {
    let world = World::new().await;
    world.broker.script(
        "provision",
        [Reply::Json(412, json!({})), Reply::Json(201, json!({}))],
    );
    let wanted = world.wanted("mine", &world.small);
    let made = world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    complete(&world.admin, &made).await;
    let versions: Vec<_> = world
        .broker
        .got("provision")
        .iter()
        .map(|got| got.headers["x-broker-api-version"].clone())
        .collect();
    assert_eq!(versions, ["2.17", "2.15"]);
}

#[tokio::test]
async fn a_failed_update_or_delete_leaves_the_instance() {
    let world = World::new().await;
    let mine = world.instance("mine").await;
    let path = format!("/v3/service_instances/{mine}");
    for reply in [
        Reply::CutOff,
        Reply::Json(500, json!({})),
        Reply::Json(422, json!({ "error": "AsyncRequired" })),
    ] {
        world.broker.script("update", [reply.clone()]);
        let changed = world
            .admin
            .patch(&path, &json!({ "parameters": { "a": 1 } }))
            .await
            .unwrap();
        failure(&world.admin, &changed).await;
        world.broker.script("deprovision", [reply]);
        let gone = world.admin.delete(&path).await.unwrap();
        failure(&world.admin, &gone).await;
        assert_eq!(
            world.shown(&mine).await.text("/last_operation/state"),
            "failed"
        );
    }
    world.broker.unscript();
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
}

#[tokio::test]
async fn retry_after_is_kept() {
    let world = World::new().await;
    world
        .broker
        .script("provision", [Reply::Json(202, json!({}))]);
    let busy = json!({ "state": "in progress" });
    world.broker.script(
        "poll",
        [
            Reply::RetryAfter(200, busy, "3"),
            Reply::Json(200, json!({ "state": "succeeded" })),
        ],
    );
    let wanted = world.wanted("mine", &world.small);
    let started = std::time::Instant::now();
    let made = world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    complete(&world.admin, &made).await;
    assert!(
        started.elapsed() >= Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}
