//! What outlives what: the process killed, or stopped with and without its apps.

use std::time::{Duration, Instant};

use cflite::testing::TestClient;
use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::Daemon;
use crate::data_services::{self, Service};
use crate::platform::Platform;

const APPS: usize = 5;
const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn admin_token(platform: &Platform) -> String {
    let client = TestClient::anonymous(&platform.url());
    let token = client.access_token("admin", &platform.password()).await;
    token.expect("token")
}

pub(crate) async fn admin(platform: &Platform) -> TestClient {
    let (url, password) = (platform.url(), platform.password());
    let client = TestClient::signed_in(&url, "admin", &password);
    client.await.expect("a client")
}

/// Asks for a build of the newest package of an app and gives its guid.
async fn ask_for_build(admin: &TestClient, app: &str) -> String {
    let apps = admin
        .get(&format!("/v3/apps?names={app}"))
        .await
        .expect("apps");
    let guid = apps.text("/resources/0/guid").to_owned();
    let packages = admin
        .get(&format!("/v3/packages?app_guids={guid}&states=READY"))
        .await
        .expect("packages");
    let package = packages.text("/resources/0/guid").to_owned();
    let build = admin
        .post("/v3/builds", &json!({ "package": { "guid": package } }))
        .await
        .expect("build");
    assert_eq!(build.status, 201, "{build:?}");
    build.text("/guid").to_owned()
}

/// Starts a task of an app and gives its guid once it runs.
async fn run_task(admin: &TestClient, app: &str, command: &str) -> String {
    let apps = admin
        .get(&format!("/v3/apps?names={app}"))
        .await
        .expect("apps");
    let path = format!("/v3/apps/{}/tasks", apps.text("/resources/0/guid"));
    let task = admin
        .post(&path, &json!({ "command": command }))
        .await
        .expect("task");
    assert_eq!(task.status, 202, "{task:?}");
    until_task(admin, task.text("/guid"), "RUNNING").await;
    task.text("/guid").to_owned()
}

async fn until_task(admin: &TestClient, guid: &str, state: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let task = admin.get(&format!("/v3/tasks/{guid}")).await.expect("task");
        if task.text("/state") == state {
            return;
        }
        assert!(Instant::now() < deadline, "not {state}: {task:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_platform_adopts_its_apps_and_ends_its_staging() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut platform = Platform::start();
    let hosts: Vec<String> = (0..APPS)
        .map(|n| platform.push_sample(&format!("survivor-{n}")))
        .collect();
    let before = platform.instances();
    assert_eq!(before.len(), APPS);
    let api = admin(&platform).await;
    let build = ask_for_build(&api, "survivor-0").await;
    let task = run_task(&api, "survivor-1", "sleep 5; echo survived").await;

    platform.kill();
    platform.boot();
    for host in &hosts {
        platform.wait_for(host, SOON);
    }
    assert_eq!(platform.instances(), before, "instances were replaced");
    let admin = admin(&platform).await;
    let deadline = Instant::now() + SOON;
    loop {
        let answer = admin
            .get(&format!("/v3/builds/{build}"))
            .await
            .expect("build");
        match answer.text("/state") {
            "STAGED" => break,
            "FAILED" => {
                assert!(
                    !answer.text("/error").is_empty(),
                    "a failure without a reason"
                );
                break;
            }
            state => assert!(Instant::now() < deadline, "the build is still {state}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until_task(&admin, &task, "SUCCEEDED").await;
    for host in &hosts {
        assert_eq!(platform.status_of(host), 200, "{host}");
    }
    let events: Value = admin
        .get("/v3/audit_events?types=app.crash")
        .await
        .expect("events")
        .body;
    assert_eq!(
        events["pagination"]["total_results"], 0,
        "an adopted app counts as crashed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_and_services_are_back_after_the_daemon_was_killed_or_restarted() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let Some(mut daemon) = Daemon::start() else {
        crate::bench::skip("a daemon of the test's own needs root, dockerd and ip");
        return;
    };
    data_services::copy_redis(daemon.host()).await;
    let platform = Platform::start_on(Some(daemon.host()));
    let hosts: Vec<String> = (0..2)
        .map(|n| platform.push_sample(&format!("phoenix-{n}")))
        .collect();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, ("redis", "data"), json!({})).await;
    let (_, key) = service.key("key").await;
    for (end, value) in [
        (Daemon::kill as fn(&mut Daemon), "first"),
        (Daemon::stop, "second"),
    ] {
        let written = data_services::ask_redis(&key, &format!("SET v {value}"));
        assert_eq!(written.expect("written"), "+OK");
        end(&mut daemon);
        daemon.boot();
        for host in &hosts {
            platform.wait_for(host, SOON);
        }
        assert_eq!(platform.instances().len(), hosts.len());
        data_services::until_redis_has(&platform, &key, value);
    }
    let crashes = "/v3/audit_events?types=audit.app.process.crash";
    let crashes = admin(&platform).await.get(crashes).await.expect("events");
    assert_eq!(
        crashes.body["pagination"]["total_results"], 0,
        "the daemon's end is blamed on the apps: {crashes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_leaves_apps_running_and_stopping_with_apps_does_not() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut platform = Platform::start();
    let host = platform.push_sample("steady");
    let before = platform.instances();
    platform.run(&["down"]);
    assert_eq!(platform.instances(), before);
    platform.kill();
    platform.boot();
    platform.wait_for(&host, SOON);
    assert_eq!(platform.instances(), before);
    platform.run(&["down", "--stop-apps"]);
    assert!(platform.instances().is_empty());
    platform.kill();
    platform.boot();
    platform.wait_for(&host, SOON);
}
