//! `cflite promote`, `import` and `check` between two platforms of this process.

use std::io::Read;

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

use super::binary::{Commands, Ended, ended, rows};

/// A droplet of one file, and the same whoever makes it.
fn droplet() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    let name = "./app/index.html";
    tar.append_data(&mut header, name, &b"hello"[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn content(archive: &[u8]) -> String {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("index.html") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            return text;
        }
    }
    String::new()
}

struct Side {
    app: TestApp,
    admin: TestClient,
    space: String,
}

/// A platform with the space acme/dev.
async fn side() -> Side {
    let app = TestApp::with_stack().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    Side { app, admin, space }
}

impl Side {
    /// An app with an uploaded droplet, a variable, a route and a service.
    async fn with_app(&self) {
        let guid = app_in_space(&self.admin, &self.space, "web").await.unwrap();
        self.service(&json!({ "uri": "smtp://one" })).await;
        let manifest = "applications:\n- name: web\n  memory: 64M\n  env: {GREETING: hello}\n  services: [mail]\n  routes: [{route: web.cf.localhost}]\n";
        let path = format!("/v3/spaces/{}/actions/apply_manifest", self.space);
        let applied = self.admin.raw(
            "POST",
            &path,
            "application/x-yaml",
            manifest.as_bytes().to_vec(),
        );
        assert_eq!(applied.await.unwrap().status, 202);
        let body =
            json!({ "relationships": related("app", &guid), "process_types": { "web": "./run" } });
        let made = self.admin.post("/v3/droplets", &body).await.unwrap();
        let made = made.text("/guid").to_owned();
        let path = format!("/v3/droplets/{made}/upload");
        let sent = self.admin.upload_file(&path, "droplet.tgz", droplet());
        let sent = sent.await.unwrap();
        loop {
            match self.admin.job_of(&sent).await.unwrap().text("/state") {
                "COMPLETE" => break,
                "FAILED" => panic!("{sent:?}"),
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
        let path = format!("/v3/apps/{guid}/relationships/current_droplet");
        let current = json!({ "data": { "guid": made } });
        assert_eq!(self.admin.patch(&path, &current).await.unwrap().status, 200);
        let path = format!("/v3/apps/{guid}/actions/start");
        assert_eq!(
            self.admin.post(&path, &json!({})).await.unwrap().status,
            200
        );
    }

    async fn service(&self, credentials: &Value) {
        let body = json!({
            "type": "user-provided", "name": "mail", "credentials": credentials,
            "relationships": related("space", &self.space),
        });
        let made = self
            .admin
            .post("/v3/service_instances", &body)
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// The content of the app's droplet, its command and its variables.
    async fn app(&self) -> (String, Value, Value) {
        let app = self.admin.get("/v3/apps?names=web").await.unwrap();
        assert_eq!(app.text("/resources/0/state"), "STARTED", "{app:?}");
        let app = app.text("/resources/0/guid");
        let path = format!("/v3/apps/{app}/droplets/current");
        let droplet = self.admin.get(&path).await.unwrap();
        let path = format!("/v3/droplets/{}/download", droplet.text("/guid"));
        let archive = self.admin.download(&path).await.unwrap();
        let env = self
            .admin
            .get(&format!("/v3/apps/{app}/env"))
            .await
            .unwrap();
        let types = droplet.body["process_types"].clone();
        (content(&archive), types, env.body)
    }
}

/// Runs a command of `from` that asks `to`.
async fn run(commands: &Commands, words: &[&str], to: &Side) -> Ended {
    let url = to.app.url();
    let words: Vec<&str> = { words.iter() }
        .map(|word| if *word == "API" { url.as_str() } else { *word })
        .collect();
    let mut command = commands.command(&words);
    command
        .args(["--user", "admin"])
        .env("CFLITE_TARGET_PASSWORD", "only-for-tests");
    ended(command).await
}

#[tokio::test]
async fn an_app_is_promoted_with_its_droplet_manifest_services_and_routes() {
    let (here, there) = (side().await, side().await);
    here.with_app().await;
    let commands = Commands::of(&here.app);
    let before = rows(&there.app).await;
    let promote = [
        "promote", "web", "--to", "API", "--org", "acme", "--space", "dev", "--yes",
    ];

    let refused = run(&commands, &promote, &there).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let missing = "no instance of that name   cf create-user-provided-service mail";
    assert!(refused.out.contains(missing), "{}", refused.out);
    assert_eq!(rows(&there.app).await, before, "nothing was changed");

    there.service(&json!({ "uri": "smtp://two" })).await;
    let done = run(&commands, &promote, &there).await;
    assert_eq!(done.code, 0, "{done:?}");
    let (text, types, env) = there.app().await;
    assert_eq!(text, "hello", "the very droplet");
    assert_eq!(types["web"], "./run");
    assert_eq!(env["environment_variables"]["GREETING"], "hello");
    let bound = &env["system_env_json"]["VCAP_SERVICES"]["user-provided"][0];
    assert_eq!(
        bound["credentials"]["uri"], "smtp://two",
        "the service there"
    );
    let routes = there.admin.get("/v3/routes?hosts=web").await.unwrap();
    assert_eq!(routes.text("/resources/0/url"), "web.cf.localhost");

    let again = run(&commands, &promote, &there).await;
    assert_eq!(again.code, 0, "it can be done again: {again:?}");
    let apps = there.admin.get("/v3/apps").await.unwrap();
    assert_eq!(apps.names(), ["web"]);
}

#[tokio::test]
async fn a_check_says_what_differs_and_changes_nothing() {
    let (here, there) = (side().await, side().await);
    here.with_app().await;
    let commands = Commands::of(&here.app);
    let before = rows(&there.app).await;
    let check = [
        "check",
        "acme/dev/web",
        "--against",
        "API",
        "--org",
        "acme",
        "--json",
    ];
    let fine = run(&commands, &check, &there).await;
    assert_eq!(
        fine.code, 0,
        "without a space services are only offered: {fine:?}"
    );
    let quota = json!({ "name": "tiny", "apps": { "total_memory_in_mb": 32 } });
    let quota = there
        .admin
        .post("/v3/organization_quotas", &quota)
        .await
        .unwrap();
    let org = there
        .admin
        .get("/v3/organizations?names=acme")
        .await
        .unwrap();
    let path = format!(
        "/v3/organization_quotas/{}/relationships/organizations",
        quota.text("/guid")
    );
    let member = json!({ "data": [{ "guid": org.text("/resources/0/guid") }] });
    there.admin.post(&path, &member).await.unwrap();
    let changed = rows(&there.app).await;
    assert_ne!(changed, before);

    let words = [&check[..], &["--space", "dev"]].concat();
    let blocked = run(&commands, &words, &there).await;
    assert_eq!(blocked.code, 1, "{blocked:?}");
    let document: Value = serde_json::from_str(&blocked.out).unwrap();
    assert_eq!(document["runs"], false);
    let findings = document["findings"].as_array().unwrap().iter();
    let missing: Vec<&str> = findings
        .filter(|one| one["verdict"] == "missing")
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(missing, ["service mail", "memory in the quota"]);
    assert_eq!(rows(&there.app).await, changed);
}

#[tokio::test]
async fn the_apps_of_a_space_are_imported_with_their_services() {
    let (here, there) = (side().await, side().await);
    there.with_app().await;
    let commands = Commands::of(&here.app);
    let import = ["import", "--from", "API", "acme/dev", "--into", "copy/dev"];
    let dry = run(&commands, &[&import[..], &["--dry-run"]].concat(), &there).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("made with its credentials"), "{}", dry.out);
    let none = here
        .admin
        .get("/v3/organizations?names=copy")
        .await
        .unwrap();
    assert_eq!(none.body["pagination"]["total_results"], 0);

    let done = run(&commands, &[&import[..], &["--yes"]].concat(), &there).await;
    assert_eq!(done.code, 0, "{done:?}");
    let (text, types, env) = here.app().await;
    assert_eq!(text, "hello");
    assert_eq!(types["web"], "./run");
    let bound = &env["system_env_json"]["VCAP_SERVICES"]["user-provided"][0];
    assert_eq!(bound["credentials"]["uri"], "smtp://one");
    let again = run(&commands, &[&import[..], &["--yes"]].concat(), &there).await;
    assert_eq!(again.code, 0, "it can be done again: {again:?}");
    assert!(
        again.out.contains("a service of this name is here"),
        "{}",
        again.out
    );

    // The route is taken by now: the app of another space comes without it.
    let other = [&import[..4], &["--into", "other/dev", "--yes"]].concat();
    let done = run(&commands, &other, &there).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("1 routes left out"), "{}", done.out);
}

#[tokio::test]
async fn who_cannot_sign_in_is_told_how() {
    let (here, there) = (side().await, side().await);
    here.with_app().await;
    let commands = Commands::of(&here.app);
    let url = there.app.url();
    let home = tempfile::tempdir().unwrap();
    let with = |words: &[&str], password: &str| {
        let mut command = commands.command(words);
        command
            .env("CF_HOME", home.path())
            .env("CFLITE_TARGET_PASSWORD", password);
        command
    };
    let check = ["check", "web", "--against", &url];
    let user = [&check[..], &["--user", "admin"]].concat();
    for (command, fault) in [
        (with(&check, ""), "the cf CLI is not logged in at"),
        (with(&user, "wrong"), "cannot sign in"),
        (with(&user, ""), "set the password of admin"),
        (
            with(&["check", "none", "--against", &url], ""),
            "there is no app \"none\"",
        ),
        (
            with(
                &[
                    "check",
                    "web",
                    "--against",
                    "http://127.0.0.1:1",
                    "--user",
                    "a",
                ],
                "b",
            ),
            "cannot reach http://127.0.0.1:1",
        ),
    ] {
        let refused = ended(command).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(fault), "{fault}: {}", refused.err);
    }

    // The log-in of the cf CLI, whose access token has expired.
    let form = [
        ("grant_type", "password"),
        ("username", "admin"),
        ("password", "only-for-tests"),
    ];
    let token = there.app.anonymous().token(&form).await.unwrap();
    let config = json!({
        "Target": url, "AccessToken": "bearer expired", "RefreshToken": token.text("/refresh_token"),
        "OrganizationFields": { "Name": "acme" }, "SpaceFields": { "Name": "dev" },
    });
    std::fs::create_dir_all(home.path().join(".cf")).unwrap();
    std::fs::write(home.path().join(".cf/config.json"), config.to_string()).unwrap();
    let found = ended(with(&check, "")).await;
    assert!(found.out.contains("service mail"), "{found:?}");
    assert!(
        found.out.contains("no instance of that name"),
        "its space: {found:?}"
    );
}
