//! Manifests.

use cflite::testing::{TestApp, TestClient, organization_and_space};
use serde_json::json;

const YAML: &str = "application/x-yaml";

async fn apply(admin: &TestClient, space: &str, manifest: &str) -> (String, String) {
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let accepted = admin
        .raw("POST", &path, YAML, manifest.as_bytes().to_vec())
        .await
        .unwrap();
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let job = accepted.location.unwrap();
    let job = admin.get(&job[job.find("/v3/").unwrap()..]).await.unwrap();
    (job.text("/state").to_owned(), job.detail().to_owned())
}

#[tokio::test]
async fn a_manifest_makes_apps_with_routes_and_processes() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manifest = "applications:\n- name: web\n  memory: 64M\n  instances: 2\n  env: {A: 1}\n  \
                    default-route: true\n  processes:\n  - type: worker\n    instances: 0\n    memory: 32M\n";
    assert_eq!(
        apply(&admin, &space, manifest).await,
        ("COMPLETE".to_owned(), String::new())
    );
    let found = admin.get("/v3/apps?names=web").await.unwrap();
    let guid = found.text("/resources/0/guid").to_owned();
    let routes = admin.get(&format!("/v3/apps/{guid}/routes")).await.unwrap();
    assert_eq!(routes.text("/resources/0/url"), "web.cf.localhost");
    let written = admin
        .get(&format!("/v3/apps/{guid}/manifest"))
        .await
        .unwrap();
    let written = written.body.as_str().unwrap();
    for line in [
        "- name: web",
        "A: '1'",
        "route: web.cf.localhost",
        "memory: 32M",
    ] {
        assert!(written.contains(line), "{line} is not in\n{written}");
    }
    // Its own manifest changes nothing.
    let path = format!("/v3/spaces/{space}/manifest_diff");
    let diff = admin
        .raw("POST", &path, YAML, written.as_bytes().to_vec())
        .await
        .unwrap();
    assert_eq!(
        (diff.status, diff.body["diff"].as_array().unwrap().len()),
        (201, 0),
        "{diff:?}"
    );
    assert_eq!(apply(&admin, &space, manifest).await.0, "COMPLETE");
    assert_eq!(
        admin
            .get(&format!("/v3/apps/{guid}/routes"))
            .await
            .unwrap()
            .body["pagination"]["total_results"],
        1
    );
}

#[tokio::test]
async fn every_fault_of_a_manifest_is_told_and_nothing_is_made() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let manifest = "applications:\n- name: a\n  memory: much\n- instances: -1\n";
    let refused = admin
        .raw("POST", &path, YAML, manifest.as_bytes().to_vec())
        .await
        .unwrap();
    assert_eq!(refused.status, 422);
    let details: Vec<&str> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["detail"].as_str())
        .collect();
    assert_eq!(
        details,
        [
            "For application 'a': Process \"web\": Memory is not a number",
            "For application at index 1: Name must not be empty",
            "For application at index 1: Process \"web\": Instances must be greater than or equal to 0",
        ]
    );
    assert!(admin.get("/v3/apps").await.unwrap().names().is_empty());
}

#[tokio::test]
async fn a_missing_service_fails_the_job_and_changes_nothing_else() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manifest = "applications:\n- name: web\n  default-route: true\n  services: [db]\n";
    let (state, detail) = apply(&admin, &space, manifest).await;
    assert_eq!(state, "FAILED");
    assert_eq!(
        detail,
        "For application 'web': Service instance 'db' not found"
    );
    assert_eq!(
        admin.get("/v3/routes").await.unwrap().body["pagination"]["total_results"],
        0
    );
}

#[tokio::test]
async fn what_the_platform_does_not_do_is_refused_by_name() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    // On at first, unlike in Cloud Foundry.
    let flag = "/v3/feature_flags/diego_docker";
    let off = admin.patch(flag, &json!({ "enabled": false })).await;
    assert_eq!(off.unwrap().status, 200);
    let cases = [
        ("docker: {image: nginx}", "Feature Disabled: diego_docker"),
        ("lifecycle: cnb", "Feature Disabled: diego_cnb"),
        (
            "routes: [{route: a.b, options: {loadbalancing: hash}}]",
            "Cannot use loadbalancing value 'hash' for Route 'a.b'; Valid values are: \
             'round-robin, least-connection'",
        ),
    ];
    for (line, text) in cases {
        let manifest = format!("applications:\n- name: web\n  {line}\n");
        let refused = admin
            .raw("POST", &path, YAML, manifest.into_bytes())
            .await
            .unwrap();
        assert_eq!(
            (refused.status, refused.detail()),
            (422, format!("For application 'web': {text}").as_str())
        );
    }
    assert!(admin.get("/v3/apps").await.unwrap().names().is_empty());
}

#[tokio::test]
async fn what_only_applying_can_tell_fails_the_job() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let cases = [
        (
            "timeout: 999",
            "health_check_timeout Maximum exceeded: max 180s",
        ),
        (
            "routes: [{route: a.nowhere.example}]",
            "No domains exist for route a.nowhere.example",
        ),
        (
            "features: {service-binding-k8s: true, file-based-vcap-services: true}",
            "'file-based-vcap-services' and 'service-binding-k8s' features cannot be enabled at the same time.",
        ),
    ];
    for (line, text) in cases {
        let manifest = format!("applications:\n- name: web\n  {line}\n");
        assert_eq!(
            apply(&admin, &space, &manifest).await,
            (
                "FAILED".to_owned(),
                format!("For application 'web': {text}")
            )
        );
    }
}

#[tokio::test]
async fn one_binding_feature_makes_room_for_the_other() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    for (files, k8s) in [(false, true), (true, false)] {
        let manifest = format!(
            "applications:\n- name: web\n  features:\n    file-based-vcap-services: {files}\n    \
             service-binding-k8s: {k8s}\n"
        );
        let applied = apply(&admin, &space, &manifest).await;
        assert_eq!(applied.0, "COMPLETE", "{}", applied.1);
    }
}

#[tokio::test]
async fn sizes_in_other_units_are_no_difference() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manifest = |log_rate: &str| {
        format!(
            "applications:\n- name: web\n  processes:\n  - type: web\n    memory: 1G\n    disk_quota: 1024MB\n    \
             log-rate-limit-per-second: {log_rate}\n"
        )
    };
    assert_eq!(apply(&admin, &space, &manifest("-1")).await.0, "COMPLETE");
    let path = format!("/v3/spaces/{space}/manifest_diff");
    for (log_rate, differs) in [("-1", false), ("\"-1\"", false), ("1K", true)] {
        let body = manifest(log_rate).into_bytes();
        let diff = admin.raw("POST", &path, YAML, body).await.unwrap();
        let listed = !diff.body["diff"].as_array().unwrap().is_empty();
        assert_eq!(listed, differs, "{diff:?}");
    }
}

#[tokio::test]
async fn what_a_template_leaves_empty_is_not_given() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manifest = "applications:\n- name: web\n  memory:\n  disk_quota: ''\n  instances:\n  \
                    log-rate-limit-per-second:\n  lifecycle: whatever\n  default-route: true\n  routes: []\n";
    let complete = ("COMPLETE".to_owned(), String::new());
    assert_eq!(apply(&admin, &space, manifest).await, complete);
    let found = admin.get("/v3/apps?names=web").await.unwrap();
    let guid = found.text("/resources/0/guid").to_owned();
    assert_eq!(found.text("/resources/0/lifecycle/type"), "buildpack");
    let process = admin.get(&format!("/v3/processes/{guid}")).await.unwrap();
    assert_eq!(process.body["instances"], 1);
    // An empty list of routes wants none.
    let routes = admin.get(&format!("/v3/apps/{guid}/routes")).await.unwrap();
    assert_eq!(routes.body["pagination"]["total_results"], 0);
}

#[tokio::test]
async fn yaml_is_read_as_cloud_controller_reads_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    // As the CLI sends `{y: z}`: to it the key is true.
    let manifest = "applications:\n- name: envs\n  instances: 0b10\n  env:\n    LIST:\n    - x\n    - 1\n    \
                    - true: z\n    'YES': yes\n    y: 0123\n    DAY: 2020-01-01\n    TIME: 1:30\n    NONE: ~\n    \
                    QUOTED: \"on\"\n";
    assert_eq!(
        apply(&admin, &space, manifest).await,
        ("COMPLETE".to_owned(), String::new())
    );
    let found = admin.get("/v3/apps?names=envs").await.unwrap();
    let guid = found.text("/resources/0/guid").to_owned();
    let path = format!("/v3/apps/{guid}/environment_variables");
    let variables = admin.get(&path).await.unwrap();
    let expected = serde_json::json!({
        "LIST": "[\"x\",1,{\"true\":\"z\"}]", "YES": "true", "y": "83", "DAY": "2020-01-01", "TIME": "5400",
        "NONE": "", "QUOTED": "on",
    });
    assert_eq!(variables.body["var"], expected);
    let web = admin.get(&format!("/v3/apps/{guid}/processes/web")).await;
    assert_eq!(web.unwrap().body["instances"], 2);
}

#[tokio::test]
async fn a_fault_of_yaml_names_app_key_and_line() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let details = async |verb: &str, manifest: &str| {
        let path = format!("/v3/spaces/{space}/{verb}");
        let sent = admin.raw("POST", &path, YAML, manifest.into()).await;
        let refused = sent.unwrap();
        let errors = refused.body["errors"].as_array().unwrap().clone();
        let details = errors.iter().map(|error| error["detail"].as_str().unwrap());
        let details: Vec<String> = details.map(str::to_owned).collect();
        (refused.status, details)
    };
    for verb in ["actions/apply_manifest", "manifest_diff"] {
        let odd = "applications:\n- name: x\n  env:\n    A: b\n    true: 1\n";
        let (status, texts) = details(verb, odd).await;
        assert_eq!(status, 422);
        assert_eq!(texts[0], "For application 'x': Env key must be a string");
        assert!(
            texts[1].starts_with("For application 'x': Env key at line 5 is true in YAML"),
            "{texts:?}"
        );
        for (manifest, text) in [
            ("applications:\n- name: x\n  env: [", " at line 4"),
            (
                "applications:\n- name: x\n  env: !ruby/object:Object {}",
                "the tag !ruby/object:Object is not allowed at line 3",
            ),
            ("applications:\n- *nothing", " at line 2"),
            (
                "- name: x",
                "Request invalid due to parse error: invalid request body",
            ),
        ] {
            let (status, texts) = details(verb, manifest).await;
            assert_eq!(status, 400, "{texts:?}");
            assert!(texts[0].ends_with(text), "{texts:?}");
        }
        let large = format!("applications:\n- name: {}", "x".repeat(1 << 20));
        let (status, texts) = details(verb, &large).await;
        assert_eq!(status, 400);
        assert!(
            texts[0].ends_with("Manifest size is too large. The maximum supported size is 1MB."),
            "{texts:?}"
        );
    }
}
