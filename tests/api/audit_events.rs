//! Audit events: who did what, and who may read it.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

fn kinds(events: &Answer) -> Vec<&str> {
    let all = events.body["resources"].as_array().unwrap();
    all.iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

fn data<'a>(events: &'a Answer, kind: &str) -> &'a Value {
    let all = events.body["resources"].as_array().unwrap();
    let found = all.iter().find(|event| event["type"] == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {events:?}"))["data"]
}

async fn of_app(client: &TestClient, app: &str) -> Answer {
    let path = format!("/v3/audit_events?target_guids={app}&order_by=created_at");
    client.get(&path).await.unwrap()
}

async fn role(admin: &TestClient, kind: &str, user: &str, scope: (&str, &str)) {
    let mut relationships = related(scope.0, scope.1);
    relationships["user"] = json!({ "data": { "username": user } });
    let body = json!({ "type": kind, "relationships": relationships });
    let made = admin.post("/v3/roles", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn deleting_an_app_tells_of_all_that_goes_with_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let manifest =
        "applications:\n- name: web\n  default-route: true\n  memory: 64M\n  command: run\n";
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let body = manifest.as_bytes().to_vec();
    admin
        .raw("POST", &path, "application/x-yaml", body)
        .await
        .unwrap();
    let found = admin.get("/v3/apps?names=web").await.unwrap();
    let guid = found.text("/resources/0/guid").to_owned();
    let events = of_app(&admin, &guid).await;
    assert_eq!(
        data(&events, "audit.app.process.scale"),
        &json!({
            "process_guid": guid, "process_type": "web",
            "request": { "memory_in_mb": 64 }, "manifest_triggered": true,
        })
    );
    let update = data(&events, "audit.app.process.update");
    assert_eq!(update["request"]["command"], "[PRIVATE DATA HIDDEN]");
    assert_eq!(update["manifest_triggered"], true);

    let droplet = app
        .droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let body = json!({
        "type": "bits",
        "relationships": related("app", &guid),
    });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    admin.delete(&format!("/v3/apps/{guid}")).await.unwrap();
    let events = of_app(&admin, &guid).await;
    let last = kinds(&events);
    assert_eq!(
        last[last.len() - 5..],
        [
            "audit.app.package.delete",
            "audit.app.droplet.delete",
            "audit.app.unmap-route",
            "audit.app.process.delete",
            "audit.app.delete-request",
        ]
    );
    assert_eq!(
        data(&events, "audit.app.package.delete")["package_guid"],
        package.body["guid"]
    );
    assert_eq!(
        data(&events, "audit.app.droplet.delete")["droplet_guid"],
        droplet
    );
}

#[tokio::test]
async fn events_are_seen_by_those_who_work_there_or_audit() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let event = of_app(&admin, &guid)
        .await
        .text("/resources/0/guid")
        .to_owned();
    let cases = [
        ("organization_manager", false),
        ("organization_auditor", true),
        ("organization_billing_manager", false),
        ("organization_user", false),
        ("space_developer", true),
        ("space_supporter", true),
        ("space_auditor", true),
        ("space_manager", false),
    ];
    for (kind, sees) in cases {
        let user = app.user(kind).await.unwrap();
        let within = ("organization", organization.as_str());
        role(&admin, "organization_user", kind, within).await;
        if kind.starts_with("space") {
            role(&admin, kind, kind, ("space", &space)).await;
        } else if kind != "organization_user" {
            role(&admin, kind, kind, within).await;
        }
        let seen = of_app(&user, &guid).await;
        assert_eq!(!kinds(&seen).is_empty(), sees, "{kind} lists");
        let one = user
            .get(&format!("/v3/audit_events/{event}"))
            .await
            .unwrap();
        assert_eq!(one.status == 200, sees, "{kind} reads one");
    }
}

#[tokio::test]
async fn events_are_found_by_what_where_and_when() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let total = |answer: Answer| answer.body["pagination"]["total_results"].as_i64().unwrap();
    let all = total(admin.get("/v3/audit_events").await.unwrap());
    let of_app = total(
        admin
            .get(&format!("/v3/audit_events?target_guids={guid}"))
            .await
            .unwrap(),
    );
    let cases = [
        (format!("target_guids[not]={guid}"), all - of_app),
        ("types=audit.app.create,audit.space.create".to_owned(), 2),
        (format!("space_guids={space}&types=audit.app.create"), 1),
        (
            format!("organization_guids={organization}&types=audit.space.create"),
            1,
        ),
        ("created_ats[lt]=2001-01-01T00:00:00Z".to_owned(), 0),
        ("updated_ats[gt]=2001-01-01T00:00:00Z".to_owned(), all),
        ("order_by=-updated_at".to_owned(), all),
    ];
    for (query, expected) in cases {
        let found = admin
            .get(&format!("/v3/audit_events?{query}"))
            .await
            .unwrap();
        assert_eq!(found.status, 200, "{query}: {found:?}");
        assert_eq!(total(found), expected, "{query}");
    }
    let newest = admin
        .get("/v3/audit_events?order_by=-created_at&per_page=1")
        .await
        .unwrap();
    assert_eq!(kinds(&newest), ["audit.app.create"]);
}

#[tokio::test]
async fn one_of_very_many_events_is_found_by_everybody() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.sql(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000) \
         insert into audit_events (guid, type, actor_guid, actor_type, actor_name, target_guid, target_type, \
         target_name, space_guid, organization_guid, created_at) \
         select 'e' || i, 'audit.app.update', 'u', 'user', 'u', 'other', 'app', 'other', s.guid, \
         s.organization_guid, 4102444800000000 from n, spaces s",
    )
    .await
    .unwrap();
    let user = app.user("dora").await.unwrap();
    let within = ("organization", organization.as_str());
    role(&admin, "organization_user", "dora", within).await;
    role(&admin, "space_developer", "dora", ("space", &space)).await;
    for client in [&admin, &user] {
        let newest = client
            .get("/v3/audit_events?order_by=-created_at&per_page=1&types=audit.app.update")
            .await
            .unwrap();
        assert_eq!(newest.text("/resources/0/guid"), "e5000");
        assert_eq!(newest.body["pagination"]["total_results"], 5000);
        let first = of_app(client, &guid).await;
        assert_eq!(kinds(&first)[0], "audit.app.process.create");
    }
}

#[tokio::test]
async fn events_of_a_place_are_counted_as_they_come_and_go() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (other, _) = organization_and_space(&admin, "other").await.unwrap();
    app_in_space(&admin, &space, "web").await.unwrap();
    let places = [
        format!("space_guids={space}"),
        format!("organization_guids={organization}"),
        format!("organization_guids={organization},{other}"),
        "space_guids=nowhere".to_owned(),
    ];
    // A filter that lets all pass has the rows counted one by one.
    let same = async |place: &str| {
        let counted = format!("/v3/audit_events?{place}");
        let counted = admin.get(&counted).await.unwrap();
        let one_by_one = format!("/v3/audit_events?{place}&created_ats[gt]=1970-01-01T00:00:00Z");
        let one_by_one = admin.get(&one_by_one).await.unwrap();
        let total = |answer: &Answer| answer.body["pagination"]["total_results"].clone();
        assert_eq!(total(&counted), total(&one_by_one), "{place}");
        total(&counted).as_i64().unwrap()
    };
    let mut before = Vec::new();
    for place in &places {
        before.push(same(place).await);
    }
    assert!(before[0] > 0 && before[2] > before[1], "{before:?}");
    assert_eq!(before[3], 0);
    app.sql("delete from audit_events where type = 'audit.app.create'")
        .await
        .unwrap();
    assert_eq!(same(&places[0]).await, before[0] - 1);
    assert_eq!(same(&places[1]).await, before[1] - 1);
}
