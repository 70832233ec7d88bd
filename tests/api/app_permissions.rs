//! Who sees and may do what with apps and what belongs to them: one row a request, one column a role.

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

/// The columns of the table.
const ROLES: [&str; 9] = [
    "space_developer",
    "space_supporter",
    "space_manager",
    "space_auditor",
    "organization_manager",
    "organization_auditor",
    "organization_billing_manager",
    "organization_user",
    "nobody",
];

/// Method, path, body and the status for each role; `APP`, `SPACE`, `REVISION`, `SIDECAR` stand for guids.
const TABLE: &str = r#"
GET    /v3/apps/APP                                     -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/env                                 -                      200 200 403 403 403 404 404 404 404
GET    /v3/apps/APP/environment_variables               -                      200 200 403 403 403 404 404 404 404
GET    /v3/apps/APP/features                            -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/features/ssh                        -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/ssh_enabled                         -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/permissions                         -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/manifest                            -                      200 403 403 403 403 404 404 404 404
GET    /v3/apps/APP/processes                           -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/processes/web                       -                      200 200 200 200 200 404 404 404 404
GET    /v3/processes/APP                                -                      200 200 200 200 200 404 404 404 404
GET    /v3/processes/APP/stats                          -                      200 200 200 200 200 404 404 404 404
GET    /v3/processes/APP/process_instances              -                      200 200 200 200 200 404 404 404 404
GET    /v3/processes/APP/sidecars                       -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/sidecars                            -                      200 200 200 200 200 404 404 404 404
GET    /v3/sidecars/SIDECAR                             -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/revisions                           -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/revisions/deployed                  -                      200 200 200 200 200 404 404 404 404
GET    /v3/revisions/REVISION                           -                      200 200 200 200 200 404 404 404 404
GET    /v3/revisions/REVISION/environment_variables     -                      200 403 403 403 403 404 404 404 404
GET    /v3/apps/APP/tasks                               -                      200 200 200 200 200 404 404 404 404
GET    /v3/apps/APP/relationships/current_droplet       -                      200 200 200 200 200 404 404 404 404
GET    /v3/environment_variable_groups/running          -                      200 200 200 200 200 200 200 200 200
PATCH  /v3/apps/APP                                     {}                     200 403 403 403 403 404 404 404 404
PATCH  /v3/apps/APP/environment_variables               {"var":{}}             200 200 403 403 403 404 404 404 404
PATCH  /v3/apps/APP/features/ssh                        {"enabled":true}       200 403 403 403 403 404 404 404 404
PATCH  /v3/apps/APP/features/revisions                  {"enabled":true}       200 200 403 403 403 404 404 404 404
PATCH  /v3/processes/APP                                {}                     200 200 403 403 403 404 404 404 404
PATCH  /v3/apps/APP/processes/web                       {}                     200 200 403 403 403 404 404 404 404
PATCH  /v3/sidecars/SIDECAR                             {}                     200 403 403 403 403 404 404 404 404
PATCH  /v3/revisions/REVISION                           {}                     200 403 403 403 403 404 404 404 404
PATCH  /v3/environment_variable_groups/running          {"var":{}}             403 403 403 403 403 403 403 403 403
POST   /v3/processes/APP/actions/scale                  {"instances":1}        202 202 403 403 403 404 404 404 404
POST   /v3/apps/APP/processes/web/actions/scale         {"instances":1}        202 202 403 403 403 404 404 404 404
POST   /v3/apps/APP/actions/start                       {}                     200 200 403 403 403 404 404 404 404
POST   /v3/apps/APP/actions/restart                     {}                     200 200 403 403 403 404 404 404 404
POST   /v3/apps/APP/actions/clear_buildpack_cache       {}                     202 202 403 403 403 404 404 404 404
POST   /v3/apps/APP/sidecars                            {}                     422 403 403 403 403 404 404 404 404
POST   /v3/apps/APP/tasks                               {"command":"c"}        422 403 403 403 403 404 404 404 404
POST   /v3/apps                                         {"name":"web","relationships":{"space":{"data":{"guid":"SPACE"}}}}  422 403 403 403 403 422 422 422 422
POST   /v3/spaces/SPACE/manifest_diff                   yaml                   201 403 403 403 403 404 404 404 404
POST   /v3/spaces/SPACE/actions/apply_manifest          yaml                   202 403 403 403 403 404 404 404 404
DELETE /v3/processes/APP/instances/0                    -                      204 204 403 403 403 404 404 404 404
DELETE /v3/sidecars/SIDECAR                             -                      204 403 403 403 403 404 404 404 404
DELETE /v3/apps/APP                                     -                      202 403 403 403 403 404 404 404 404
"#;

async fn person(app: &TestApp, admin: &TestClient, role: &str, places: [&str; 2]) -> TestClient {
    let [organization, space] = places;
    let user = app.user(role).await.unwrap();
    let mut roles = Vec::new();
    if role != "nobody" {
        roles.push(("organization_user", ("organization", organization)));
    }
    if role.starts_with("space") {
        roles.push((role, ("space", space)));
    } else if role != "nobody" && role != "organization_user" {
        roles.push((role, ("organization", organization)));
    }
    for (kind, (scope, guid)) in roles {
        let mut relationships = related(scope, guid);
        relationships["user"] = json!({ "data": { "username": role } });
        let body = json!({ "type": kind, "relationships": relationships });
        let made = admin.post("/v3/roles", &body).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
    }
    user
}

async fn ask(client: &TestClient, method: &str, path: &str, body: &str) -> u16 {
    let (kind, body) = match body {
        "-" => ("application/json", ""),
        "yaml" => ("application/x-yaml", "applications:\n- name: web\n"),
        json => ("application/json", json),
    };
    let answer = client.raw(method, path, kind, body.as_bytes().to_vec());
    answer.await.unwrap().status
}

#[tokio::test]
async fn every_role_sees_and_does_what_it_may() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let sidecar = json!({ "name": "s", "command": "c", "process_types": ["worker"] });
    let path = format!("/v3/apps/{guid}/sidecars");
    let sidecar = admin.post(&path, &sidecar).await.unwrap();
    let path = format!("/v3/apps/{guid}/actions/start");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
    let path = format!("/v3/apps/{guid}/revisions");
    let revision = admin.get(&path).await.unwrap();
    let mut people = Vec::new();
    for role in ROLES {
        people.push(person(&app, &admin, role, [&organization, &space]).await);
    }
    let mut wrong = Vec::new();
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let row = row
            .replace("APP", &guid)
            .replace("SPACE", &space)
            .replace("REVISION", revision.text("/resources/0/guid"))
            .replace("SIDECAR", sidecar.text("/guid"));
        let words: Vec<&str> = row.split_whitespace().collect();
        let (method, path, body) = (words[0], words[1], words[2]);
        // Those who may not ask first: what they try must change nothing for those who may.
        for (i, role) in ROLES.iter().enumerate().rev() {
            let status = ask(&people[i], method, path, body).await;
            if status.to_string() != words[3 + i] {
                wrong.push(format!(
                    "{role}: {method} {path} is {status}, not {}",
                    words[3 + i]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn lists_hold_what_one_sees() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    app_in_space(&admin, &space, "web").await.unwrap();
    let places = [organization.as_str(), space.as_str()];
    for (role, sees) in [("space_auditor", 1), ("organization_user", 0)] {
        let user = person(&app, &admin, role, places).await;
        for list in ["apps", "processes"] {
            let found = user.get(&format!("/v3/{list}")).await.unwrap();
            assert_eq!(
                found.body["pagination"]["total_results"], sees,
                "{role} {list}"
            );
        }
        let commands = user.get("/v3/processes").await.unwrap();
        if let Some(Value::String(command)) = commands.body.pointer("/resources/0/command") {
            assert_eq!(command, "[PRIVATE DATA HIDDEN IN LISTS]");
        }
    }
}
