//! Who sees and may do what with apps and what belongs to them: one row a request, one column a role.

use cflite::testing::{TestApp, app_in_space, organization_and_space};
use serde_json::{Value, json};

use super::permissions::{check, person};

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

const TABLE: &str = r#"
GET    /v3/apps/APP                                 200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/env                             200 200 403 403 403 404 404 404 404 -
GET    /v3/apps/APP/environment_variables           200 200 403 403 403 404 404 404 404 -
GET    /v3/apps/APP/features                        200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/features/ssh                    200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/ssh_enabled                     200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/permissions                     200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/manifest                        200 403 403 403 403 404 404 404 404 -
GET    /v3/apps/APP/processes                       200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/processes/web                   200 200 200 200 200 404 404 404 404 -
GET    /v3/processes/APP                            200 200 200 200 200 404 404 404 404 -
GET    /v3/processes/APP/stats                      200 200 200 200 200 404 404 404 404 -
GET    /v3/processes/APP/process_instances          200 200 200 200 200 404 404 404 404 -
GET    /v3/processes/APP/sidecars                   200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/sidecars                        200 200 200 200 200 404 404 404 404 -
GET    /v3/sidecars/SIDECAR                         200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/revisions                       200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/revisions/deployed              200 200 200 200 200 404 404 404 404 -
GET    /v3/revisions/REVISION                       200 200 200 200 200 404 404 404 404 -
GET    /v3/revisions/REVISION/environment_variables 200 403 403 403 403 404 404 404 404 -
GET    /v3/apps/APP/tasks                           200 200 200 200 200 404 404 404 404 -
GET    /v3/apps/APP/relationships/current_droplet   200 200 200 200 200 404 404 404 404 -
GET    /v3/environment_variable_groups/running      200 200 200 200 200 200 200 200 200 -
PATCH  /v3/apps/APP                                 200 403 403 403 403 404 404 404 404 {}
PATCH  /v3/apps/APP/environment_variables           200 200 403 403 403 404 404 404 404 {"var":{}}
PATCH  /v3/apps/APP/features/ssh                    200 403 403 403 403 404 404 404 404 {"enabled":true}
PATCH  /v3/apps/APP/features/revisions              200 200 403 403 403 404 404 404 404 {"enabled":true}
PATCH  /v3/processes/APP                            200 200 403 403 403 404 404 404 404 {}
PATCH  /v3/apps/APP/processes/web                   200 200 403 403 403 404 404 404 404 {}
PATCH  /v3/sidecars/SIDECAR                         200 403 403 403 403 404 404 404 404 {}
PATCH  /v3/revisions/REVISION                       200 403 403 403 403 404 404 404 404 {}
PATCH  /v3/environment_variable_groups/running      403 403 403 403 403 403 403 403 403 {"var":{}}
POST   /v3/processes/APP/actions/scale              202 202 403 403 403 404 404 404 404 {"instances":1}
POST   /v3/apps/APP/processes/web/actions/scale     202 202 403 403 403 404 404 404 404 {"instances":1}
POST   /v3/apps/APP/actions/start                   200 200 403 403 403 404 404 404 404 {}
POST   /v3/apps/APP/actions/restart                 200 200 403 403 403 404 404 404 404 {}
POST   /v3/apps/APP/actions/clear_buildpack_cache   202 202 403 403 403 404 404 404 404 {}
POST   /v3/apps/APP/sidecars                        422 403 403 403 403 404 404 404 404 {}
POST   /v3/apps/APP/tasks                           422 403 403 403 403 404 404 404 404 {"command":"c"}
POST   /v3/apps                                     422 403 403 403 403 422 422 422 422 {"name":"web","relationships":{"space":{"data":{"guid":"SPACE"}}}}
POST   /v3/spaces/SPACE/manifest_diff               201 403 403 403 403 404 404 404 404 yaml
POST   /v3/spaces/SPACE/actions/apply_manifest      202 403 403 403 403 404 404 404 404 yaml
DELETE /v3/processes/APP/instances/0                204 204 403 403 403 404 404 404 404 -
DELETE /v3/sidecars/SIDECAR                         204 403 403 403 403 404 404 404 404 -
DELETE /v3/apps/APP                                 202 403 403 403 403 404 404 404 404 -
"#;

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
        people.push((role, person(&app, role, (&organization, &space)).await));
    }
    let words = [
        ("APP", &*guid),
        ("SPACE", &*space),
        ("REVISION", revision.text("/resources/0/guid")),
        ("SIDECAR", sidecar.text("/guid")),
    ];
    check(&people, &words, TABLE).await;
}

#[tokio::test]
async fn lists_hold_what_one_sees() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    app_in_space(&admin, &space, "web").await.unwrap();
    for (role, sees) in [("space_auditor", 1), ("organization_user", 0)] {
        let user = person(&app, role, (&organization, &space)).await;
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
