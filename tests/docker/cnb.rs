//! Cloud Native Buildpacks on the real daemon: one as an image of another registry, one uploaded; the
//! second requires what the first provides.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Client, SOON, files_with, page, until_instances, until_page};
use crate::platform::Platform;
use crate::upstream::{PASSWORD, USER, Upstream};

/// What the app answers: its file, what the tool says, and what layers set.
const PAGE: &str = "the page|tool says hello|for all|set by \"exec.d\" in workspace|/first|two words|$NOT_EXPANDED";

const TOOL: &str = "FROM scratch\nCOPY tool /cnb/buildpacks/fixtures_tool/1.2.3\n";
/// A composite buildpack with its components, as `pack` labels it.
const ALL: &str = "FROM scratch\n\
                   COPY all /cnb/buildpacks/fixtures_all/1.0.0\n\
                   COPY tool /cnb/buildpacks/fixtures_tool/1.2.3\n\
                   COPY server /cnb/buildpacks/fixtures_server/0.1.0\n\
                   LABEL io.buildpacks.buildpackage.metadata='{\"id\":\"fixtures/all\",\"version\":\"1.0.0\"}'\n";

fn fixture(name: &str) -> PathBuf {
    let fixtures = "images/tests/fixtures/cnb/buildpacks";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(fixtures)
        .join(name)
}

/// A buildpack's folder as `.tgz`.
fn archive(folder: &Path) -> Vec<u8> {
    let out = Command::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(folder)
        .arg(".")
        .output();
    let out = out.expect("tar runs");
    assert!(out.status.success(), "{out:?}");
    out.stdout
}

/// Pushes fixtures as an image of buildpacks.
fn push_image(upstream: &mut Upstream, name: &str, recipe: &str) {
    let context = tempfile::tempdir().expect("temporary folder");
    for folder in ["tool", "server", "all"] {
        let target = context.path().join(folder);
        let mut copy = Command::new("cp");
        let copied = copy.arg("-r").arg(fixture(folder)).arg(target).status();
        assert!(copied.expect("cp runs").success());
    }
    fs::write(context.path().join("Dockerfile"), recipe).expect("written");
    let name = format!("{}/{name}", upstream.address());
    upstream.build_from(&name, context.path());
    upstream.push_built(&name).expect("pushed");
}

pub(crate) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o644);
    for (name, content) in files {
        zip.start_file(*name, options).expect("a file");
        zip.write_all(content.as_bytes()).expect("content");
    }
    zip.finish().expect("a zip").into_inner()
}

async fn upload_buildpack(client: &Client, name: &str, file: &str, bytes: Vec<u8>) {
    let body = json!({ "name": name, "lifecycle": "cnb" });
    let made = client.admin.post("/v3/buildpacks", &body).await;
    let made = made.expect("made");
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v3/buildpacks/{}/upload", made.text("/guid"));
    let accepted = client.admin.upload_file(&path, file, bytes).await;
    let job = client.admin.job_of(&accepted.expect("uploaded")).await;
    let job = job.expect("a job");
    assert_eq!(job.text("/state"), "COMPLETE", "{job:?}");
}

async fn start() -> (Upstream, Platform, Client) {
    let mut upstream = Upstream::start();
    push_image(&mut upstream, "me/tool:1", TOOL);
    let url = format!("docker.io=http://{}", upstream.address());
    let platform = Platform::start_with(&["--registry-upstream", &url]);
    let client = Client::of(&platform).await;
    let flag = "/v3/feature_flags/diego_cnb";
    let on = client.admin.patch(flag, &json!({ "enabled": true })).await;
    assert_eq!(on.expect("answered").status, 200);
    let server = archive(&fixture("server"));
    upload_buildpack(&client, "server", "server.tgz", server).await;
    (upstream, platform, client)
}

/// Creates the app `web` with both buildpacks, and gives it.
async fn create(client: &Client) -> String {
    let manifest = format!(
        "applications:\n- name: web\n  lifecycle: cnb\n  buildpacks: ['docker://me/tool:1', server]\n  memory: 128M\n  \
         cnb-credentials: {{docker.io: {{username: {USER}, password: {PASSWORD}}}}}\n  \
         env: {{TOOL_SETTING: mine}}\n  routes: [{{route: web.cf.localhost}}]\n"
    );
    client.apply(&manifest).await;
    client.guid("web").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_runs_restarts_and_is_staged_again_without_its_registry() {
    let (mut upstream, platform, client) = start().await;
    let app = create(&client).await;
    let package = client
        .package(&app, zip_of(&[("page.txt", "the page\n")]))
        .await;
    let droplet = client.build(&package).await.expect("staged");
    for line in [
        "Pulling docker.io/me/tool:1",
        "===> DETECTING",
        "===> RESTORING",
        "===> BUILDING",
        "tool built 1 times for 1 requirement, TOOL_SETTING=mine",
        "===> EXPORTING",
        "Uploading complete",
    ] {
        client.until_logged(&app, line).await;
    }
    client.run(&app, &droplet).await;
    platform.wait_for("web.cf.localhost", SOON);
    assert_eq!(page(&platform, "web"), PAGE);
    assert_eq!(files_with(platform.data_dir(), PASSWORD), [""; 0]);

    let first = until_instances(&platform, 1).await;
    client.act(&app, "restart").await;
    let deadline = Instant::now() + SOON;
    while platform.instances() == first || page(&platform, "web") != PAGE {
        assert!(Instant::now() < deadline, "{}", platform.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    client.scale(&app, 2).await;
    until_instances(&platform, 2).await;
    let task = json!({ "command": "tool runs a task in $PWD" });
    let path = format!("/v3/apps/{app}/tasks");
    let made = client.admin.post(&path, &task).await.expect("made");
    assert_eq!(made.status, 202, "{made:?}");
    let said = "tool says runs a task in /home/vcap/workspace";
    client.until_logged(&app, said).await;

    upstream.kill();
    let again = client.build(&package).await.expect("staged again");
    for text in [
        "using the copy of this image from before",
        "Restoring data for \"fixtures/tool:tool\" from cache",
        "tool built 2 times",
    ] {
        client.until_logged(&app, text).await;
    }
    client.run(&app, &again).await;
    // The instance from before may have answered until it was stopped.
    until_page(&platform, "web", PAGE);
}

/// Buildpacks that cannot be used, and what the build's error says.
fn bad_buildpacks(folder: &Path) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let malformed = folder.join("malformed");
    fs::create_dir(&malformed).expect("a folder");
    fs::write(malformed.join("buildpack.toml"), "api = [").expect("written");
    let bare = folder.join("bare");
    fs::create_dir(&bare).expect("a folder");
    fs::write(bare.join("README"), "not a buildpack").expect("written");
    let mut cut = archive(&fixture("server"));
    cut.truncate(100);
    vec![
        ("malformed", archive(&malformed), "cannot be read: "),
        ("bare", archive(&bare), "there is no buildpack.toml"),
        ("cut", cut, "is not a tar archive, or a broken one"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_staged_ends_with_the_cause() {
    let (_upstream, platform, client) = start().await;
    let app = create(&client).await;
    let page = ("page.txt", "the page\n");
    let package = client.package(&app, zip_of(&[page])).await;
    let with =
        |buildpack: &str| Some(json!({ "type": "cnb", "data": { "buildpacks": [buildpack] } }));
    let download = "CNBDownloadBuildpackFailed - cnb: downloading buildpacks failed: ";
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, bytes, cause) in bad_buildpacks(folder.path()) {
        upload_buildpack(&client, name, &format!("{name}.tgz"), bytes).await;
        let error = client.build_with(&package, with(name)).await;
        let error = error.expect_err(name);
        assert!(
            error.starts_with(download) && error.contains(cause),
            "{error}"
        );
    }
    // The credentials of the app went with the first build.
    for (image, cause) in [
        ("docker://me/tool:1", "give them as cnb-credentials"),
        (
            "docker://localhost:1/me/none",
            "docker pull localhost:1/me/none",
        ),
    ] {
        let error = client.build_with(&package, with(image)).await;
        let error = error.expect_err(image);
        assert!(
            error.starts_with(download) && error.contains(cause),
            "{error}"
        );
    }
    let alone = client.build_with(&package, with("server")).await;
    let expected = "CNBDetectFailed - cnb: detecting failed: no group of buildpacks passed detection: \
                    pass: fixtures/server@0.1.0; fail: fixtures/server@0.1.0 requires tool";
    assert_eq!(alone, Err(expected.to_owned()));
    let credentials = json!({ "docker.io": { "username": USER, "password": PASSWORD } });
    let mut both: Value = with("docker://me/tool:1").unwrap_or_default();
    both["data"] =
        json!({ "buildpacks": ["docker://me/tool:1", "server"], "credentials": credentials });
    let files = [page, ("break-the-build", "")];
    let broken = client.package(&app, zip_of(&files)).await;
    let error = client.build_with(&broken, Some(both)).await;
    let expected = "CNBBuildFailed - cnb: building failed: Failed to run bin/build of fixtures/server@0.1.0: exit status 7";
    assert_eq!(error, Err(expected.to_owned()));
    assert_eq!(files_with(platform.data_dir(), PASSWORD), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_composite_buildpack_is_the_first_of_its_groups_that_fits() {
    let (mut upstream, _platform, client) = start().await;
    push_image(&mut upstream, "me/all:1", ALL);
    let app = create(&client).await;
    let package = client
        .package(&app, zip_of(&[("page.txt", "the page\n")]))
        .await;
    let lifecycle = json!({ "type": "cnb", "data": { "buildpacks": ["docker://me/all:1"] } });
    let droplet = client.build_with(&package, Some(lifecycle)).await;
    let path = format!("/v3/droplets/{}", droplet.expect("staged"));
    let shown = client.admin.get(&path).await.expect("a droplet");
    let names: Vec<&Value> = shown.body["buildpacks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|buildpack| &buildpack["buildpack_name"])
        .collect();
    assert_eq!(names, ["fixtures/tool@1.2.3", "fixtures/server@0.1.0"]);
}
