//! Apps of Cloud Native Buildpacks: what is asked of their lifecycle, and what they are staged and
//! started with.

use std::io::Write;
use std::time::Duration;

use cflite::docker::{Behaviour, ContainerSpec};
use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

const RESULT: &str = r#"{"lifecycle_type":"cnb","process_types":{"web":"serve it","worker":"work"},
    "processes":[{"type":"web","command":"serve it"},{"type":"worker","command":"work"}],
    "execution_metadata":"","lifecycle_metadata":{"buildpacks":[
    {"key":"me/server","name":"me/server@1.2","version":"1.2"}]}}"#;
const SECRET: &str = "geheim";
const YAML: &str = "application/x-yaml";

fn builder() -> Behaviour {
    Behaviour::runs()
        .prints("===> DETECTING\n")
        .writes("/tmp/result.json", RESULT)
        .writes("/tmp/droplet.tar", vec![0; 1024])
        .writes("/tmp/output-cache.tar", "cache")
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("page.txt", options).unwrap();
    zip.write_all(b"page").unwrap();
    zip.finish().unwrap().into_inner()
}

async fn allow(admin: &TestClient) {
    let path = "/v3/feature_flags/diego_cnb";
    let on = admin.patch(path, &json!({ "enabled": true })).await;
    assert_eq!(on.unwrap().status, 200);
}

async fn create(admin: &TestClient, space: &str, data: Value) -> Answer {
    let body = json!({
        "name": "web", "relationships": related("space", space),
        "lifecycle": { "type": "cnb", "data": data },
    });
    admin.post("/v3/apps", &body).await.unwrap()
}

async fn package_of(admin: &TestClient, app: &str) -> String {
    let body = json!({ "type": "bits", "relationships": related("app", app) });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    let package = package.text("/guid").to_owned();
    admin.upload(&package, zip()).await.unwrap();
    let path = format!("/v3/packages/{package}");
    while admin.get(&path).await.unwrap().text("/state") != "READY" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    package
}

async fn build(admin: &TestClient, package: &str) -> Answer {
    let body = json!({ "package": { "guid": package } });
    admin.post("/v3/builds", &body).await.unwrap()
}

async fn end_of(admin: &TestClient, build: &str) -> Answer {
    loop {
        let found = admin.get(&format!("/v3/builds/{build}")).await.unwrap();
        if found.text("/state") != "STAGING" {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn upload_buildpack(admin: &TestClient, name: &str) {
    let body = json!({ "name": name, "lifecycle": "cnb" });
    let made = admin.post("/v3/buildpacks", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v3/buildpacks/{}/upload", made.text("/guid"));
    let archive = [&b"\x1f\x8b\x08"[..], name.as_bytes()].concat();
    let accepted = admin.upload_file(&path, "b.tgz", archive).await.unwrap();
    let job = admin.job_of(&accepted).await.unwrap();
    assert_eq!(job.text("/state"), "COMPLETE", "{job:?}");
}

/// The specification of the first container whose name has this part.
async fn container(platform: &TestApp, part: &str) -> ContainerSpec {
    loop {
        let names = platform.engine().container_names();
        let name = names.iter().find(|name| name.contains(part));
        match name.and_then(|name| platform.engine().spec(name)) {
            Some(spec) => return spec,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn variable<'a>(spec: &'a ContainerSpec, name: &str) -> Option<&'a str> {
    let mut all = spec.environment.iter();
    all.find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn the_feature_flag_decides() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let disabled = "Feature Disabled: diego_cnb";
    let refused = create(&admin, &space, json!({})).await;
    assert_eq!((refused.status, refused.detail()), (403, disabled));
    allow(&admin).await;
    let created = create(&admin, &space, json!({})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let package = package_of(&admin, created.text("/guid")).await;
    let off = json!({ "enabled": false });
    let path = "/v3/feature_flags/diego_cnb";
    admin.patch(path, &off).await.unwrap();
    let refused = build(&admin, &package).await;
    assert_eq!((refused.status, refused.detail()), (403, disabled));
}

#[tokio::test]
async fn a_lifecycle_is_checked_and_shown_without_secrets() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    allow(&admin).await;
    upload_buildpack(&admin, "mine").await;
    let unknown = |name: &str| {
        format!(
            "Buildpack \"{name}\" for stack \"cflinuxfs4\" must be an existing admin buildpack or a valid git URI"
        )
    };
    for name in [
        "python_buildpack",
        "git@host:me/repo.git",
        "docker://me/Upper",
    ] {
        let refused = create(&admin, &space, json!({ "buildpacks": [name] })).await;
        assert_eq!((refused.status, refused.detail()), (422, &*unknown(name)));
    }
    let buildpacks = json!([
        "docker://docker.io/me/tool:1",
        "mine",
        "https://me:pw@host/x.cnb"
    ]);
    let credentials = json!({ "docker.io": { "username": "me", "password": SECRET } });
    let data = json!({ "buildpacks": buildpacks, "credentials": credentials });
    let created = create(&admin, &space, data).await;
    assert_eq!(created.status, 201, "{created:?}");
    let expected = json!({ "type": "cnb", "data": {
        "buildpacks": ["docker://docker.io/me/tool:1", "mine", "https://***:***@host/x.cnb"],
        "stack": "cflinuxfs4",
        "credentials": "***",
    } });
    assert_eq!(created.body["lifecycle"], expected);
    let events = admin.get("/v3/audit_events").await.unwrap();
    assert!(!events.body.to_string().contains(SECRET));

    let path = format!("/v3/apps/{}", created.text("/guid"));
    let forget = json!({ "lifecycle": { "data": { "credentials": null } } });
    let changed = admin.patch(&path, &forget).await.unwrap();
    assert_eq!(
        changed.body["lifecycle"]["data"]["credentials"],
        Value::Null
    );
    assert_eq!(changed.body["lifecycle"]["data"]["buildpacks"][1], "mine");
    let other = json!({ "lifecycle": { "type": "buildpack", "data": {} } });
    let refused = admin.patch(&path, &other).await.unwrap();
    let text = "Lifecycle type cannot be changed from cnb to buildpack";
    assert_eq!((refused.status, refused.detail()), (422, text));
    let list = admin.get("/v3/apps?lifecycle_type=cnb").await.unwrap();
    assert_eq!(list.names(), ["web"]);
}

#[tokio::test]
async fn an_app_is_staged_and_started_with_its_own_lifecycle() {
    let platform = TestApp::with_stack().await.unwrap();
    platform.engine().script("=mine", builder().exits(0));
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    allow(&admin).await;
    upload_buildpack(&admin, "mine").await;
    let credentials = json!({ "docker.io": { "username": "me", "password": SECRET } });
    let data = json!({ "buildpacks": ["mine"], "credentials": credentials });
    let app = create(&admin, &space, data).await.text("/guid").to_owned();
    let package = package_of(&admin, &app).await;
    let started = build(&admin, &package).await;
    assert_eq!(started.status, 201, "{started:?}");
    assert_eq!(started.text("/lifecycle/type"), "cnb");
    assert_eq!(
        started.body["lifecycle"]["data"]["buildpacks"],
        json!(["mine"])
    );
    let done = end_of(&admin, started.text("/guid")).await;
    assert_eq!(done.text("/state"), "STAGED", "{done:?}");

    let droplet = done.text("/droplet/guid").to_owned();
    let shown = admin.get(&format!("/v3/droplets/{droplet}")).await.unwrap();
    assert_eq!(
        shown.body["lifecycle"],
        json!({ "type": "cnb", "data": {} })
    );
    assert_eq!(
        shown.body["process_types"],
        json!({ "web": "serve it", "worker": "work" })
    );
    assert_eq!(
        shown.body["buildpacks"],
        json!([{ "name": "me/server", "detect_output": "", "buildpack_name": "me/server@1.2", "version": "1.2" }])
    );
    assert_eq!(shown.body["links"]["download"], Value::Null);
    let path = format!("/v3/apps/{app}");
    let now = admin.get(&path).await.unwrap();
    let credentials = &now.body["lifecycle"]["data"]["credentials"];
    assert_eq!(credentials, &Value::Null, "they are used once");

    let current = json!({ "data": { "guid": droplet } });
    let assign = format!("{path}/relationships/current_droplet");
    assert_eq!(admin.patch(&assign, &current).await.unwrap().status, 200);
    let start = format!("{path}/actions/start");
    assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
    let spec = container(&platform, "web").await;
    assert_eq!(
        spec.command,
        ["/tmp/lifecycle/cnb-launcher", "app", "serve it", ""]
    );
    let expected = [
        ("CNB_LAYERS_DIR", Some("/home/vcap/layers")),
        ("CNB_APP_DIR", Some("/home/vcap/workspace")),
        ("LANG", Some("en_US.UTF-8")),
        ("PORT", Some("8080")),
        ("VCAP_APP_PORT", None),
        ("VCAP_APP_HOST", None),
    ];
    for (name, value) in expected {
        assert_eq!(variable(&spec, name), value, "{name}");
    }
    let task = json!({ "command": "echo hello" });
    let task = admin.post(&format!("{path}/tasks"), &task).await.unwrap();
    assert_eq!(task.status, 202, "{task:?}");
}

#[tokio::test]
async fn failures_have_cloud_foundrys_names() {
    let platform = TestApp::with_stack().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    allow(&admin).await;
    let app = create(&admin, &space, json!({})).await;
    let package = package_of(&admin, app.text("/guid")).await;
    let refused = build(&admin, &package).await;
    let text = "There are no buildpacks available for the lifecycle cnb: name one with -b docker://IMAGE, or upload \
                one with cf create-buildpack NAME FILE.cnb 1 --lifecycle cnb";
    assert_eq!((refused.status, refused.detail()), (400, text));

    upload_buildpack(&admin, "mine").await;
    let failing = Behaviour::runs()
        .writes("/tmp/failure", "no group of buildpacks passed detection\n")
        .exits(233);
    platform.engine().script("--auto-detect", failing);
    let started = build(&admin, &package).await;
    assert_eq!(started.status, 201, "{started:?}");
    let failed = end_of(&admin, started.text("/guid")).await;
    assert_eq!(
        failed.text("/error"),
        "CNBDetectFailed - cnb: detecting failed: no group of buildpacks passed detection"
    );
    let body = json!({
        "package": { "guid": package },
        "lifecycle": { "type": "cnb", "data": { "buildpacks": ["docker://localhost:1/me/tool"] } },
    });
    let started = admin.post("/v3/builds", &body).await.unwrap();
    let failed = end_of(&admin, started.text("/guid")).await;
    let error = failed.text("/error");
    assert!(
        error.starts_with("CNBDownloadBuildpackFailed - cnb: "),
        "{error}"
    );
    assert!(error.contains("docker pull localhost:1/me/tool"), "{error}");
}

#[tokio::test]
async fn a_manifest_has_credentials_that_nobody_sees() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    allow(&admin).await;
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let apply = async |credentials: &str| {
        let manifest = format!(
            "applications:\n- name: web\n  lifecycle: cnb\n  buildpacks: ['docker://ghcr.io/me/tool']\n  \
             cnb-credentials: {credentials}\n"
        );
        admin
            .raw("POST", &path, YAML, manifest.into())
            .await
            .unwrap()
    };
    for (credentials, text) in [
        ("[]", "Lifecycle Credentials must be an object"),
        (
            "{ghcr.io: x}",
            "Lifecycle Credentials credentials value must be a hash",
        ),
    ] {
        let refused = apply(credentials).await;
        let text = format!("For application 'web': {text}");
        assert_eq!((refused.status, refused.detail()), (422, &*text));
    }
    let given = format!("{{ghcr.io: {{username: me, password: {SECRET}}}}}");
    let applied = apply(&given).await;
    let job = admin.job_of(&applied).await.unwrap();
    assert_eq!(job.text("/state"), "COMPLETE", "{job:?}");
    let apps = admin.get("/v3/apps").await.unwrap();
    assert_eq!(apps.text("/resources/0/lifecycle/type"), "cnb");
    assert_eq!(apps.text("/resources/0/lifecycle/data/credentials"), "***");
    let events = admin.get("/v3/audit_events").await.unwrap();
    assert!(!events.body.to_string().contains(SECRET));
    let manifest = format!("/v3/apps/{}/manifest", apps.text("/resources/0/guid"));
    let written = String::from_utf8(admin.download(&manifest).await.unwrap()).unwrap();
    assert!(
        written.contains("lifecycle: cnb") && !written.contains(SECRET),
        "{written}"
    );
}
