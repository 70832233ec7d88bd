//! A space of a platform as its admin sees it: creates, stages and runs apps, and reads their logs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cflite::testing::{Answer, TestClient};
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::survival::admin;
use crate::upstream::USER;

pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    pub(crate) admin: TestClient,
    pub(crate) space: String,
}

impl Client {
    pub(crate) async fn of(platform: &Platform) -> Self {
        let admin = admin(platform).await;
        let (_, space) = cflite::testing::organization_and_space(&admin, "images")
            .await
            .expect("a space");
        Self { admin, space }
    }

    /// A space that is there already.
    pub(crate) async fn in_space(platform: &Platform, space: String) -> Self {
        let admin = admin(platform).await;
        Self { admin, space }
    }

    /// The same space after its platform was started again.
    pub(crate) async fn again(self, platform: &Platform) -> Self {
        Self::in_space(platform, self.space).await
    }

    /// A Docker app with a route.
    pub(crate) async fn create(&self, name: &str) -> String {
        let manifest = format!(
            "applications:\n- name: {name}\n  docker: {{image: ignored}}\n  memory: 64M\n  \
             routes: [{{route: {name}.cf.localhost}}]\n"
        );
        self.apply(&manifest).await;
        self.guid(name).await
    }

    /// Stages and starts an image with a command, and with further attributes of the manifest; the
    /// app's guid.
    pub(crate) async fn run_image(
        &self,
        name: &str,
        image: &str,
        command: &str,
        further: &str,
    ) -> String {
        let manifest = format!(
            "applications:\n- name: {name}\n  docker: {{image: ignored}}\n  memory: 64M\n  \
             command: {}\n  {further}\n",
            json!(command)
        );
        self.apply(&manifest).await;
        let app = self.guid(name).await;
        let droplet = self.stage(&app, image, None).await.expect("staged");
        self.run(&app, &droplet).await;
        app
    }

    pub(crate) async fn apply(&self, manifest: &str) {
        let path = format!("/v3/spaces/{}/actions/apply_manifest", self.space);
        let kind = "application/x-yaml";
        let applied = self.admin.raw("POST", &path, kind, manifest.into()).await;
        let applied = applied.expect("applied");
        assert_eq!(applied.status, 202, "{applied:?}");
        self.complete(&applied).await;
    }

    /// Waits until the job of an answer is done.
    pub(crate) async fn complete(&self, asked: &Answer) {
        let deadline = Instant::now() + SOON;
        loop {
            let job = self.admin.job_of(asked).await.expect("a job");
            match job.text("/state") {
                "COMPLETE" => return,
                "FAILED" => panic!("{job:?}"),
                _ => assert!(Instant::now() < deadline, "{job:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn guid(&self, name: &str) -> String {
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

    pub(crate) async fn build(&self, package: &str) -> Result<String, String> {
        self.build_with(package, None).await
    }

    /// Builds a package, with a lifecycle of the build's own; the error, or the droplet.
    pub(crate) async fn build_with(
        &self,
        package: &str,
        lifecycle: Option<Value>,
    ) -> Result<String, String> {
        let mut wanted = json!({ "package": { "guid": package } });
        if let Some(lifecycle) = lifecycle {
            wanted["lifecycle"] = lifecycle;
        }
        let build = self.admin.post("/v3/builds", &wanted).await;
        let build = build.expect("a build");
        assert_eq!(build.status, 201, "{build:?}");
        let path = format!("/v3/builds/{}", build.text("/guid"));
        // The first build of a platform loads the images of the stack.
        let deadline = Instant::now() + 2 * SOON;
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

    /// Uploads an app's files.
    pub(crate) async fn package(&self, app: &str, zip: Vec<u8>) -> String {
        let related = json!({ "app": { "data": { "guid": app } } });
        let body = json!({ "type": "bits", "relationships": related });
        let package = self.admin.post("/v3/packages", &body).await;
        let guid = package.expect("a package").text("/guid").to_owned();
        let uploaded = self.admin.upload(&guid, zip).await.expect("uploaded");
        assert_eq!(uploaded.status, 200, "{uploaded:?}");
        let path = format!("/v3/packages/{guid}");
        let deadline = Instant::now() + SOON;
        loop {
            let found: Answer = self.admin.get(&path).await.expect("a package");
            if found.text("/state") == "READY" {
                return guid;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn run(&self, app: &str, droplet: &str) {
        let path = format!("/v3/apps/{app}/relationships/current_droplet");
        let wanted = json!({ "data": { "guid": droplet } });
        let assigned = self.admin.patch(&path, &wanted).await.expect("assigned");
        assert_eq!(assigned.status, 200, "{assigned:?}");
        self.act(app, "restart").await;
    }

    pub(crate) async fn act(&self, app: &str, action: &str) {
        let path = format!("/v3/apps/{app}/actions/{action}");
        let done = self.admin.post(&path, &json!({})).await.expect("done");
        assert_eq!(done.status, 200, "{done:?}");
    }

    pub(crate) async fn scale(&self, app: &str, instances: u32) {
        let path = format!("/v3/apps/{app}/processes/web/actions/scale");
        let wanted = json!({ "instances": instances });
        let scaled = self.admin.post(&path, &wanted).await.expect("scaled");
        assert_eq!(scaled.status, 202, "{scaled:?}");
    }

    /// Waits until a line of the app's log contains `text`.
    pub(crate) async fn until_logged(&self, app: &str, text: &str) {
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
    pub(crate) async fn log(&self, app: &str) -> String {
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

pub(crate) fn page(platform: &Platform, app: &str) -> String {
    let url = format!("http://127.0.0.1:{}/", platform.port());
    let host = format!("Host: {app}.cf.localhost");
    let out = Command::new("curl")
        .args(["--silent", "--max-time", "5", "--header", &host, &url])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Waits until the app's page is this text.
pub(crate) fn until_page(platform: &Platform, app: &str, expected: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = page(platform, app);
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{found:?} instead of {expected:?}\n{}",
            platform.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) async fn until_instances(platform: &Platform, count: usize) -> Vec<String> {
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

/// The files below `folder` that contain `text`.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let out = Command::new("grep")
        .args(["--recursive", "--files-with-matches", "--text", text])
        .arg(folder)
        .output()
        .expect("grep runs");
    let found = String::from_utf8_lossy(&out.stdout).into_owned();
    found.lines().map(str::to_owned).collect()
}
