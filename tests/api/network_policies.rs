//! `/networking/v1/external/policies`: what the cf CLI makes of `add-network-policy`,
//! `network-policies` and `remove-network-policy`; and what containers get of them.

use std::time::Duration;

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::{Value, json};

use crate::staging::{ask_for_build, end_of, pushed};

const PATH: &str = "/networking/v1/external/policies";

fn policy(source: &str, destination: &str, port: u16) -> Value {
    json!({
        "source": { "id": source },
        "destination": {
            "id": destination, "protocol": "tcp", "ports": { "start": port, "end": port },
        },
    })
}

async fn add(client: &TestClient, policies: &[Value]) -> Answer {
    let body = json!({ "policies": policies });
    client.post(PATH, &body).await.unwrap()
}

async fn remove(client: &TestClient, policies: &[Value]) -> Answer {
    let body = json!({ "policies": policies });
    client.post(&format!("{PATH}/delete"), &body).await.unwrap()
}

async fn list(client: &TestClient, query: &str) -> Value {
    let listed = client.get(&format!("{PATH}{query}")).await.unwrap();
    assert_eq!(listed.status, 200, "{listed:?}");
    let policies = listed.body["policies"].clone();
    assert_eq!(
        listed.body["total_policies"],
        policies.as_array().unwrap().len()
    );
    policies
}

fn said(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.text("/error"))
}

const NO_ACCESS: (u16, &str) = (403, "one or more applications cannot be found or accessed");

#[tokio::test]
async fn policies_are_added_listed_and_removed() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let root = admin.get("/").await.unwrap();
    let link = root.text("/links/network_policy_v1/href");
    assert_eq!(link, format!("{}/networking/v1/external", app.url()));
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let one = app_in_space(&admin, &space, "one").await.unwrap();
    let two = app_in_space(&admin, &space, "two").await.unwrap();
    let (there, back) = (policy(&one, &two, 8080), policy(&two, &one, 9000));
    let added = add(&admin, &[there.clone(), back.clone()]).await;
    assert_eq!((added.status, added.body), (200, json!({})));
    assert_eq!(
        add(&admin, std::slice::from_ref(&there)).await.status,
        200,
        "again"
    );

    assert_eq!(list(&admin, "").await.as_array().unwrap().len(), 2);
    assert_eq!(
        list(&admin, &format!("?id={one}"))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        list(&admin, &format!("?source_id={one}")).await,
        json!([there])
    );
    assert_eq!(
        list(&admin, &format!("?dest_id={one}")).await,
        json!([back])
    );
    let query = format!("?source_id={one}&dest_id={one}");
    assert_eq!(list(&admin, &query).await, json!([]));

    for _ in 0..2 {
        let removed = remove(&admin, std::slice::from_ref(&there)).await;
        assert_eq!((removed.status, removed.body), (200, json!({})));
    }
    assert_eq!(list(&admin, "").await, json!([back]));
    admin.delete(&format!("/v3/apps/{one}")).await.unwrap();
    assert_eq!(
        app.count("select count(*) from network_policies")
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn what_is_wrong_changes_nothing() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let one = app_in_space(&admin, &space, "one").await.unwrap();
    let good = policy(&one, &one, 80);
    let mut bad = good.clone();
    bad["destination"]["protocol"] = json!("icmp");
    let refused = add(&admin, &[good.clone(), bad]).await;
    let text = "mapper: validate policies: invalid destination protocol, specify either udp or tcp";
    assert_eq!(said(&refused), (400, text));
    let missing = add(&admin, &[good.clone(), policy(&one, "missing", 80)]).await;
    assert_eq!(said(&missing), NO_ACCESS);
    let broken = {
        admin
            .raw("POST", PATH, "application/json", b"{".to_vec())
            .await
    }
    .unwrap();
    assert!(
        said(&broken).1.starts_with("mapper: unmarshal json: "),
        "{broken:?}"
    );
    assert_eq!(list(&admin, "").await, json!([]));

    let nobody = app.anonymous();
    assert_eq!(
        said(&add(&nobody, &[good]).await),
        (401, "missing authorization header")
    );
    let forged = nobody.with_token("forged").get(PATH).await.unwrap();
    assert_eq!(said(&forged), (401, "failed to verify token with uaa"));
}

#[tokio::test]
async fn developers_connect_the_apps_of_their_spaces() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (_, foreign) = organization_and_space(&admin, "other").await.unwrap();
    let one = app_in_space(&admin, &space, "one").await.unwrap();
    let two = app_in_space(&admin, &space, "two").await.unwrap();
    let hidden = app_in_space(&admin, &foreign, "hidden").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let dora = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let audrey = app
        .member(("audrey", "space_auditor"), place)
        .await
        .unwrap();

    assert_eq!(add(&dora, &[policy(&one, &two, 80)]).await.status, 200);
    assert_eq!(
        said(&add(&dora, &[policy(&one, &hidden, 80)]).await),
        NO_ACCESS
    );
    assert_eq!(
        said(&add(&audrey, &[policy(&one, &two, 81)]).await),
        NO_ACCESS
    );
    assert_eq!(
        said(&remove(&audrey, &[policy(&one, &two, 80)]).await),
        NO_ACCESS
    );
    assert_eq!(add(&admin, &[policy(&one, &hidden, 80)]).await.status, 200);
    assert_eq!(list(&dora, "").await, json!([policy(&one, &two, 80)]));
    assert_eq!(list(&audrey, "").await, json!([]));

    let many: Vec<Value> = (100..250).map(|port| policy(&two, &one, port)).collect();
    assert_eq!(add(&dora, &many).await.status, 200);
    let more = policy(&two, &one, 300);
    assert_eq!(
        said(&add(&dora, std::slice::from_ref(&more)).await),
        (403, "policy quota exceeded")
    );
    assert_eq!(add(&admin, &[more]).await.status, 200, "admins may");
}

/// The newest table that the machine's firewall was given.
fn table(app: &TestApp) -> String {
    let commands = app.engine().commands().into_iter().rev();
    let mut tables = commands.filter(|command| command.words.join(" ").contains("nft"));
    tables
        .next()
        .map(|command| command.input)
        .unwrap_or_default()
}

async fn until_table(app: &TestApp, holds: impl Fn(&str) -> bool) -> String {
    for _ in 0..500 {
        let table = table(app);
        if holds(&table) {
            return table;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never there: {}", table(app));
}

#[tokio::test]
async fn running_apps_get_what_policies_and_groups_allow() {
    let app = TestApp::with_stack().await.unwrap();
    let admin = app.admin().await.unwrap();
    // Staging builds the image that the rules are put in place with.
    let (web, package) = pushed(&admin, "").await;
    let build = ask_for_build(&admin, &package).await;
    let droplet = end_of(&admin, &build)
        .await
        .text("/droplet/guid")
        .to_owned();
    let path = format!("/v3/apps/{web}/relationships/current_droplet");
    let assigned = admin
        .patch(&path, &json!({ "data": { "guid": droplet } }))
        .await;
    assert_eq!(assigned.unwrap().status, 200);
    let shown = admin.get(&format!("/v3/apps/{web}")).await.unwrap();
    let space = shown.text("/relationships/space/data/guid").to_owned();
    let started = admin
        .post(&format!("/v3/apps/{web}/actions/start"), &json!({}))
        .await;
    assert_eq!(started.unwrap().status, 200);
    let chain = format!("goto app-{web}");
    let table = until_table(&app, |table| table.contains(&chain)).await;
    assert!(!table.contains("tcp dport { 8080 } accept"), "{table}");

    assert_eq!(add(&admin, &[policy(&web, &web, 8080)]).await.status, 200);
    until_table(&app, |table| table.contains("tcp dport { 8080 } accept")).await;

    let rules = json!([{ "protocol": "tcp", "destination": "10.1.2.3", "ports": "5432" }]);
    let spaces = json!({ "data": [{ "guid": space }] });
    let body = json!({
        "name": "database", "rules": rules, "relationships": { "running_spaces": spaces },
    });
    let made = admin.post("/v3/security_groups", &body).await.unwrap();
    let jump = format!("jump group-{}", made.text("/guid"));
    let table = until_table(&app, |table| table.contains(&jump)).await;
    assert!(
        table.contains("ip daddr { 10.1.2.3 } tcp dport { 5432 } accept"),
        "{table}"
    );
}
