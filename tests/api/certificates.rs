//! The platform's authority for this machine, and the certificates of its domains.

use std::path::Path;
use std::process::Command;

use cflite::testing::{TestApp, TestClient};
use serde_json::{Value, json};

use crate::binary::Commands;

#[tokio::test]
async fn commands_let_the_machine_trust_the_platform_and_forget_it() {
    let app = TestApp::start().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let store = folder.path().join("usr/local/share/ca-certificates");
    std::fs::create_dir_all(&store).unwrap();
    let state = async |words: &[&str]| {
        let words = [words, &["--root", root, "--json"]].concat();
        let ended = commands.run(&words).await;
        let shown: Value = serde_json::from_str(&ended.out).expect("JSON");
        let state = shown["stores"][0]["state"].as_str().unwrap().to_owned();
        (ended.code, state)
    };
    let is = |code: i32, state: &str| (code, state.to_owned());
    assert_eq!(state(&["trust", "status"]).await, is(1, "not trusted"));
    assert_eq!(state(&["trust", "install"]).await, is(0, "added"));
    assert_eq!(state(&["trust", "install"]).await, is(0, "unchanged"));
    assert_eq!(state(&["trust", "status"]).await, is(0, "trusted"));
    let exported = commands.run(&["trust", "export"]).await.out;
    assert!(exported.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(!exported.contains("PRIVATE"), "{exported}");
    let file = folder.path().join("cflite.pem");
    let path = file.to_str().unwrap();
    assert_eq!(commands.run(&["trust", "export", path]).await.code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported);
    // Also into the present folder.
    let mut here = commands.command(&["trust", "export", "here.pem"]);
    here.current_dir(folder.path());
    assert_eq!(crate::binary::ended(here).await.code, 0);
    let here = std::fs::read_to_string(folder.path().join("here.pem"));
    assert_eq!(here.unwrap(), exported);
    let installed = std::fs::read_dir(&store).unwrap().next().unwrap().unwrap();
    let installed = std::fs::read_to_string(installed.path()).unwrap();
    assert_eq!(installed, exported);
    assert_eq!(state(&["trust", "remove"]).await, is(0, "removed"));
    let again = commands.run(&["trust", "remove", "--root", root]).await;
    let expected = format!("The system ({}): unchanged\n", store.display());
    assert_eq!((again.code, again.out), (0, expected));

    // A system that keeps authorities elsewhere.
    let other = tempfile::tempdir().unwrap();
    let words = ["trust", "install", "--root", other.path().to_str().unwrap()];
    let refused = commands.run(&words).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("cflite trust export"), "{refused:?}");
}

/// Whether a client that trusts only the platform's authority reaches a host over HTTPS.
fn reaches(authority: &Path, host: &str, port: u16) -> bool {
    let place = format!("{host}:{port}:127.0.0.1");
    let url = format!("https://{host}:{port}/");
    let curl = ["--silent", "--output", "/dev/null", "--max-time", "10"];
    let mut command = Command::new("curl");
    command.args(curl).args(["--resolve", &place, "--cacert"]);
    let ended = command.arg(authority).arg(&url).status();
    ended.expect("curl runs").success()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_domain_has_a_certificate_as_long_as_it_is_there() {
    let app = TestApp::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let path = authority.to_str().unwrap();
    let exported = Commands::of(&app).run(&["trust", "export", path]).await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let admin: TestClient = app.admin().await.unwrap();
    let port = app.https_port();
    assert!(reaches(&authority, "api.cf.localhost", port));
    assert!(!reaches(&authority, "shop.example.test", port));
    let domain = json!({ "name": "example.test" });
    let made = admin.post("/v3/domains", &domain).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let until = async |expected: bool| {
        for _ in 0..200 {
            if reaches(&authority, "shop.example.test", port) == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("never: {expected}");
    };
    until(true).await;
    assert!(reaches(&authority, "example.test", port));
    assert!(!reaches(&authority, "example.org", port));
    let path = format!("/v3/domains/{}", made.text("/guid"));
    let deleted = admin.delete(&path).await.unwrap();
    assert_eq!(deleted.status, 202, "{deleted:?}");
    until(false).await;
}
