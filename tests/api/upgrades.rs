//! Databases of earlier versions: each file in `tests/fixtures/upgrade` is what a platform of one schema
//! version wrote, as SQL. A new schema gets a file of its own with `UPDATE=1`; one that is there is never
//! written again.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use cflite::config::Options;
use cflite::db::CURRENT_VERSION;
use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What is compared: lists that no worker shortens.
const LISTS: &[&str] = &[
    "/v3/organizations",
    "/v3/spaces",
    "/v3/apps",
    "/v3/processes",
    "/v3/routes",
    "/v3/roles",
    "/v3/service_instances",
    "/v3/organization_quotas",
    "/v3/space_quotas",
    "/v3/security_groups",
    "/v3/isolation_segments",
    "/v3/users",
];
/// Where there may be more with a newer version: built-in ones are added.
const GROWING: &[&str] = &[
    "/v3/buildpacks",
    "/v3/domains",
    "/v3/feature_flags",
    "/v3/stacks",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/upgrade")
}

async fn count(admin: &TestClient, list: &str) -> u64 {
    let found = admin.get(list).await.unwrap();
    assert_eq!(found.status, 200, "{list}: {found:?}");
    found.body["pagination"]["total_results"].as_u64().unwrap()
}

/// One of many things, some of them with secrets.
async fn fill(app: &TestApp) {
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let post = async |path: &str, body: Value| {
        let made = admin.post(path, &body).await.unwrap();
        assert!(matches!(made.status, 200 | 201), "{path}: {made:?}");
        made.text("/guid").to_owned()
    };
    let of_space = related("space", &space);
    let body = json!({
        "name": "web", "relationships": of_space,
        "environment_variables": { "SECRET": "kept" },
        "metadata": { "labels": { "team": "blue" }, "annotations": { "note": "kept" } },
    });
    let web = post("/v3/apps", body).await;
    let types = json!({ "web": "run web", "worker": "run worker" });
    app.droplet(&admin, &web, types).await.unwrap();
    let shared = admin.get("/v3/domains?names=cf.localhost").await.unwrap();
    let mut of_route = of_space.clone();
    of_route["domain"] = json!({ "data": { "guid": shared.text("/resources/0/guid") } });
    post(
        "/v3/routes",
        json!({ "host": "web", "relationships": of_route }),
    )
    .await;
    let body = json!({
        "type": "user-provided", "name": "own", "relationships": of_space,
        "credentials": { "password": "kept" },
    });
    post("/v3/service_instances", body).await;
    post(
        "/v3/organization_quotas",
        json!({ "name": "small", "apps": { "total_memory_in_mb": 512 } }),
    )
    .await;
    let of_organization = related("organization", &organization);
    post(
        "/v3/space_quotas",
        json!({ "name": "tiny", "relationships": of_organization }),
    )
    .await;
    post("/v3/security_groups", json!({ "name": "all" })).await;
    post("/v3/isolation_segments", json!({ "name": "apart" })).await;
    let member = ("somebody", "space_developer");
    app.member(member, (&organization, &space)).await.unwrap();
}

/// All tables and rows of a database as SQL.
fn dump(database: &Path) -> String {
    let connection = Connection::open(database).unwrap();
    let version: i64 = connection
        .query_row("pragma user_version", [], |row| row.get(0))
        .unwrap();
    let mut text = String::new();
    let query = "select type, name, sql from sqlite_schema where sql is not null
        and name not like 'sqlite_%' order by type <> 'table', rowid";
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let schema: Vec<(String, String, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let (tables, others): (Vec<_>, Vec<_>) = schema.into_iter().partition(|one| one.0 == "table");
    for (_, _, sql) in &tables {
        writeln!(text, "{sql};").unwrap();
    }
    for (_, name, sql) in &tables {
        // The lines of a search index are written with its table.
        if !sql.to_lowercase().starts_with("create table") {
            continue;
        }
        // Without generated columns.
        let query = format!("select name from pragma_table_info('{name}')");
        let mut statement = connection.prepare(&query).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        let names: Vec<String> = names.collect::<Result<_, _>>().unwrap();
        let quoted: Vec<String> = names.iter().map(|name| format!("quote({name})")).collect();
        let query = format!("select {} from {name}", quoted.join(", "));
        let mut statement = connection.prepare(&query).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..names.len()).map(|at| row.get(at).unwrap()).collect();
            let (names, values) = (names.join(","), values.join(","));
            writeln!(text, "insert into {name} ({names}) values ({values});").unwrap();
        }
    }
    for (_, _, sql) in &others {
        writeln!(text, "{sql};").unwrap();
    }
    writeln!(text, "pragma user_version = {version};").unwrap();
    text
}

async fn write(path: &Path) {
    let app = TestApp::start().await.unwrap();
    fill(&app).await;
    let admin = app.admin().await.unwrap();
    let mut text = format!("-- A platform of schema version {CURRENT_VERSION}.\n");
    let key = std::fs::read(app.data_dir().join("secret-key")).unwrap();
    writeln!(text, "-- key {}", hex::encode(key)).unwrap();
    for list in LISTS.iter().chain(GROWING) {
        writeln!(text, "-- list {list} {}", count(&admin, list).await).unwrap();
    }
    let app = app.restart().await.unwrap();
    text.push_str(&dump(&app.data_dir().join("cflite.db")));
    std::fs::create_dir_all(folder()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What the first lines of a file say.
fn said<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    let lines = text.lines().take_while(|line| line.starts_with("--"));
    let begin = format!("-- {what} ");
    lines.filter_map(|line| line.strip_prefix(&begin)).collect()
}

async fn upgrade(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let key = hex::decode(said(&text, "key")[0]).unwrap();
    std::fs::write(data_dir.path().join("secret-key"), key).unwrap();
    std::fs::write(data_dir.path().join("platform-id"), "0123abcd").unwrap();
    let connection = Connection::open(data_dir.path().join("cflite.db")).unwrap();
    connection
        .execute_batch(&format!("begin;\n{text}\ncommit;"))
        .unwrap();
    drop(connection);
    let app = TestApp::start_on(data_dir, Options::default())
        .await
        .unwrap();
    let admin = app.admin().await.unwrap();
    for line in said(&text, "list") {
        let (list, before) = line.split_once(' ').unwrap();
        let (before, now): (u64, u64) = (before.parse().unwrap(), count(&admin, list).await);
        let same = now == before || (now > before && GROWING.contains(&list));
        assert!(
            same,
            "{}: {list} has {now} instead of {before}",
            path.display()
        );
    }
    let web = admin.get("/v3/apps?names=web").await.unwrap();
    assert_eq!(web.text("/resources/0/metadata/annotations/note"), "kept");
    let guid = web.text("/resources/0/guid");
    let variables = format!("/v3/apps/{guid}/environment_variables");
    assert_eq!(
        admin.get(&variables).await.unwrap().text("/var/SECRET"),
        "kept"
    );
    let own = admin.get("/v3/service_instances?names=own").await.unwrap();
    let credentials = format!(
        "/v3/service_instances/{}/credentials",
        own.text("/resources/0/guid")
    );
    assert_eq!(
        admin.get(&credentials).await.unwrap().text("/password"),
        "kept"
    );
    let scaled = json!({ "instances": 2 });
    let scale = format!("/v3/apps/{guid}/processes/worker/actions/scale");
    assert_eq!(admin.post(&scale, &scaled).await.unwrap().status, 202);
}

#[tokio::test]
async fn databases_of_earlier_versions_go_on() {
    let current = folder().join(format!("v{CURRENT_VERSION}.sql"));
    if std::env::var_os("UPDATE").is_some() && !current.exists() {
        write(&current).await;
    }
    assert!(
        current.exists(),
        "make one for this schema: UPDATE=1 cargo test --test api databases_of"
    );
    let files = std::fs::read_dir(folder()).unwrap();
    for file in files {
        upgrade(&file.unwrap().path()).await;
    }
}
