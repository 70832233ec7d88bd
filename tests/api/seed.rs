//! `cflite seed`: a file is applied once, and the second time nothing is left to do.

use std::path::Path;

use cflite::testing::TestApp;
use serde_json::{Value, json};

use super::binary::{Commands, rows};

const FILE: &str = "\
feature_flags: {user_org_creation: true}
quotas:
- {name: small, memory: 2G, routes: 10}
users:
- {name: ada, password: ada-has-one}
- {name: bob, password: bob-has-one}
orgs:
- name: acme
  quota: small
  managers: [ada]
  space_quotas: [{name: tight, instances: 4}]
  spaces:
  - name: dev
    quota: tight
    developers: [ada, bob]
    services:
    - {name: mail, credentials: {uri: 'smtp://one'}, tags: [mail]}
    apps:
    - {name: web, path: web, memory: 64M, services: [mail], env: {GREETING: hello}}
";

async fn guid(app: &TestApp, path: &str) -> String {
    let found = app.admin().await.unwrap().get(path).await.unwrap();
    found.text("/resources/0/guid").to_owned()
}

fn write(folder: &Path, text: &str) -> String {
    std::fs::create_dir_all(folder.join("web")).unwrap();
    std::fs::write(folder.join("web/index.html"), "hello").unwrap();
    std::fs::write(folder.join("seed.yml"), text).unwrap();
    folder.join("seed.yml").to_string_lossy().into_owned()
}

/// `kind name change` of what is not unchanged.
fn changes(plan: &Value) -> Vec<String> {
    let all = plan.as_array().unwrap().iter();
    let changed = all.filter(|item| item["change"] != "none");
    changed
        .map(|item| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            let differences = item["differences"].to_string();
            format!(
                "{} {} {} {differences}",
                text("change"),
                text("kind"),
                text("name")
            )
        })
        .collect()
}

/// All rows but those that say who read variables and credentials.
async fn unaudited(app: &TestApp) -> std::collections::BTreeMap<String, u64> {
    let mut all = rows(app).await;
    all.retain(|table, _| !table.starts_with("audit_event"));
    all
}

#[tokio::test]
async fn a_file_is_applied_once_and_changes_nothing_the_second_time() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), FILE);

    let before = rows(&app).await;
    let plan = commands.json(&["seed", &file, "--dry-run"]).await;
    assert_eq!(changes(&plan).len(), 12, "{plan:#}");
    assert_eq!(rows(&app).await, before, "a plan changes nothing");
    let refused = commands.run(&["seed", &file]).await;
    assert_eq!(refused.code, 1, "it asks: {refused:?}");
    assert_eq!(rows(&app).await, before);

    let done = commands.run(&["seed", &file, "--yes"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let admin = app.admin().await.unwrap();
    let org = admin.get("/v3/organizations?names=acme").await.unwrap();
    let quota = org.text("/resources/0/relationships/quota/data/guid");
    let quota = admin
        .get(&format!("/v3/organization_quotas/{quota}"))
        .await
        .unwrap();
    assert_eq!(quota.body["apps"]["total_memory_in_mb"], 2048);
    let web = guid(&app, "/v3/apps?names=web").await;
    let env = admin.get(&format!("/v3/apps/{web}/env")).await.unwrap();
    assert_eq!(env.body["environment_variables"]["GREETING"], "hello");
    let bound = &env.body["system_env_json"]["VCAP_SERVICES"]["user-provided"][0];
    assert_eq!(bound["credentials"]["uri"], "smtp://one", "{bound}");
    let found = admin.get(&format!("/v3/apps/{web}")).await.unwrap();
    assert_eq!(found.text("/state"), "STARTED");

    let settled = unaudited(&app).await;
    let plan = commands.json(&["seed", &file, "--yes"]).await;
    assert_eq!(changes(&plan), [""; 0]);
    assert_eq!(unaudited(&app).await, settled);
}

#[tokio::test]
async fn what_differs_is_told_and_brought_back_and_the_rest_stays() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), FILE);
    assert_eq!(commands.run(&["seed", &file, "--yes"]).await.code, 0);
    let admin = app.admin().await.unwrap();
    let web = guid(&app, "/v3/apps?names=web").await;
    let variables = json!({ "var": { "GREETING": "bye", "OTHER": "stays" } });
    let path = format!("/v3/apps/{web}/environment_variables");
    admin.patch(&path, &variables).await.unwrap();
    std::fs::write(folder.path().join("web/index.html"), "changed").unwrap();
    let text = FILE
        .replace("routes: 10", "routes: 11")
        .replace("smtp://one", "smtp://two");
    std::fs::write(&file, text).unwrap();

    let plan = commands.json(&["seed", &file, "--yes"]).await;
    assert_eq!(
        changes(&plan),
        [
            "update quota small [\"total_routes: 10 -> 11\"]",
            "update service acme/dev/mail [\"credentials\"]",
            "update app acme/dev/web [\"files\",\"env.GREETING\"]",
        ]
    );
    let env = admin.get(&format!("/v3/apps/{web}/env")).await.unwrap();
    let variables = &env.body["environment_variables"];
    assert_eq!(*variables, json!({ "GREETING": "hello", "OTHER": "stays" }));
    let plan = commands.json(&["seed", &file]).await;
    assert_eq!(changes(&plan), [""; 0]);
}

#[tokio::test]
async fn a_run_that_ended_half_way_is_completed_by_the_next() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), FILE);
    // Ended at another place each time; the last run is not.
    for millis in [40, 80, 160, 320, 640] {
        let mut child = commands.command(&["seed", &file, "--yes"]).spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        child.kill().await.unwrap();
    }
    let done = commands.run(&["seed", &file, "--yes"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let plan = commands.json(&["seed", &file]).await;
    assert_eq!(changes(&plan), [""; 0]);
    let users = "select count(*) from users where user_name in ('ada', 'bob')";
    assert_eq!(app.count(users).await.unwrap(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_applied_changes_nothing() {
    let app = TestApp::with_stack().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let before = rows(&app).await;
    for (text, fault) in [
        (
            "orgs:\n- {name: a, spcaes: []}",
            "line 2: unknown key \"spcaes\" of an org; did you mean \"spaces\"?",
        ),
        ("orgs: [", "at line"),
        (
            "orgs:\n- {name: a, quota: none-such}",
            "line 2: there is no quota none-such",
        ),
        (
            "orgs:\n- {name: a, managers: [eve]}",
            "line 2: the user eve is neither on the platform nor among users",
        ),
        (
            "orgs:\n- name: a\n  spaces:\n  - {name: b, services: [{name: c, offering: d}]}",
            "the marketplace has no plan small of an offering d",
        ),
    ] {
        let file = write(folder.path(), text);
        let refused = commands.run(&["seed", &file, "--yes"]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(fault), "{fault}: {}", refused.err);
        assert!(refused.err.contains("seed.yml"), "{}", refused.err);
    }
    assert_eq!(rows(&app).await, before);
}
