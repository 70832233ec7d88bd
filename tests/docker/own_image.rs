//! Services from images that users choose, on the real daemon.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::data_services::{Service, backups, docker};
use crate::platform::Platform;

const SOON: Duration = Duration::from_secs(60);

/// A web server, without a shell; its image says what it needs as a service.
const RECIPE: &str = "EXPOSE 8080\nLABEL cflite.storage=/data\n\
    LABEL cflite.dump='[\"/busybox\", \"cat\", \"/data/index.html\"]'\n\
    LABEL cflite.load='[\"/busybox\", \"dd\", \"of=/data/index.html\"]'\n\
    ENTRYPOINT [\"/busybox\"]\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/data\"]\n";

/// An image of busybox that only the local daemon has.
pub(crate) struct Image(pub(crate) String);

impl Image {
    /// `recipe` goes on after `FROM scratch` and may copy `files`, each with its name.
    pub(crate) fn build(kind: &str, recipe: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("cflite-test-{kind}-{}", std::process::id());
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy("/usr/bin/busybox", folder.path().join("busybox")).expect("busybox-static");
        for (file, text) in files {
            std::fs::write(folder.path().join(file), text).expect("written");
        }
        let recipe = format!("FROM scratch\nLABEL cflite.test=1\nCOPY busybox /busybox\n{recipe}");
        std::fs::write(folder.path().join("Dockerfile"), recipe).expect("written");
        let built = Command::new("docker")
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--quiet", "--tag", &name])
            .arg(folder.path())
            .output()
            .expect("docker runs");
        assert!(built.status.success(), "{built:?}");
        Self(name)
    }

    fn remove(&self) {
        docker(&["rmi", "--no-prune", &self.0]);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What the service says, which may be starting.
fn said(credentials: &Value) -> String {
    let url = format!(
        "http://{}:{}/",
        credentials["host"].as_str().expect("a host"),
        credentials["port"]
    );
    let out = Command::new("curl")
        .args(["--silent", "--max-time", "5", &url])
        .output();
    String::from_utf8_lossy(&out.expect("curl runs").stdout).into_owned()
}

fn until_said(credentials: &Value, text: &str) {
    let deadline = Instant::now() + SOON;
    while said(credentials) != text {
        assert!(
            Instant::now() < deadline,
            "{:?} instead of {text:?}",
            said(credentials)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn write(service: &Service<'_>, text: &str) {
    let script = format!("printf {text} > /data/index.html");
    docker(&[
        "exec",
        &service.container(),
        "/busybox",
        "sh",
        "-c",
        &script,
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_image_becomes_a_service_that_keeps_its_data() {
    let image = Image::build("own", RECIPE, &[]);
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let parameters = json!({ "image": image.0 });
    let service = Service::create(&platform, &client, ("container", "data"), parameters).await;
    let (key, credentials) = service.key("key").await;
    write(&service, "one");
    until_said(&credentials, "one");

    service
        .update(json!({ "backup": "now", "backup_tag": "v1" }))
        .await;
    write(&service, "two");
    until_said(&credentials, "two");
    service
        .update(json!({ "restore": backups(&platform)[0]["guid"] }))
        .await;
    until_said(&credentials, "one");

    // The instance keeps its image, whatever becomes of the name.
    image.remove();
    service
        .update(json!({ "env": { "A": "b" }, "memory": "64m" }))
        .await;
    docker(&["kill", "--signal", "KILL", &service.container()]);
    until_said(&credentials, "one");
    let shown = docker(&[
        "inspect",
        "--format",
        "{{.Config.Env}} {{.HostConfig.Memory}}",
        &service.container(),
    ]);
    assert!(
        shown.contains("A=b") && shown.contains("67108864"),
        "{shown}"
    );

    let path = format!("/v3/service_credential_bindings/{key}");
    service.delete(&path).await;
    service.delete(&service.path()).await;
    let left = docker(&[
        "images",
        "--quiet",
        &format!("cflite/service-own:*{}-*", service.guid),
    ]);
    assert_eq!(left, "", "the image's name is left");
}
