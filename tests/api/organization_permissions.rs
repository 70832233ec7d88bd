//! Who sees and may do what with organizations, spaces and what they own: one row a request, one
//! column a role.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

use super::permissions::{check, person};

/// The columns of the table; the last two are groups of UAA.
const ROLES: [&str; 11] = [
    "organization_manager",
    "space_manager",
    "space_developer",
    "space_supporter",
    "space_auditor",
    "organization_auditor",
    "organization_billing_manager",
    "organization_user",
    "nobody",
    "cloud_controller.admin_read_only",
    "cloud_controller.global_auditor",
];

const TABLE: &str = r#"
GET    /v3/organizations/ORG                                          200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/organizations/ORG/usage_summary                            200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/organizations/ORG/users                                    200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/organizations/ORG/domains                                  200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/organizations/ORG/domains/default                          200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/organizations/ORG/relationships/default_isolation_segment  200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/spaces/SPACE                                               200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/features                                      200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/features/ssh                                  200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/usage_summary                                 200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/users                                         200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/relationships/isolation_segment               200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/running_security_groups                       200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/spaces/SPACE/staging_security_groups                       200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/organization_quotas/QUOTA                                  200 200 200 200 200 200 200 200 200 200 200 -
GET    /v3/space_quotas/LIMIT                                         200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/security_groups/GROUP                                      200 200 200 200 200 404 404 404 404 200 200 -
GET    /v3/isolation_segments/SEGMENT                                 200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/isolation_segments/SEGMENT/organizations                   200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/isolation_segments/SEGMENT/relationships/organizations     200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/isolation_segments/SEGMENT/relationships/spaces            200 200 200 200 200 200 200 200 404 200 200 -
GET    /v3/domains/DOMAIN                                             200 200 200 200 200 200 404 404 404 200 200 -
GET    /v3/domains/DOMAIN/relationships/shared_organizations          200 200 200 200 200 200 404 404 404 200 200 -
GET    /v3/domains/DOMAIN/route_reservations                          200 200 200 200 200 200 404 404 404 200 200 -
GET    /v3/routes/ROUTE                                               200 200 200 200 200 200 404 404 404 200 200 -
GET    /v3/routes/ROUTE/destinations                                  200 200 200 200 200 200 404 404 404 200 200 -
GET    /v3/feature_flags/task_creation                                200 200 200 200 200 200 200 200 200 200 200 -
GET    /v3/info/usage_summary                                         404 404 404 404 404 404 404 404 404 200 200 -
PATCH  /v3/organizations/ORG                                          200 403 403 403 403 403 403 403 404 403 403 {}
PATCH  /v3/organizations/ORG/relationships/default_isolation_segment  200 403 403 403 403 403 403 403 404 403 403 {"data":null}
DELETE /v3/organizations/ORG                                          403 403 403 403 403 403 403 403 404 403 403 -
POST   /v3/organizations                                              403 403 403 403 403 403 403 403 403 403 403 {"name":"made"}
POST   /v3/spaces                                                     201 403 403 403 403 403 403 403 422 403 403 {"name":"made","relationships":{"organization":{"data":{"guid":"ORG"}}}}
PATCH  /v3/spaces/SPACE                                               200 200 403 403 403 404 404 404 404 403 403 {}
PATCH  /v3/spaces/SPACE/features/ssh                                  200 200 403 403 403 404 404 404 404 403 403 {"enabled":true}
PATCH  /v3/spaces/SPACE                                               200 403 403 403 403 404 404 404 404 403 403 {"suspended":false}
PATCH  /v3/spaces/SPACE/relationships/isolation_segment               200 403 403 403 403 404 404 404 404 403 403 {"data":null}
POST   /v3/organization_quotas                                        403 403 403 403 403 403 403 403 403 403 403 {"name":"made"}
PATCH  /v3/organization_quotas/QUOTA                                  403 403 403 403 403 403 403 403 403 403 403 {}
POST   /v3/organization_quotas/QUOTA/relationships/organizations      403 403 403 403 403 403 403 403 403 403 403 {"data":[{"guid":"ORG"}]}
DELETE /v3/organization_quotas/QUOTA                                  403 403 403 403 403 403 403 403 403 403 403 -
POST   /v3/space_quotas                                               201 403 403 403 403 403 403 403 403 403 403 {"name":"made","relationships":{"organization":{"data":{"guid":"ORG"}}}}
PATCH  /v3/space_quotas/LIMIT                                         200 403 403 403 403 404 404 404 404 403 403 {}
POST   /v3/space_quotas/LIMIT/relationships/spaces                    200 403 403 403 403 404 404 404 404 403 403 {"data":[{"guid":"SPACE"}]}
DELETE /v3/space_quotas/LIMIT/relationships/spaces/SPACE              204 403 403 403 403 404 404 404 404 403 403 -
POST   /v3/security_groups                                            403 403 403 403 403 403 403 403 403 403 403 {"name":"made"}
PATCH  /v3/security_groups/GROUP                                      403 403 403 403 403 404 404 404 404 403 403 {}
DELETE /v3/security_groups/GROUP                                      403 403 403 403 403 404 404 404 404 403 403 -
POST   /v3/security_groups/GROUP/relationships/staging_spaces         200 200 403 403 403 404 404 404 404 403 403 {"data":[{"guid":"SPACE"}]}
DELETE /v3/security_groups/GROUP/relationships/staging_spaces/SPACE   422 204 403 403 403 404 404 404 404 403 403 -
POST   /v3/isolation_segments                                         403 403 403 403 403 403 403 403 403 403 403 {"name":"made"}
PATCH  /v3/isolation_segments/SEGMENT                                 403 403 403 403 403 403 403 403 403 403 403 {}
POST   /v3/isolation_segments/SEGMENT/relationships/organizations     403 403 403 403 403 403 403 403 403 403 403 {"data":[{"guid":"ORG"}]}
DELETE /v3/isolation_segments/SEGMENT/relationships/organizations/ORG 403 403 403 403 403 403 403 403 403 403 403 -
DELETE /v3/isolation_segments/SEGMENT                                 403 403 403 403 403 403 403 403 403 403 403 -
POST   /v3/domains                                                    403 403 403 403 403 403 403 403 403 403 403 {"name":"made.example"}
POST   /v3/domains                                                    201 403 403 403 403 403 403 403 403 403 403 {"name":"made.example","relationships":{"organization":{"data":{"guid":"ORG"}}}}
PATCH  /v3/domains/DOMAIN                                             200 403 403 403 403 403 404 404 404 403 403 {}
PATCH  /v3/routes/ROUTE                                               403 403 200 200 403 403 404 404 404 403 403 {}
DELETE /v3/spaces/SPACE/routes?unmapped=true                          403 403 202 202 403 404 404 404 404 403 403 -
PATCH  /v3/feature_flags/task_creation                                403 403 403 403 403 403 403 403 403 403 403 {"enabled":true}
DELETE /v3/domains/DOMAIN                                             202 403 403 403 403 403 404 404 404 403 403 -
DELETE /v3/spaces/SPACE                                               202 403 403 403 403 404 404 404 404 403 403 -
"#;

async fn make(admin: &TestClient, path: &str, body: Value) -> String {
    let made = admin.post(path, &body).await.unwrap();
    assert_eq!(made.status, 201, "{path}: {made:?}");
    made.text("/guid").to_owned()
}

/// What the table names, each under its word.
async fn world(admin: &TestClient) -> Vec<(&'static str, String)> {
    let (organization, space) = organization_and_space(admin, "acme").await.unwrap();
    let to_many = |guid: &str| json!({ "data": [{ "guid": guid }] });
    let in_organization = related("organization", &organization);
    let quota =
        json!({ "name": "q", "relationships": { "organizations": to_many(&organization) } });
    let mut limit = json!({ "name": "l", "relationships": in_organization });
    limit["relationships"]["spaces"] = to_many(&space);
    let group = json!({ "name": "g", "relationships": { "running_spaces": to_many(&space) } });
    let domain = json!({ "name": "own.example", "relationships": in_organization });
    let quota = make(admin, "/v3/organization_quotas", quota).await;
    let limit = make(admin, "/v3/space_quotas", limit).await;
    let group = make(admin, "/v3/security_groups", group).await;
    let segment = make(admin, "/v3/isolation_segments", json!({ "name": "i" })).await;
    let entitled = format!("/v3/isolation_segments/{segment}/relationships/organizations");
    let entitled = admin
        .post(&entitled, &to_many(&organization))
        .await
        .unwrap();
    assert_eq!(entitled.status, 200, "{entitled:?}");
    let domain = make(admin, "/v3/domains", domain).await;
    let mut place = related("space", &space);
    place["domain"] = json!({ "data": { "guid": domain } });
    let route = json!({ "host": "www", "relationships": place });
    let route = make(admin, "/v3/routes", route).await;
    vec![
        ("ORG", organization),
        ("SPACE", space),
        ("QUOTA", quota),
        ("LIMIT", limit),
        ("GROUP", group),
        ("SEGMENT", segment),
        ("DOMAIN", domain),
        ("ROUTE", route),
    ]
}

#[tokio::test]
async fn every_role_sees_and_does_what_it_may_in_its_organization() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let world = world(&admin).await;
    let mut people = Vec::new();
    for role in ROLES {
        people.push((role, person(&app, role, (&world[0].1, &world[1].1)).await));
    }
    let words: Vec<(&str, &str)> = world.iter().map(|(word, guid)| (*word, &**guid)).collect();
    check(&people, &words, TABLE).await;
}
