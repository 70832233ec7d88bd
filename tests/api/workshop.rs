//! `cflite workshop`: accounts and spaces for a group, reset and removed without a trace.

use std::os::unix::fs::PermissionsExt;

use cflite::testing::TestApp;
use serde_json::{Value, json};

use super::binary::{Commands, rows};

const ORGS: &str = "select count(*) from organizations";
const USERS: &str = "select count(*) from users";

fn lesson(folder: &std::path::Path) -> String {
    let lesson = folder.join("web");
    std::fs::create_dir_all(&lesson).unwrap();
    std::fs::write(lesson.join("index.html"), "hello").unwrap();
    lesson.to_string_lossy().into_owned()
}

async fn passwords(commands: &Commands) -> Vec<(String, String)> {
    let list = commands.json(&["workshop", "list", "--passwords"]).await;
    let users = list["users"].as_array().unwrap().iter();
    let text = |user: &Value, key: &str| user[key].as_str().unwrap().to_owned();
    users
        .map(|user| (text(user, "user"), text(user, "password")))
        .collect()
}

#[tokio::test]
async fn a_participant_has_a_card_and_sees_only_the_own_org() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let lesson = lesson(folder.path());
    let create = ["workshop", "create", "--users", "3", "--lesson", &lesson];
    let made = commands.json(&create).await;
    let page = made["page"].as_str().unwrap();
    let mode = std::fs::metadata(page).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let html = std::fs::read_to_string(page).unwrap();
    let all = passwords(&commands).await;
    assert_eq!(all.len(), 3);
    for (name, password) in &all {
        assert!(html.contains(name.as_str()) && html.contains(password.as_str()));
        let form = [
            ("grant_type", "password"),
            ("username", name.as_str()),
            ("password", password.as_str()),
        ];
        let token = app.anonymous().token(&form).await.unwrap();
        let user = app.anonymous().with_token(token.text("/access_token"));
        let orgs = user.get("/v3/organizations").await.unwrap();
        assert_eq!(orgs.names(), [name]);
        let apps = user.get("/v3/apps").await.unwrap();
        assert_eq!(apps.names(), ["web"]);
        assert_eq!(apps.text("/resources/0/state"), "STARTED");
        let routes = user.get("/v3/routes").await.unwrap();
        assert_eq!(
            routes.text("/resources/0/host"),
            format!("web-{name}"),
            "{routes:?}"
        );
        let org = orgs.text("/resources/0/guid");
        let space = json!({ "name": "own", "relationships": { "organization": { "data": { "guid": org } } } });
        let space = user.post("/v3/spaces", &space).await.unwrap();
        assert_eq!(space.status, 201, "a manager makes spaces: {space:?}");
    }
    let builds = app.count("select count(*) from builds").await.unwrap();
    assert_eq!(builds, 1, "the others have copies of the droplet");
    let list = commands.run(&["workshop", "list"]).await;
    assert!(list.out.contains("student-02     web started"), "{list:?}");
    assert!(
        !list.out.contains(&all[0].1),
        "no passwords unless asked for"
    );
}

#[tokio::test]
async fn the_end_removes_what_the_workshop_made_and_nothing_else() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let admin = app.admin().await.unwrap();
    app.user("student-x").await.unwrap();
    let other = json!({ "name": "student-y" });
    admin.post("/v3/organizations", &other).await.unwrap();
    let before = (
        app.count(ORGS).await.unwrap(),
        app.count(USERS).await.unwrap(),
    );
    let quotas = "select count(*) from organization_quotas";
    let quotas_before = app.count(quotas).await.unwrap();

    let made = commands.run(&["workshop", "create", "--users", "2"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let page = app.data_dir().join("workshop.html");
    assert!(page.exists());
    let refused = commands.run(&["workshop", "end"]).await;
    assert_eq!(refused.code, 1, "it asks");
    let fewer = commands.run(&["workshop", "create", "--users", "1"]).await;
    assert!(fewer.err.contains("has 2 users already"), "{fewer:?}");
    let more = commands.run(&["workshop", "create", "--users", "3"]).await;
    assert_eq!(more.code, 0, "{more:?}");
    assert_eq!(app.count(ORGS).await.unwrap(), before.0 + 3);

    let ended = commands.run(&["workshop", "end", "--yes"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let after = (
        app.count(ORGS).await.unwrap(),
        app.count(USERS).await.unwrap(),
    );
    assert_eq!(after, before);
    assert_eq!(app.count(quotas).await.unwrap(), quotas_before);
    assert!(!page.exists());
    assert!(!app.data_dir().join("workshop.json").exists());
    let none = commands.run(&["workshop", "end", "--yes"]).await;
    assert!(none.err.contains("there is no workshop"), "{none:?}");
}

#[tokio::test]
async fn what_others_have_is_neither_taken_nor_removed() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    app.user("student-02").await.unwrap();
    let before = rows(&app).await;
    let refused = commands.run(&["workshop", "create", "--users", "2"]).await;
    assert!(
        refused.err.contains("there is a user student-02 already"),
        "{refused:?}"
    );
    assert_eq!(rows(&app).await, before, "nothing was made");
    assert!(!app.data_dir().join("workshop.json").exists());
    for (arguments, fault) in [
        (&["--prefix", "Aa"][..], "--prefix Aa: it has to be"),
        (&["--quota", "memroy=1G"], "did you mean \"memory\"?"),
        (&["--lesson", "/nonexistent"], "cannot read /nonexistent"),
        (&["--share"], " --bind 0.0.0.0 --domain"),
    ] {
        let words = [&["workshop", "create", "--users", "1"], arguments].concat();
        let refused = commands.run(&words).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(fault), "{fault}: {}", refused.err);
    }
    assert_eq!(rows(&app).await, before);
}

#[tokio::test]
async fn a_create_that_was_killed_is_completed_with_the_same_passwords() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let lesson = lesson(folder.path());
    let create = ["workshop", "create", "--users", "3", "--lesson", &lesson];
    let mut known = Vec::new();
    for millis in [50, 150, 300, 600] {
        let mut child = commands.command(&create).spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        child.kill().await.unwrap();
        if app.data_dir().join("workshop.json").exists() {
            let now = passwords(&commands).await;
            assert!(known.is_empty() || known == now, "passwords stay");
            known = now;
        }
    }
    let made = commands.run(&create).await;
    assert_eq!(made.code, 0, "{made:?}");
    let list = commands.json(&["workshop", "list"]).await;
    for user in list["users"].as_array().unwrap() {
        assert_eq!(user["apps"], json!(["web started"]));
    }
    let ended = commands.run(&["workshop", "end", "--yes"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(app.count("select count(*) from apps").await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_brings_the_lesson_and_the_password_back() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let lesson = lesson(folder.path());
    let create = ["workshop", "create", "--users", "2", "--lesson", &lesson];
    commands.json(&create).await;
    let all = passwords(&commands).await;
    let (name, password) = &all[0];
    let admin = app.admin().await.unwrap();
    let apps = admin.get("/v3/apps").await.unwrap();
    for resource in apps.body["resources"].as_array().unwrap() {
        let path = format!("/v3/apps/{}", resource["guid"].as_str().unwrap());
        admin.delete(&path).await.unwrap();
    }
    let user = admin
        .get(&format!("/Users?filter=userName+eq+%22{name}%22"))
        .await
        .unwrap();
    let path = format!("/Users/{}/password", user.text("/resources/0/id"));
    let body = json!({ "password": "forgotten-in-the-break" }).to_string();
    let changed = admin.raw("PUT", &path, "application/json", body.into_bytes());
    assert_eq!(changed.await.unwrap().status, 200);

    let reset = commands.run(&["workshop", "reset", name, "--yes"]).await;
    assert_eq!(reset.code, 0, "{reset:?}");
    let form = [
        ("grant_type", "password"),
        ("username", name.as_str()),
        ("password", password.as_str()),
    ];
    let token = app.anonymous().token(&form).await.unwrap();
    let user = app.anonymous().with_token(token.text("/access_token"));
    let apps = user.get("/v3/apps").await.unwrap();
    assert_eq!(apps.names(), ["web"]);
    let list = commands.json(&["workshop", "list"]).await;
    assert_ne!(
        list["users"][1]["apps"],
        json!(["web started"]),
        "the other's stay"
    );
    let nobody = commands.run(&["workshop", "reset", "eve", "--yes"]).await;
    assert!(nobody.err.contains("nobody of the workshop"), "{nobody:?}");
}
