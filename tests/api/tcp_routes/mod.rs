//! TCP routes: router groups, what the cf CLI makes of `create-shared-domain --router-group`,
//! `create-route --port`, `map-route --port` and manifests, and connections through them.

mod connections;
mod groups;
mod rules;

use cflite::testing::{Answer, TestClient};
use serde_json::{Value, json};

pub(super) const GROUPS: &str = "/routing/v1/router_groups";

pub(super) async fn put(client: &TestClient, path: &str, body: &str) -> Answer {
    let body = body.as_bytes().to_vec();
    let sent = client.raw("PUT", path, "application/json", body).await;
    sent.unwrap()
}

pub(super) async fn tcp_domain(client: &TestClient) -> Value {
    let found = client.get("/v3/domains?names=tcp.cf.localhost").await;
    found.unwrap().body["resources"][0].clone()
}

pub(super) fn guid(resource: &Value) -> &str {
    resource["guid"].as_str().unwrap()
}

pub(super) fn wanted(space: &str, domain: &str, port: Option<u16>) -> Value {
    let mut body = json!({ "relationships": {
        "space": { "data": { "guid": space } }, "domain": { "data": { "guid": domain } },
    } });
    if let Some(port) = port {
        body["port"] = json!(port);
    }
    body
}

pub(super) async fn make(client: &TestClient, body: &Value) -> Answer {
    client.post("/v3/routes", body).await.unwrap()
}
