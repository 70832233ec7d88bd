//! Rows that cannot be read: their app keeps what it has and learns of it, nobody else is touched.

use std::time::Duration;

use cflite::testing::{TestApp, TestClient, app_in_space, related};
use serde_json::{Value, json};

use crate::tasks::runnable;

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {what}");
}

async fn start(admin: &TestClient, app: &str) {
    let path = format!("/v3/apps/{app}/actions/start");
    let started = admin.post(&path, &json!({})).await.unwrap();
    assert_eq!(started.status, 200, "{started:?}");
    until_running(admin, app, 1).await;
}

async fn until_running(admin: &TestClient, app: &str, count: usize) {
    until("running", async || {
        let stats = admin.get(&format!("/v3/processes/{app}/stats")).await;
        let stats = stats.unwrap().body["resources"].as_array()?.clone();
        let running = stats.iter().filter(|one| one["state"] == "RUNNING");
        (running.count() == count).then_some(())
    })
    .await;
}

async fn unreadable_rows(app: &TestApp) -> Value {
    let health = app.anonymous().get("/healthz").await.unwrap();
    health.body["counts"]["unreadable rows"].clone()
}

async fn log_says(admin: &TestClient, app: &str, text: &str) {
    until("in the log", async || {
        let read = admin.get(&format!("/api/v1/read/{app}?limit=1000")).await;
        let body = read.unwrap().body;
        let batch = body["envelopes"]["batch"].as_array()?.clone();
        let lines = batch.iter().filter_map(|one| {
            let payload = one["log"]["payload"].as_str()?;
            let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, payload);
            String::from_utf8(bytes.ok()?).ok()
        });
        lines
            .into_iter()
            .any(|line| line.contains(text))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_app_that_cannot_be_read_runs_on_and_all_others_are_looked_after() {
    let (app, admin, web, space) = runnable().await;
    let other = app_in_space(&admin, &space, "other").await.unwrap();
    app.droplet(&admin, &other, json!({ "web": "serve" }))
        .await
        .unwrap();
    start(&admin, &web).await;
    start(&admin, &other).await;
    let containers = app.engine().container_names();
    assert_eq!(unreadable_rows(&app).await, 0);
    app.sql("update desired_processes set environment = x'00' where app_guid = (select guid from apps where name = 'web')")
        .await
        .unwrap();
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    let scaled = json!({ "instances": 2 });
    let path = format!("/v3/processes/{other}/actions/scale");
    assert_eq!(admin.post(&path, &scaled).await.unwrap().status, 202);
    until_running(&admin, &other, 2).await;
    until_running(&admin, &web, 1).await;
    assert_eq!(unreadable_rows(&app).await, 1);
    log_says(&admin, &web, "cannot be read from the database").await;
    let now = app.engine().container_names();
    assert!(containers.iter().all(|name| now.contains(name)), "{now:?}");

    // Its owner can mend it: a restart writes the row anew.
    let path = format!("/v3/apps/{web}/actions/restart");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
    until("replaced", async || {
        let now = app.engine().container_names();
        let old = containers.iter().filter(|name| now.contains(name)).count();
        (old == 1 && unreadable_rows(&app).await == 0).then_some(())
    })
    .await;
    until_running(&admin, &web, 1).await;
}

#[tokio::test]
async fn a_build_that_cannot_be_read_fails_and_blocks_neither_its_app_nor_others() {
    let (app, admin, web, _) = runnable().await;
    app.sql(
        "insert into builds (guid, app_guid, package_guid, droplet_guid, state, lifecycle_type, staging_environment, \
         package_digest, staging_memory_in_mb, staging_disk_in_mb, created_at, updated_at) \
         select 'damaged', guid, 'p', 'd', 'STAGING', 'buildpack', x'00', 'sha256:' || hex(zeroblob(32)), 64, 64, 0, 0 \
         from apps where name = 'web'",
    )
    .await
    .unwrap();
    let failed = until("failed", async || {
        let build = admin.get("/v3/builds/damaged").await.unwrap();
        (build.text("/state") == "FAILED").then_some(build)
    })
    .await;
    let error = failed.text("/error");
    let expected =
        "StagingError - Staging error: staging failed: the build cannot be read from the database";
    assert!(error.starts_with(expected), "{error}");
    let line = "Failed to stage build: staging failed: the build cannot be read";
    log_says(&admin, &web, line).await;
    until("forgotten", async || {
        (unreadable_rows(&app).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_task_whose_environment_cannot_be_read_fails_and_others_run() {
    let (app, admin, web, _) = runnable().await;
    // Nothing starts before the damage.
    app.engine().set_reachable(false);
    let path = format!("/v3/apps/{web}/tasks");
    let task = json!({ "command": "echo hello" });
    let first = admin.post(&path, &task).await.unwrap();
    assert_eq!(first.status, 202, "{first:?}");
    app.sql("update desired_tasks set environment = x'00'")
        .await
        .unwrap();
    let second = admin.post(&path, &task).await.unwrap();
    app.engine().set_reachable(true);
    for (task, state, reason) in [
        (&first, "FAILED", "cannot read the task's configuration"),
        (&second, "SUCCEEDED", ""),
    ] {
        let path = format!("/v3/tasks/{}", task.text("/guid"));
        let ended = until("ended", async || {
            let task = admin.get(&path).await.unwrap();
            (task.text("/state") == state).then_some(task)
        })
        .await;
        assert!(ended.text("/result/failure_reason").starts_with(reason));
    }
}

#[tokio::test]
async fn a_deployment_that_cannot_be_read_keeps_no_other_waiting() {
    let (app, admin, _, space) = runnable().await;
    let other = app_in_space(&admin, &space, "other").await.unwrap();
    app.droplet(&admin, &other, json!({ "web": "serve" }))
        .await
        .unwrap();
    start(&admin, &other).await;
    app.sql(
        "insert into deployments (guid, app_guid, state, status_value, status_reason, strategy, status_updated_at, \
         created_at, updated_at) select 'damaged', guid, 'DEPLOYING', 'ACTIVE', 'DEPLOYING', cast(x'ff' as text), \
         0, 0, 0 from apps where name = 'web'",
    )
    .await
    .unwrap();
    let body = json!({ "relationships": related("app", &other) });
    let made = admin.post("/v3/deployments", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v3/deployments/{}", made.text("/guid"));
    until("deployed", async || {
        let deployment = admin.get(&path).await.unwrap();
        (deployment.text("/status/reason") == "DEPLOYED").then_some(())
    })
    .await;
    assert_eq!(unreadable_rows(&app).await, 1);
}

#[tokio::test]
async fn an_audit_event_that_cannot_be_read_costs_its_own_line_alone() {
    let (app, admin, web, _) = runnable().await;
    app.sql(
        "insert into audit_events (guid, type, actor_guid, actor_type, actor_name, target_guid, target_type, \
         target_name, created_at) values ('damaged', 'audit.app.update', 'u', 'user', cast(x'ff' as text), 'g', \
         'app', 'web', 0)",
    )
    .await
    .unwrap();
    let change = json!({ "metadata": { "annotations": { "n": "later" } } });
    let path = format!("/v3/apps/{web}");
    assert_eq!(admin.patch(&path, &change).await.unwrap().status, 200);
    log_says(&admin, &web, "later").await;
}

#[tokio::test]
async fn an_upload_that_cannot_be_read_keeps_no_other_waiting() {
    let (app, admin, web, _) = runnable().await;
    app.sql(
        "insert into droplets (guid, app_guid, state, lifecycle_type, upload_digest, upload_job, created_at, updated_at) \
         select 'damaged', guid, 'PROCESSING_UPLOAD', 'buildpack', 'no digest', 'j', 0, 0 from apps where name = 'web'",
    )
    .await
    .unwrap();
    let body = json!({ "relationships": related("app", &web) });
    let droplet = admin.post("/v3/droplets", &body).await.unwrap();
    let path = format!("/v3/droplets/{}/upload", droplet.text("/guid"));
    let archive = b"no archive".to_vec();
    let accepted = admin.upload_file(&path, "droplet.tgz", archive).await;
    let accepted = accepted.unwrap();
    until("answered", async || {
        let job = admin.job_of(&accepted).await.unwrap();
        (job.text("/state") == "FAILED").then_some(())
    })
    .await;
    assert_eq!(unreadable_rows(&app).await, 1);
}
