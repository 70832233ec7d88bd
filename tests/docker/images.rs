//! Docker images: from another registry into cflite's own, and running without the other one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cflite::testing::TestClient;
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::survival::admin_token;
use crate::upstream::{PASSWORD, USER, Upstream};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A platform for which `upstream` is Docker Hub.
fn platform(upstream: &Upstream) -> Platform {
    let url = format!("docker.io=http://{}", upstream.address());
    Platform::start_with(&["--registry-upstream", &url])
}

pub(crate) struct Client {
    admin: TestClient,
    space: String,
}

impl Client {
    pub(crate) async fn of(platform: &Platform) -> Self {
        let token = admin_token(platform).await;
        let admin = TestClient::anonymous(&platform.url()).with_token(&token);
        let (_, space) = cflite::testing::organization_and_space(&admin, "images")
            .await
            .expect("a space");
        Self { admin, space }
    }

    pub(crate) async fn create(&self, name: &str) -> String {
        let path = format!("/v3/spaces/{}/actions/apply_manifest", self.space);
        let manifest = format!(
            "applications:\n- name: {name}\n  docker: {{image: ignored}}\n  memory: 64M\n  \
             routes: [{{route: {name}.cf.localhost}}]\n"
        );
        let applied = self
            .admin
            .raw("POST", &path, "application/x-yaml", manifest.into_bytes())
            .await
            .expect("applied");
        assert_eq!(applied.status, 202, "{applied:?}");
        let done = self.admin.job_of(&applied).await.expect("a job");
        assert_eq!(done.text("/state"), "COMPLETE", "{done:?}");
        self.guid(name).await
    }

    async fn guid(&self, name: &str) -> String {
        let apps = self.admin.get(&format!("/v3/apps?names={name}")).await;
        apps.expect("apps").text("/resources/0/guid").to_owned()
    }

    /// Makes a package of an image and builds it; the error of the build, or its droplet.
    pub(crate) async fn stage(
        &self,
        app: &str,
        image: &str,
        password: Option<&str>,
    ) -> Result<String, String> {
        let mut data = json!({ "image": image });
        if let Some(password) = password {
            data["username"] = json!(USER);
            data["password"] = json!(password);
        }
        let package = json!({
            "type": "docker", "data": data,
            "relationships": { "app": { "data": { "guid": app } } },
        });
        let package = self
            .admin
            .post("/v3/packages", &package)
            .await
            .expect("a package");
        assert_eq!(package.status, 201, "{package:?}");
        self.build(package.text("/guid")).await
    }

    async fn build(&self, package: &str) -> Result<String, String> {
        let wanted = json!({ "package": { "guid": package } });
        let build = self
            .admin
            .post("/v3/builds", &wanted)
            .await
            .expect("a build");
        assert_eq!(build.status, 201, "{build:?}");
        let path = format!("/v3/builds/{}", build.text("/guid"));
        let deadline = Instant::now() + SOON;
        loop {
            let build = self.admin.get(&path).await.expect("a build");
            match build.text("/state") {
                "STAGED" => return Ok(build.text("/droplet/guid").to_owned()),
                "FAILED" => return Err(build.text("/error").to_owned()),
                _ => assert!(Instant::now() < deadline, "{build:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn run(&self, app: &str, droplet: &str) {
        let path = format!("/v3/apps/{app}/relationships/current_droplet");
        let wanted = json!({ "data": { "guid": droplet } });
        let assigned = self.admin.patch(&path, &wanted).await.expect("assigned");
        assert_eq!(assigned.status, 200, "{assigned:?}");
        self.act(app, "restart").await;
    }

    async fn act(&self, app: &str, action: &str) {
        let path = format!("/v3/apps/{app}/actions/{action}");
        let done = self.admin.post(&path, &json!({})).await.expect("done");
        assert_eq!(done.status, 200, "{done:?}");
    }

    async fn scale(&self, app: &str, instances: u32) {
        let path = format!("/v3/apps/{app}/processes/web/actions/scale");
        let wanted = json!({ "instances": instances });
        let scaled = self.admin.post(&path, &wanted).await.expect("scaled");
        assert_eq!(scaled.status, 202, "{scaled:?}");
    }

    /// Waits until a line of the app's log contains `text`.
    async fn until_logged(&self, app: &str, text: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            let log = self.log(app).await;
            if log.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} in\n{log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The app's recent log lines.
    async fn log(&self, app: &str) -> String {
        let path = format!("/api/v1/read/{app}?limit=1000&envelope_types=LOG");
        let read = self.admin.get(&path).await.expect("a log");
        let envelopes = read.body["envelopes"]["batch"].as_array().cloned();
        let payload = |envelope: &Value| {
            let text = envelope["log"]["payload"].as_str()?;
            let bytes = base64(text)?;
            String::from_utf8(bytes).ok()
        };
        let lines: Vec<String> = envelopes
            .unwrap_or_default()
            .iter()
            .filter_map(payload)
            .collect();
        lines.join("\n")
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn page(platform: &Platform, app: &str) -> String {
    let url = format!("http://127.0.0.1:{}/", platform.port());
    let host = format!("Host: {app}.cf.localhost");
    let out = Command::new("curl")
        .args(["--silent", "--max-time", "5", "--header", &host, &url])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

async fn until_instances(platform: &Platform, count: usize) -> Vec<String> {
    let deadline = Instant::now() + SOON;
    loop {
        let all = platform.instances();
        if all.len() == count {
            return all;
        }
        assert!(
            Instant::now() < deadline,
            "{all:?} of {count}\n{}",
            platform.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

/// The files below `folder` that contain `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let out = Command::new("grep")
        .args(["--recursive", "--files-with-matches", "--text", text])
        .arg(folder)
        .output()
        .expect("grep runs");
    let found = String::from_utf8_lossy(&out.stdout).into_owned();
    found.lines().map(str::to_owned).collect()
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
