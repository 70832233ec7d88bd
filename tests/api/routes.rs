//! `/v3/routes`: what the cf CLI makes of `create-route`, `map-route`, `share-route`, `move-route`,
//! `delete-orphaned-routes`, and who may do it.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::{Value, json};

async fn default_domain(client: &TestClient, organization: &str) -> String {
    let path = format!("/v3/organizations/{organization}/domains/default");
    client.get(&path).await.unwrap().text("/guid").to_owned()
}

fn wanted(host: &str, space: &str, domain: &str) -> Value {
    json!({ "host": host, "relationships": {
        "space": { "data": { "guid": space } }, "domain": { "data": { "guid": domain } },
    } })
}

async fn route(client: &TestClient, host: &str, space: &str, domain: &str) -> String {
    let made = client
        .post("/v3/routes", &wanted(host, space, domain))
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

fn hosts(answer: &Answer) -> Vec<&str> {
    let all = answer.body["resources"].as_array().map(Vec::as_slice);
    let mut hosts: Vec<&str> = all
        .unwrap_or_default()
        .iter()
        .filter_map(|route| route["host"].as_str())
        .collect();
    hosts.sort_unstable();
    hosts
}

#[tokio::test]
async fn who_may_make_and_see_routes() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let domain = default_domain(&admin, &organization).await;
    let shown = format!(
        "/v3/routes/{}",
        route(&admin, "first", &space, &domain).await
    );
    let roles = [
        ("space_developer", 201, 200),
        ("space_supporter", 201, 200),
        ("space_manager", 403, 200),
        ("space_auditor", 403, 200),
        ("organization_manager", 403, 200),
        ("organization_auditor", 403, 200),
        ("organization_billing_manager", 403, 404),
        ("organization_user", 403, 404),
    ];
    for (role, create, show) in roles {
        let client = app
            .member((role, role), (&organization, &space))
            .await
            .unwrap();
        let host = role.replace('_', "-");
        let made = client
            .post("/v3/routes", &wanted(&host, &space, &domain))
            .await
            .unwrap();
        assert_eq!(made.status, create, "{role}: {made:?}");
        assert_eq!(client.get(&shown).await.unwrap().status, show, "{role}");
    }
}

#[tokio::test]
async fn routes_are_found_by_every_filter_with_what_they_include() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (_, other) = organization_and_space(&admin, "other").await.unwrap();
    let domain = default_domain(&admin, &organization).await;
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let one = route(&admin, "one", &space, &domain).await;
    route(&admin, "two", &other, &domain).await;
    let mut below = wanted("one", &space, &domain);
    below["path"] = json!("/deep");
    admin.post("/v3/routes", &below).await.unwrap();
    let body = json!({ "destinations": [{ "app": { "guid": web } }] });
    let mapped = admin
        .post(&format!("/v3/routes/{one}/destinations"), &body)
        .await
        .unwrap();
    assert_eq!(mapped.text("/destinations/0/app/guid"), web, "{mapped:?}");
    for (filter, found) in [
        ("hosts=one,two&paths=".to_owned(), vec!["one", "two"]),
        ("paths=%2Fdeep".to_owned(), vec!["one"]),
        (format!("space_guids={other}"), vec!["two"]),
        (
            format!("organization_guids={organization}"),
            vec!["one", "one"],
        ),
        (format!("domain_guids={domain}&hosts=two"), vec!["two"]),
        (format!("app_guids={web}"), vec!["one"]),
        ("ports=1234".to_owned(), vec![]),
        ("service_instance_guids=none".to_owned(), vec![]),
        (format!("guids={one}"), vec!["one"]),
        ("created_ats[gt]=2999-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let listed = admin.get(&format!("/v3/routes?{filter}")).await.unwrap();
        assert_eq!(hosts(&listed), found, "{filter}");
    }
    let listed = admin
        .get(&format!(
            "/v3/routes?guids={one}&include=domain,space,space.organization"
        ))
        .await
        .unwrap();
    let included = &listed.body["included"];
    assert_eq!(included["domains"][0]["guid"], json!(domain));
    assert_eq!(included["spaces"][0]["guid"], json!(space));
    assert_eq!(included["organizations"][0]["guid"], json!(organization));
    let of_app = admin
        .get(&format!("/v3/apps/{web}/routes?hosts=one"))
        .await
        .unwrap();
    assert_eq!(hosts(&of_app), ["one"]);
    let reserved = |host: &str, path: &str| {
        format!("/v3/domains/{domain}/route_reservations?host={host}&path={path}")
    };
    for (host, path, found) in [
        ("one", "%2Fdeep", true),
        ("one", "%2Fother", false),
        ("three", "", false),
    ] {
        let answer = admin.get(&reserved(host, path)).await.unwrap();
        assert_eq!(answer.body["matching_route"], found, "{host}{path}");
    }
}

#[tokio::test]
async fn quotas_count_the_routes_of_a_space() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let domain = default_domain(&admin, &organization).await;
    let body = json!({
        "name": "one-route",
        "routes": { "total_routes": 1 },
        "relationships": {
            "organization": { "data": { "guid": organization } },
            "spaces": { "data": [{ "guid": space }] },
        },
    });
    assert_eq!(
        admin.post("/v3/space_quotas", &body).await.unwrap().status,
        201
    );
    route(&admin, "one", &space, &domain).await;
    let refused = admin
        .post("/v3/routes", &wanted("two", &space, &domain))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Routes quota exceeded for space 'dev'.")
    );
}

#[tokio::test]
async fn a_route_is_shared_moved_and_deleted_when_it_leads_nowhere() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (_, guest) = organization_and_space(&admin, "guest").await.unwrap();
    let domain = default_domain(&admin, &organization).await;
    let guid = route(&admin, "one", &space, &domain).await;
    let shared = format!("/v3/routes/{guid}/relationships/shared_spaces");
    let body = json!({ "data": [{ "guid": guest }] });
    let refused = admin.post(&shared, &body).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (403, "Feature Disabled: route_sharing")
    );
    let on = json!({ "enabled": true });
    admin
        .patch("/v3/feature_flags/route_sharing", &on)
        .await
        .unwrap();
    let answer = admin.post(&shared, &body).await.unwrap();
    assert_eq!(answer.text("/data/0/guid"), guest, "{answer:?}");
    let listed = admin
        .get(&format!("/v3/routes?space_guids={guest}"))
        .await
        .unwrap();
    assert_eq!(hosts(&listed), ["one"]);

    let moved = format!("/v3/routes/{guid}/relationships/space");
    let to = json!({ "data": { "guid": guest } });
    assert_eq!(
        admin.patch(&moved, &to).await.unwrap().text("/status"),
        "ok"
    );
    let shown = admin.get(&format!("/v3/routes/{guid}")).await.unwrap();
    assert_eq!(shown.text("/relationships/space/data/guid"), guest);
    let answer = admin.get(&shared).await.unwrap();
    assert_eq!(
        answer.text("/data/0/guid"),
        space,
        "the old owner keeps its access"
    );
    assert_eq!(
        admin
            .delete(&format!("{shared}/{space}"))
            .await
            .unwrap()
            .status,
        204
    );

    let unmapped = format!("/v3/spaces/{guest}/routes?unmapped=true");
    assert_eq!(admin.delete(&unmapped).await.unwrap().status, 202);
    let gone = admin.get(&format!("/v3/routes/{guid}")).await.unwrap();
    assert_eq!((gone.status, gone.detail()), (404, "Route not found"));
}

#[tokio::test]
async fn destinations_are_added_weighted_and_removed() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let domain = default_domain(&admin, &organization).await;
    let (a, b) = (
        app_in_space(&admin, &space, "a").await.unwrap(),
        app_in_space(&admin, &space, "b").await.unwrap(),
    );
    let guid = route(&admin, "one", &space, &domain).await;
    let path = format!("/v3/routes/{guid}/destinations");
    let weighted = json!({ "destinations": [
        { "app": { "guid": a }, "weight": 40 }, { "app": { "guid": b }, "weight": 60 },
    ] });
    let refused = admin.post(&path, &weighted).await.unwrap();
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .detail()
            .contains("weighted destinations can only be used when replacing all destinations."),
        "{refused:?}"
    );
    let replaced = admin.patch(&path, &weighted).await.unwrap();
    // Clients see destinations in the order of their guids, which chance decides.
    let all = replaced.body["destinations"].as_array().unwrap();
    let weight_of = |guid: &str| {
        let found = all.iter().find(|d| d["app"]["guid"] == guid);
        found.map(|destination| destination["weight"].clone())
    };
    assert_eq!(
        (weight_of(&a), weight_of(&b)),
        (Some(json!(40)), Some(json!(60))),
        "{replaced:?}"
    );
    let plain = json!({ "destinations": [{ "app": { "guid": a } }] });
    let refused = admin.post(&path, &plain).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Destinations cannot be inserted when there are weighted destinations already configured."
    );
    let replaced = admin.patch(&path, &plain).await.unwrap();
    let one = replaced.text("/destinations/0/guid").to_owned();
    let changed = admin
        .patch(&format!("{path}/{one}"), &json!({ "protocol": "http2" }))
        .await
        .unwrap();
    assert_eq!(changed.text("/protocol"), "http2", "{changed:?}");
    let refused = admin
        .patch(&format!("{path}/{one}"), &json!({ "protocol": "tcp" }))
        .await
        .unwrap();
    assert_eq!(refused.status, 422);
    assert_eq!(
        admin.delete(&format!("{path}/{one}")).await.unwrap().status,
        204
    );
    let left = admin.get(&path).await.unwrap();
    assert_eq!(left.body["destinations"], json!([]));
}
