//! Daemons that pull other registries' images through cflite's.

use std::process::Command;

use serde_json::Value;

use crate::client::{Client, SOON, until_instances};
use crate::daemon::Daemon;
use crate::platform::Platform;
use crate::upstream::Upstream;

fn succeed(command: &mut Command) {
    let out = command.output().expect("docker runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {errors}");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_pulls_through_the_cache_also_when_the_registry_is_gone() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut upstream = Upstream::start_public();
    upstream.push("me/web:1", "one");
    upstream.push("me/later:1", "later");
    let hub = format!("docker.io=http://{}", upstream.address());
    let platform = Platform::start_with(&["--registry-upstream", &hub]);
    let registry = platform.registry();
    let name = format!("{registry}/proxy/docker.io/me/web:1");
    let refused = upstream.docker().args(["pull", "--quiet", &name]).output();
    assert!(
        !refused.expect("docker runs").status.success(),
        "nobody logged in"
    );

    upstream.login(&registry, "admin", &platform.password());
    succeed(upstream.docker().args(["pull", "--quiet", &name]));
    succeed(upstream.docker().args(["rmi", &name]));
    let fetched = platform.run(&["registry", "prefetch", "me/later:1", "--json"]);
    assert_eq!(json(&fetched)[0]["image"], "docker.io/me/later:1");

    upstream.kill();
    let later = format!("{registry}/proxy/docker.io/me/later:1");
    for name in [&name, &later] {
        succeed(upstream.docker().args(["pull", "--quiet", name]));
        succeed(upstream.docker().args(["rmi", name]));
    }
    let listed = json(&platform.run(&["registry", "list", "--json"]));
    let images = listed["images"].as_array().expect("images").iter();
    let copies: Vec<&str> = images
        .filter(|image| image["complete"] == true)
        .filter_map(|image| image["repository"].as_str())
        .filter(|name| name.starts_with("cache/"))
        .collect();
    assert_eq!(
        copies,
        ["cache/docker.io/me/later", "cache/docker.io/me/web"]
    );
    let preview = json(&platform.run(&["registry", "gc", "--dry-run", "--json"]));
    assert_eq!(preview["evicted"], serde_json::json!([]));
    assert!(platform.run(&["registry", "gc"]).ends_with(" removed\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_mirror_cflite_is_pulls_docker_hubs_images_from_it() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut upstream = Upstream::start_public();
    upstream.push("me/web:1", "one");
    let hub = format!("docker.io=http://{}", upstream.address());
    let options = ["--registry-upstream", &hub, "--registry-mirror-port", "0"];
    let platform = Platform::start_with(&options);
    let mirror = format!("http://127.0.0.1:{}", platform.mirror_port());
    let Some(daemon) = Daemon::start_with(&["--registry-mirror", &mirror]) else {
        crate::bench::skip("a daemon of the test's own needs root, dockerd and ip");
        return;
    };
    let docker = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.args(["--host", daemon.host()]).args(arguments);
        succeed(&mut command);
    };
    docker(&["pull", "--quiet", "me/web:1"]);
    docker(&["rmi", "me/web:1"]);
    upstream.kill();
    docker(&["pull", "--quiet", "me/web:1"]);
}

/// A machine without a network, whose daemon has no image at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_all_that_a_room_without_internet_needs() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let Some(daemon) = Daemon::start_with(&[]) else {
        crate::bench::skip("a daemon of the test's own needs root, dockerd and ip");
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("room.bundle");
    let file = file.to_str().expect("UTF-8");
    let mut upstream = Upstream::start_public();
    upstream.push("me/web:1", "one");
    let hub = format!("docker.io=http://{}", upstream.address());
    let outside = Platform::start_with(&["--registry-upstream", &hub]);
    outside.run(&["registry", "prefetch", "me/web:1"]);
    outside.run(&["bundle", "create", file]);
    upstream.kill();
    drop(outside);

    let inside = Platform::start_as(Some(daemon.host()), &["--offline"]);
    let refused = inside.fail(&["demo", "--name", "early"]);
    assert!(refused.contains("cflite bundle load"), "{refused}");
    inside.run(&["bundle", "load", file]);
    let host = inside.push_sample("late");
    inside.wait_for(&host, SOON);
    let client = Client::of(&inside).await;
    let app = client.create("web").await;
    let staged = client.stage(&app, "me/web:1", None).await;
    client.run(&app, &staged.expect("staged")).await;
    inside.wait_for("web.cf.localhost", SOON);
    let missing = client.stage(&app, "me/other:1", None).await;
    let missing = missing.expect_err("it is not in the bundle");
    let command = "`cflite registry prefetch docker.io/me/other:1`";
    assert!(missing.contains(command), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_back_after_its_daemon_was_killed_and_its_registry_is_gone() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let Some(mut daemon) = Daemon::start_with(&[]) else {
        crate::bench::skip("a daemon of the test's own needs root, dockerd and ip");
        return;
    };
    let mut upstream = Upstream::start_public();
    upstream.push("me/web:1", "one");
    let hub = format!("docker.io=http://{}", upstream.address());
    let options = ["--registry-upstream", &hub];
    let platform = Platform::start_as(Some(daemon.host()), &options);
    let client = Client::of(&platform).await;
    let app = client.create("web").await;
    let staged = client.stage(&app, "me/web:1", None).await;
    client.run(&app, &staged.expect("staged")).await;
    platform.wait_for("web.cf.localhost", SOON);
    upstream.kill();
    for end in [Daemon::kill, Daemon::stop] {
        end(&mut daemon);
        daemon.boot();
        platform.wait_for("web.cf.localhost", SOON);
    }
    client.scale(&app, 3).await;
    until_instances(&platform, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_the_platform_runs_outside_of_it() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let upstream = Upstream::start_public();
    let platform = Platform::start();
    let host = platform.push_sample("web");
    platform.wait_for(&host, SOON);
    let registry = platform.registry();
    upstream.login(&registry, "admin", &platform.password());
    let name = format!("{registry}/demo/dev/web");
    let mut run = upstream.docker();
    run.args(["run", "--detach", "--label", "cflite.test=1"]);
    run.args(["--env", "PORT=8099", &name]);
    let out = run.output().expect("docker runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
    let id = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let container = Removed(&id, &name);
    let inspect = ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id];
    let address = Command::new("docker").args(inspect).output();
    let address = String::from_utf8_lossy(&address.expect("docker runs").stdout)
        .trim()
        .to_owned();
    let deadline = std::time::Instant::now() + SOON;
    let url = format!("http://{address}:8099/");
    loop {
        let got = Command::new("curl")
            .args(["--silent", "--fail", "--max-time", "5", &url])
            .status();
        if got.expect("curl runs").success() {
            break;
        }
        let logs = Command::new("docker").args(["logs", &id]).output();
        assert!(std::time::Instant::now() < deadline, "{logs:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    drop(container);
}

/// A container and its image, removed with the test.
struct Removed<'a>(&'a str, &'a str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        for arguments in [["rm", "--force", self.0], ["rmi", "--force", self.1]] {
            drop(Command::new("docker").args(arguments).output());
        }
    }
}
