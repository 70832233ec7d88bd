//! What becomes of builds, and that whoever follows the log has read it when a build is over.

use std::io::Write;
use std::time::Duration;

use base64::Engine as _;
use cflite::docker::Behaviour;
use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::json;
use tokio::sync::watch;

/// What the builder says of an app without Procfile: it has no processes.
const NO_PROCESSES: &str = r#"{"process_types":{},"processes":[],"sidecars":[],"execution_metadata":"",
    "lifecycle_metadata":{"buildpack_key":"python","detected_buildpack":"python",
    "buildpacks":[{"key":"python","name":"python","version":"1.0.0"}]}}"#;

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("app.py", options).unwrap();
    zip.write_all(b"print()").unwrap();
    zip.finish().unwrap().into_inner()
}

fn builder() -> Behaviour {
    Behaviour::runs()
        .prints("-----> Python Buildpack\n")
        .writes("/tmp/result.json", NO_PROCESSES)
        .writes("/tmp/droplet.tar", vec![0; 1024])
        .writes("/tmp/output-cache.tar", "cache")
}

/// An app with a package, from a manifest.
pub(crate) async fn pushed(admin: &TestClient, command: &str) -> (String, String) {
    let (_, space) = organization_and_space(admin, "acme").await.unwrap();
    let manifest = format!("applications:\n- name: web\n{command}");
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let kind = "application/x-yaml";
    let applied = admin.raw("POST", &path, kind, manifest.into()).await;
    assert_eq!(applied.unwrap().status, 202);
    let found = admin.get("/v3/apps?names=web").await.unwrap();
    let app = found.text("/resources/0/guid").to_owned();
    let body = json!({ "type": "bits", "relationships": related("app", &app) });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    let package = package.text("/guid").to_owned();
    admin.upload(&package, zip()).await.unwrap();
    let path = format!("/v3/packages/{package}");
    while admin.get(&path).await.unwrap().text("/state") != "READY" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (app, package)
}

pub(crate) async fn ask_for_build(admin: &TestClient, package: &str) -> String {
    let body = json!({ "package": { "guid": package } });
    let build = admin.post("/v3/builds", &body).await.unwrap();
    assert_eq!(build.status, 201, "{build:?}");
    build.text("/guid").to_owned()
}

/// Asks for a build until it is over.
pub(crate) async fn end_of(admin: &TestClient, build: &str) -> Answer {
    loop {
        let found = admin.get(&format!("/v3/builds/{build}")).await.unwrap();
        if found.text("/state") != "STAGING" {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads as the CLI does, until it is dropped: asks from behind what it has, and ignores what is
/// younger than a delay. The CLI's is two seconds; a shorter one leaves a slow machine more room
/// before the platform gives the reader up.
async fn follow(
    reader: TestClient,
    app: String,
    lines: &std::sync::Mutex<Vec<String>>,
    reads: &watch::Sender<u32>,
) {
    const DELAY: Duration = Duration::from_millis(400);
    let mut start = 0;
    loop {
        let path = format!("/api/v1/read/{app}?start_time={start}&envelope_types=LOG");
        let read = reader.get(&path).await.unwrap();
        reads.send_modify(|reads| *reads += 1);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let batch = read.body["envelopes"]["batch"].as_array().unwrap().clone();
        let mut found = false;
        for envelope in batch {
            let at: u64 = envelope["timestamp"].as_str().unwrap().parse().unwrap();
            if Duration::from_nanos(at) + DELAY > now {
                break;
            }
            let payload = envelope["log"]["payload"].as_str().unwrap();
            let text = base64::engine::general_purpose::STANDARD.decode(payload);
            let text = String::from_utf8(text.unwrap()).unwrap();
            lines.lock().unwrap().push(text);
            (start, found) = (at + 1, true);
        }
        if !found {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn an_app_with_a_command_of_its_own_needs_no_process_types() {
    let platform = TestApp::with_stack().await.unwrap();
    platform.engine().script("--buildpack", builder().exits(0));
    let admin = platform.admin().await.unwrap();
    let (app, package) = pushed(&admin, "  command: gunicorn app:app\n").await;
    let build = ask_for_build(&admin, &package).await;
    let build = end_of(&admin, &build).await;
    assert_eq!(build.text("/state"), "STAGED", "{build:?}");
    let droplet = json!({ "data": { "guid": build.text("/droplet/guid") } });
    let path = format!("/v3/apps/{app}/relationships/current_droplet");
    let assigned = admin.patch(&path, &droplet).await.unwrap();
    assert_eq!(assigned.status, 200, "{assigned:?}");
    let path = format!("/v3/apps/{app}/actions/restart");
    let started = admin.post(&path, &json!({})).await.unwrap();
    assert_eq!(started.status, 200, "{started:?}");
    let web = admin.get(&format!("/v3/apps/{app}/processes/web")).await;
    assert_eq!(web.unwrap().text("/command"), "gunicorn app:app");
}

#[tokio::test]
async fn an_app_that_nobody_knows_how_to_start_is_not_staged() {
    let platform = TestApp::with_stack().await.unwrap();
    platform.engine().script("--buildpack", builder().exits(0));
    let admin = platform.admin().await.unwrap();
    let (_, package) = pushed(&admin, "").await;
    let build = ask_for_build(&admin, &package).await;
    let build = end_of(&admin, &build).await;
    assert_eq!(
        build.text("/error"),
        "StagingError - Staging error: Start command not specified"
    );
}

#[tokio::test]
async fn a_reader_has_every_line_when_the_build_is_over() {
    let platform = TestApp::with_stack().await.unwrap();
    let admin = platform.admin().await.unwrap();
    for (builder, last) in [
        (
            builder().exits(0),
            "successfully destroyed container for instance",
        ),
        (
            builder()
                .writes("/tmp/failure", "the buildpack cannot be fetched")
                .exits(226),
            "Staging error: staging failed: the buildpack cannot be fetched",
        ),
    ] {
        platform.engine().script("--buildpack", builder);
        let found = admin.get("/v3/packages?order_by=created_at").await.unwrap();
        let (app, package) = match found.body["resources"][0]["guid"].as_str() {
            Some(package) => {
                let href = found.text("/resources/0/links/app/href");
                let app = href.rsplit('/').next().unwrap_or_default().to_owned();
                (app, package.to_owned())
            }
            None => pushed(&admin, "  command: gunicorn app:app\n").await,
        };
        let lines = std::sync::Mutex::default();
        // As with the CLI, logs are read over a connection of their own.
        let reader = platform.admin().await.unwrap();
        let reads = watch::Sender::new(0);
        let follow = follow(reader, app, &lines, &reads);
        let build = async {
            // Who read once does not follow yet, and a build in memory is over at once.
            let mut seen = reads.subscribe();
            seen.wait_for(|reads| *reads > 1).await.unwrap();
            let build = ask_for_build(&admin, &package).await;
            end_of(&admin, &build).await
        };
        tokio::select! {
            () = follow => {}
            build = build => assert_ne!(build.text("/state"), "STAGING"),
        }
        let lines = lines.into_inner().unwrap();
        assert!(
            lines.iter().any(|line| line.contains(last)),
            "{last} is not among {lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains("Python Buildpack")));
    }
}

#[tokio::test]
async fn a_failed_build_says_why() {
    let platform = TestApp::with_stack().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, package) = pushed(&admin, "").await;
    for (code, error) in [
        (
            222,
            "NoAppDetectedError - An app was not successfully detected by any available buildpack: because",
        ),
        (
            223,
            "BuildpackCompileFailed - App staging failed in the buildpack compile phase: because",
        ),
        (
            224,
            "BuildpackReleaseFailed - App staging failed in the buildpack release phase: because",
        ),
        (225, "StagingError - Staging error: staging failed: because"),
        (226, "StagingError - Staging error: staging failed: because"),
    ] {
        let failing = builder().writes("/tmp/failure", "because\n").exits(code);
        platform.engine().script("--buildpack", failing);
        let build = ask_for_build(&admin, &package).await;
        let build = end_of(&admin, &build).await;
        assert_eq!(build.text("/error"), error);
    }
}

#[tokio::test]
async fn a_docker_image_that_cannot_be_staged_says_why_in_the_app_s_log() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let lifecycle = json!({ "type": "docker", "data": {} });
    let body =
        json!({ "name": "web", "lifecycle": lifecycle, "relationships": related("space", &space) });
    let guid = admin.post("/v3/apps", &body).await.unwrap();
    let guid = guid.text("/guid").to_owned();
    let data = json!({ "image": "localhost:1/me/web" });
    let body = json!({ "type": "docker", "data": data, "relationships": related("app", &guid) });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    let build = ask_for_build(&admin, package.text("/guid")).await;
    let build = end_of(&admin, &build).await;
    assert_eq!(build.text("/state"), "FAILED", "{build:?}");
    let path = format!("/api/v1/read/{guid}?limit=1000&envelope_types=LOG");
    let mut lines: Vec<String> = Vec::new();
    for _ in 0..400 {
        let read = admin.get(&path).await.unwrap();
        let batch = read.body["envelopes"]["batch"].as_array().unwrap().clone();
        lines = batch.iter().map(shown).collect();
        if lines.iter().any(|line| line.contains("Staging Failed")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let told = |line: &&String| {
        line.starts_with("STG ERR Staging Failed: ") && line.contains("an address of this machine")
    };
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:#?}");
}

/// A line with its source and its stream.
fn shown(envelope: &serde_json::Value) -> String {
    let payload = envelope["log"]["payload"].as_str().unwrap();
    let text = base64::engine::general_purpose::STANDARD.decode(payload);
    let text = String::from_utf8(text.unwrap()).unwrap();
    let source = envelope["tags"]["source_type"].as_str().unwrap();
    let stream = envelope["log"]["type"].as_str().unwrap_or("OUT");
    format!("{source} {stream} {text}")
}
