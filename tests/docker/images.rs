//! Docker images: from another registry into cflite's own, and running without the other one.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{Client, SOON, files_with, page, until_instances};
use crate::platform::Platform;
use crate::upstream::{PASSWORD, Upstream};

/// A platform for which `upstream` is Docker Hub.
fn platform(upstream: &Upstream) -> Platform {
    let url = format!("docker.io=http://{}", upstream.address());
    Platform::start_with(&["--registry-upstream", &url])
}

/// Removes an image from the daemon, once the container that used it is gone.
async fn until_removed(image: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let removed = Command::new("docker").args(["rmi", image]).output();
        let removed = removed.expect("docker runs");
        if removed.status.success() {
            return;
        }
        let error = String::from_utf8_lossy(&removed.stderr).into_owned();
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn images_of(containers: &[String]) -> Vec<String> {
    let out = Command::new("docker")
        .args(["inspect", "--format", "{{.Config.Image}}"])
        .args(containers)
        .output()
        .expect("docker runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// The digest in `repository@sha256:…`.
fn digest(image: &str) -> String {
    let digest = image.split_once('@').map(|(_, digest)| digest);
    digest.expect("a digest").to_owned()
}

fn digests_of(containers: &[String]) -> Vec<String> {
    let images = images_of(containers);
    images.iter().map(|image| digest(image)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_runs_for_ever_once_it_was_pushed() {
    let mut upstream = Upstream::start();
    upstream.push("me/web:1", "one");
    let mut platform = platform(&upstream);
    let client = Client::of(&platform).await;
    let app = client.create("web").await;
    let staged = client.stage(&app, "me/web:1", Some(PASSWORD)).await;
    client.run(&app, &staged.expect("staged")).await;
    platform.wait_for("web.cf.localhost", SOON);
    assert_eq!(page(&platform, "web"), "one");
    assert_ne!(
        files_with(platform.data_dir(), "me/web:1"),
        [""; 0],
        "the search finds what is there"
    );
    assert_eq!(files_with(platform.data_dir(), PASSWORD), [""; 0]);
    let first = until_instances(&platform, 1).await;
    let pinned = images_of(&first).remove(0);
    assert!(pinned.contains("@sha256:"), "{pinned}");

    // The daemon forgets the image, and the other registry is gone.
    upstream.kill();
    client.act(&app, "stop").await;
    until_instances(&platform, 0).await;
    until_removed(&pinned).await;
    client.act(&app, "start").await;
    platform.wait_for("web.cf.localhost", SOON);
    client.scale(&app, 3).await;
    let all = until_instances(&platform, 3).await;
    assert_eq!(digests_of(&all), vec![digest(&pinned); 3]);

    // A crash, and the death of the platform.
    let killed = Command::new("docker").args(["kill", &all[0]]).output();
    assert!(killed.expect("docker runs").status.success());
    platform.kill();
    platform.boot();
    let deadline = Instant::now() + SOON;
    while platform.instances().contains(&all[0]) || platform.instances().len() < 3 {
        assert!(Instant::now() < deadline, "{}", platform.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(page(&platform, "web"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_staged_again_without_its_registry_and_anew_when_its_tag_moved() {
    let mut upstream = Upstream::start();
    upstream.push("me/web:1", "one");
    let platform = platform(&upstream);
    let client = Client::of(&platform).await;
    let app = client.create("web").await;
    let staged = client.stage(&app, "me/web:1", Some(PASSWORD)).await;
    client.run(&app, &staged.expect("staged")).await;
    let before = digests_of(&until_instances(&platform, 1).await);

    upstream.kill();
    let packages = client
        .admin
        .get(&format!("/v3/packages?app_guids={app}"))
        .await;
    let package = packages
        .expect("packages")
        .text("/resources/0/guid")
        .to_owned();
    let droplet = client.build(&package).await.expect("staged again");
    client
        .until_logged(&app, "docker.io cannot be reached")
        .await;
    let used = "using the copy of this image from before";
    client.until_logged(&app, used).await;
    client.run(&app, &droplet).await;
    platform.wait_for("web.cf.localhost", SOON);
    assert_eq!(digests_of(&until_instances(&platform, 1).await), before);

    upstream.boot();
    upstream.push("me/web:1", "two");
    let droplet = client.stage(&app, "me/web:1", Some(PASSWORD)).await;
    client.run(&app, &droplet.expect("staged")).await;
    let deadline = Instant::now() + SOON;
    while page(&platform, "web") != "two" {
        assert!(Instant::now() < deadline, "{}", platform.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let moved = format!(
        "The tag 1 has moved: it was {}, it is now sha256:",
        before[0]
    );
    client.until_logged(&app, &moved).await;
    assert_eq!(files_with(platform.data_dir(), PASSWORD), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_given_away_ends_its_build_with_the_cause() {
    let mut upstream = Upstream::start();
    upstream.push("me/web:1", "one");
    let platform = platform(&upstream);
    let client = Client::of(&platform).await;
    let app = client.create("web").await;
    let table = [
        (
            "me/web:1",
            Some("wrong"),
            "the registry refuses these credentials",
        ),
        ("me/web:1", None, "does not exist or needs credentials"),
        (
            "me/web:9",
            Some(PASSWORD),
            "its registry knows no such image or tag",
        ),
        (
            "me/none:1",
            Some(PASSWORD),
            "its registry knows no such image or tag",
        ),
        ("localhost:1/me/web", None, "an address of this machine"),
        (
            "Web",
            None,
            "is no image reference: repository name must be lowercase",
        ),
    ];
    for (image, password, cause) in table {
        let error = client.stage(&app, image, password).await;
        let error = error.expect_err(image);
        assert!(
            error.starts_with("StagingError - Staging error: "),
            "{error}"
        );
        assert!(error.contains(cause), "{image}: {error}");
    }
    assert_eq!(files_with(platform.data_dir(), PASSWORD), [""; 0]);
    upstream.kill();
    let error = client.stage(&app, "me/web:1", Some(PASSWORD)).await;
    let error = error.expect_err("it is gone");
    assert!(error.contains("docker.io cannot be reached"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_local_daemon_runs_and_the_log_says_so() {
    let mut upstream = Upstream::start();
    let name = format!("cflite-test-{}", std::process::id());
    upstream.build(&name, "mine");
    let platform = platform(&upstream);
    let client = Client::of(&platform).await;
    let app = client.create("mine").await;
    let staged = client.stage(&app, &name, None).await;
    client.run(&app, &staged.expect("staged")).await;
    platform.wait_for("mine.cf.localhost", SOON);
    assert_eq!(page(&platform, "mine"), "mine");
    let text = format!("Using the image {name} of the local Docker daemon (sha256:");
    client.until_logged(&app, &text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_push_images_and_run_them_by_their_roles() {
    let mut local = Upstream::start();
    let platform = platform(&local);
    let client = Client::of(&platform).await;
    let registry = platform.registry();
    let name = format!("{registry}/admin/web:1");
    local.build(&name, "pushed");
    let refused = local.push_built(&name).expect_err("nobody logged in");
    assert!(refused.contains("no basic auth credentials"), "{refused}");

    local.login(&registry, "admin", &platform.password());
    local.push_built(&name).expect("pushed");
    let cached = format!("{registry}/cache/docker.io/library/web:1");
    local.build(&cached, "poison");
    let refused = local.push_built(&cached).expect_err("the platform's own");
    assert!(refused.contains("denied"), "{refused}");

    let app = client.create("pushed").await;
    let staged = client.stage(&app, &name, None).await;
    client.run(&app, &staged.expect("staged")).await;
    platform.wait_for("pushed.cf.localhost", SOON);
    assert_eq!(page(&platform, "pushed"), "pushed");
    let missing = client
        .stage(&app, &format!("{registry}/admin/web:2"), None)
        .await;
    let missing = missing.expect_err("no such tag");
    assert!(missing.contains("knows no such image or tag"), "{missing}");
}
