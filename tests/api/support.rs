//! `cflite doctor` and `cflite support-bundle`: what they find, and that no secret gets out.

use std::io::Read;

use cflite::testing::{TestApp, organization_and_space, related};
use serde_json::{Value, json};

use super::binary::Commands;

/// The parts of a bundle.
fn parts(path: &std::path::Path) -> Vec<(String, String)> {
    let file = std::fs::File::open(path).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = tar.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

#[tokio::test]
async fn a_bundle_has_what_helps_and_no_secret() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let made = json!({
        "name": "web", "environment_variables": { "DB": "value-of-a-variable" },
        "relationships": related("space", &space),
    });
    assert_eq!(admin.post("/v3/apps", &made).await.unwrap().status, 201);
    let made = json!({
        "type": "user-provided", "name": "mail", "credentials": { "pin": "value-of-a-credential" },
        "relationships": related("space", &space),
    });
    let made = admin.post("/v3/service_instances", &made).await.unwrap();
    assert_eq!(made.status, 201);
    let workshop = commands.run(&["workshop", "create", "--users", "1"]).await;
    assert_eq!(workshop.code, 0, "{workshop:?}");
    let list = commands.json(&["workshop", "list", "--passwords"]).await;
    let card = list["users"][0]["password"].as_str().unwrap().to_owned();
    let key = std::fs::read(app.data_dir().join("secret-key")).unwrap();
    let mut secrets = vec![
        "only-for-tests".to_owned(),
        "value-of-a-variable".to_owned(),
        "value-of-a-credential".to_owned(),
        admin.bearer().to_owned(),
        card,
        hex::encode(&key),
    ];
    secrets.extend(String::from_utf8(key));
    // As if the platform had logged all that: it must not, and this is the second line of defence.
    let log = format!(
        "INFO ready\nERROR admin only-for-tests, bearer {}\nWARN {}\nINFO last line\n",
        admin.bearer(),
        secrets[4]
    );
    std::fs::write(app.data_dir().join("cflite.log"), log).unwrap();

    let file = app.data_dir().join("support.tar.gz");
    let done = commands
        .run(&["support-bundle", &file.to_string_lossy()])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    let parts = parts(&file);
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "version.json",
        "config.json",
        "doctor.json",
        "status.json",
        "rows.json",
        "docker.json",
        "cflite.log",
    ];
    assert_eq!(names, expected.map(|name| format!("cflite-support/{name}")));
    for (name, text) in &parts {
        for secret in secrets.iter().map(|secret| secret.trim()) {
            assert!(!text.contains(secret), "{name} has a secret: {text}");
        }
    }
    let part = |name: &str| {
        let found = parts.iter().find(|(path, _)| path.ends_with(name));
        found.map(|(_, text)| text.as_str()).unwrap_or_default()
    };
    assert!(part("cflite.log").contains("INFO ready"));
    assert!(part("cflite.log").contains("INFO last line"));
    let rows: Value = serde_json::from_str(part("rows.json")).unwrap();
    assert_eq!(rows["apps"], 1, "{rows:#}");
    let status: Value = serde_json::from_str(part("status.json")).unwrap();
    assert_eq!(status["running"], true, "{status:#}");
    let config: Value = serde_json::from_str(part("config.json")).unwrap();
    assert_eq!(config["data-dir"]["from"], "flag", "{config:#}");
    assert_eq!(admin.get("/v3/apps").await.unwrap().names(), ["web"]);
}

#[tokio::test]
async fn the_doctor_says_that_there_is_no_docker_and_what_to_do() {
    let app = TestApp::start().await.unwrap();
    let commands = Commands::of(&app);
    let missing = "unix:///nonexistent/docker.sock";
    let found = commands
        .run(&["doctor", "--json", "--docker-host", missing])
        .await;
    assert_eq!(found.code, 1, "{found:?}");
    let findings: Value = serde_json::from_str(&found.out).unwrap();
    let docker = &findings[0];
    assert_eq!(docker["what"], "Docker");
    assert_eq!(docker["grade"], "bad");
    let text = docker["found"].as_str().unwrap();
    assert!(text.contains(missing), "{docker:#}");
    assert!(!docker["command"].as_str().unwrap().is_empty());
    let clock = findings.as_array().unwrap().iter();
    let clock = clock.filter(|one| one["what"] == "clock").count();
    assert_eq!(clock, 1);

    // A row of the future: the clock was set back.
    app.sql("update audit_events set created_at = created_at + 3600000000")
        .await
        .unwrap();
    let admin = app.admin().await.unwrap();
    organization_and_space(&admin, "acme").await.unwrap();
    app.sql("update audit_events set created_at = created_at + 3600000000")
        .await
        .unwrap();
    let found = commands.run(&["doctor", "--docker-host", missing]).await;
    assert!(found.out.contains("in the future"), "{found:?}");
}
