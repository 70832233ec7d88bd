//! Brokers, their catalogs, and who sees what of them.

use cflite::config::Options;
use cflite::testing::{TestApp, organization_and_space, related};
use serde_json::json;

use super::broker::{Broker, Reply, catalog};
use super::{World, complete, failure, job, registration};

#[tokio::test]
async fn a_catalog_becomes_offerings_and_plans() {
    let world = World::new().await;
    let asked = &world.broker.got("catalog")[0];
    assert_eq!(asked.headers["x-broker-api-version"], "2.17");
    assert_eq!(asked.headers["authorization"], "Basic dXNlcjpodW50ZXIy");
    assert!(asked.headers.contains_key("x-broker-api-request-identity"));

    let offering = world
        .admin
        .get("/v3/service_offerings?names=db&fields[service_broker]=name,guid")
        .await
        .unwrap();
    assert_eq!(
        offering.text("/resources/0/description"),
        "a database",
        "{offering:?}"
    );
    assert_eq!(
        offering.text("/resources/0/documentation_url"),
        "http://docs"
    );
    assert_eq!(offering.body["resources"][0]["shareable"], true);
    assert_eq!(
        offering.body["resources"][0]["broker_catalog"]["id"],
        "db-id"
    );
    assert_eq!(offering.text("/included/service_brokers/0/name"), "broker");
    let plan = world
        .admin
        .get(&format!("/v3/service_plans/{}", world.large))
        .await
        .unwrap();
    assert_eq!(plan.body["free"], false);
    assert_eq!(
        plan.body["costs"],
        json!([{ "currency": "USD", "amount": 649.0, "unit": "MONTHLY" }])
    );
    let plan = world
        .admin
        .get(&format!("/v3/service_plans/{}", world.small))
        .await
        .unwrap();
    assert_eq!(plan.text("/maintenance_info/version"), "2.0.0");
    assert_eq!(plan.body["broker_catalog"]["maximum_polling_duration"], 600);

    let events = world
        .admin
        .get("/v3/audit_events?per_page=500")
        .await
        .unwrap()
        .body
        .to_string();
    for event in [
        "audit.service_broker.create",
        "audit.service.create",
        "audit.service_plan.create",
    ] {
        assert!(events.contains(event), "{event}");
    }
    assert!(!events.contains("hunter2"));
}

#[tokio::test]
async fn a_bad_catalog_changes_nothing() {
    let world = World::new().await;
    let mut bad = catalog();
    bad["services"][0]["name"] = json!("");
    bad["services"][0]["plans"][1]["id"] = json!("small-id");
    world.broker.offer(bad);
    let path = format!("/v3/service_brokers/{}", world.broker_guid);
    let body = registration("renamed", &world.broker.url);
    let changed = world.admin.patch(&path, &body).await.unwrap();
    let (title, detail) = failure(&world.admin, &changed).await;
    assert_eq!(title, "CF-ServiceBrokerCatalogInvalid");
    assert!(
        detail.starts_with("Service broker catalog is invalid: \n"),
        "{detail}"
    );
    assert!(detail.contains("Service name is required"), "{detail}");
    let broker = world.admin.get(&path).await.unwrap();
    assert_eq!(broker.text("/name"), "broker");

    for (reply, error) in [
        (
            Reply::Json(401, json!({})),
            "CF-ServiceBrokerApiAuthenticationFailed",
        ),
        (
            Reply::Text(200, "not json"),
            "CF-ServiceBrokerRequestMalformed",
        ),
        (
            Reply::Json(500, json!({ "description": "in its own words" })),
            "CF-ServiceBrokerBadResponse",
        ),
        (Reply::Json(302, json!({})), "CF-ServiceBrokerBadResponse"),
        (Reply::CutOff, ""),
    ] {
        world.broker.script("catalog", [reply.clone()]);
        let changed = world.admin.patch(&path, &body).await.unwrap();
        let (title, detail) = failure(&world.admin, &changed).await;
        assert!(
            error.is_empty() || title == error,
            "{reply:?}: {title}: {detail}"
        );
    }
}

#[tokio::test]
async fn a_catalog_that_shrinks_keeps_what_is_in_use() {
    let world = World::new().await;
    world.instance("mine").await;
    let mut next = catalog();
    next["services"][0]["plans"] =
        json!([{ "id": "new-id", "name": "new", "description": "a new one" }]);
    world.broker.offer(next);
    let path = format!("/v3/service_brokers/{}", world.broker_guid);
    let changed = world
        .admin
        .patch(&path, &registration("renamed", &world.broker.url))
        .await
        .unwrap();
    complete(&world.admin, &changed).await;
    let plans = world.admin.get("/v3/service_plans").await.unwrap();
    assert_eq!(plans.names(), ["small", "new"], "{plans:?}");
    assert_eq!(plans.body["resources"][0]["available"], false);
    let gone = world.admin.delete(&path).await.unwrap();
    assert_eq!(
        (gone.status, gone.detail()),
        (
            422,
            "Can not remove brokers that have associated service instances: renamed"
        )
    );
}

#[tokio::test]
async fn plans_are_shown_to_whom_they_are_for() {
    let world = World::new().await;
    let (other, _) = organization_and_space(&world.admin, "other").await.unwrap();
    let path = format!("/v3/service_plans/{}/visibility", world.large);
    let body = json!({ "type": "organization", "organizations": [{ "guid": world.organization }] });
    let limited = world.admin.patch(&path, &body).await.unwrap();
    assert_eq!(limited.status, 200, "{limited:?}");
    let place = (world.organization.as_str(), world.space.as_str());
    let dora = world
        .app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    assert_eq!(
        dora.get("/v3/service_plans").await.unwrap().names(),
        ["small", "large"]
    );
    let stranger = world.app.user("stranger").await.unwrap();
    assert_eq!(
        stranger.get("/v3/service_plans").await.unwrap().names(),
        ["small"]
    );
    let anonymous = world.app.anonymous();
    assert_eq!(
        anonymous.get("/v3/service_plans").await.unwrap().names(),
        ["small"]
    );
    assert_eq!(
        anonymous
            .get("/v3/service_offerings")
            .await
            .unwrap()
            .names(),
        ["db"]
    );
    assert_eq!(
        anonymous.get("/v3/service_brokers").await.unwrap().status,
        401
    );

    let more = json!({ "type": "organization", "organizations": [{ "guid": other }] });
    let added = world.admin.post(&path, &more).await.unwrap();
    assert_eq!(added.status, 200, "{added:?}");
    let shown = world.admin.get(&path).await.unwrap();
    assert_eq!(
        shown.body["organizations"].as_array().unwrap().len(),
        2,
        "{shown:?}"
    );
    let removed = world
        .admin
        .delete(&format!("{path}/{other}"))
        .await
        .unwrap();
    assert_eq!(removed.status, 204, "{removed:?}");
    let hidden = world
        .admin
        .post(&path, &json!({ "type": "admin" }))
        .await
        .unwrap();
    assert_eq!((hidden.status, hidden.text("/type")), (200, "admin"));
    assert_eq!(
        dora.get("/v3/service_plans").await.unwrap().names(),
        ["small"]
    );
    let refused = world
        .admin
        .post(&path, &json!({ "type": "space" }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.title()),
        (400, "CF-BadRequest"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_developer_registers_a_broker_for_a_space() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let broker = Broker::start().await;
    let place = (organization.as_str(), space.as_str());
    let dora = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let ada = app.member(("ada", "space_auditor"), place).await.unwrap();
    let mut body = registration("own", &broker.url);
    assert_eq!(
        dora.post("/v3/service_brokers", &body)
            .await
            .unwrap()
            .status,
        403
    );
    body["relationships"] = related("space", &space);
    assert_eq!(
        ada.post("/v3/service_brokers", &body).await.unwrap().status,
        403
    );
    let made = dora.post("/v3/service_brokers", &body).await.unwrap();
    complete(&dora, &made).await;
    assert_eq!(
        dora.get("/v3/service_plans").await.unwrap().names(),
        ["small", "large"]
    );
    assert_eq!(
        app.anonymous()
            .get("/v3/service_plans")
            .await
            .unwrap()
            .names(),
        [""; 0]
    );
    let again = dora.post("/v3/service_brokers", &body).await.unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (422, "Name must be unique"),
        "{again:?}"
    );
    body["url"] = json!("http://user:secret@127.0.0.1:1");
    body["name"] = json!("second");
    let refused = dora.post("/v3/service_brokers", &body).await.unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let list = dora.get("/v3/service_brokers").await.unwrap();
    assert_eq!(list.names(), ["own"]);
    let gone = dora
        .delete(&format!(
            "/v3/service_brokers/{}",
            list.text("/resources/0/guid")
        ))
        .await
        .unwrap();
    let over = job(&dora, &gone).await;
    assert_eq!(over.text("/state"), "COMPLETE", "{over:?}");
    assert_eq!(
        dora.get("/v3/service_offerings").await.unwrap().names(),
        [""; 0]
    );
}

#[tokio::test]
async fn offline_only_brokers_of_this_machine_are_asked() {
    let options = Options {
        offline: Some(true),
        ..Options::default()
    };
    let app = TestApp::start().await.unwrap();
    let world = World::on(app.restart_with(options).await.unwrap()).await;
    // It leads here, but is no name of this machine.
    let url = world.broker.url.replace("127.0.0.1", "0.0.0.0");
    let body = registration("elsewhere", &url);
    let made = world.admin.post("/v3/service_brokers", &body).await;
    let refused = failure(&world.admin, &made.unwrap()).await;
    assert_eq!(
        refused,
        (
            "CF-ServiceBrokerApiUnreachable".to_owned(),
            "The service broker could not be reached: cflite works offline, and 0.0.0.0 is not on this machine"
                .to_owned()
        )
    );
    let own =
        "insert into domains (guid, name, created_at, updated_at) values ('own', '0.0.0', 0, 0)";
    world.app.sql(own).await.unwrap();
    let body = registration("here", &url);
    let made = world.admin.post("/v3/service_brokers", &body).await;
    complete(&world.admin, &made.unwrap()).await;
}

/// What the token endpoint says to a client that comes with a code nobody gave out.
async fn status_of_client(app: &TestApp, id: &str, secret: &str) -> u16 {
    let form =
        "grant_type=authorization_code&code=guess&redirect_uri=http%3A%2F%2Fdash.example.com";
    let asked = reqwest::Client::new()
        .post(format!("{}/oauth/token", app.url()))
        .basic_auth(id, Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    asked.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_dashboard_client_lives_as_long_as_its_broker() {
    let world = World::new().await;
    let with_client = |id: &str, secret: &str| {
        let mut catalog = catalog();
        catalog["services"][0]["dashboard_client"] =
            json!({ "id": id, "secret": secret, "redirect_uri": "http://dash.example.com" });
        catalog
    };
    let path = format!("/v3/service_brokers/{}", world.broker_guid);
    let again = json!({ "url": world.broker.url });
    world.broker.offer(with_client("dash", "s1"));
    complete(
        &world.admin,
        &world.admin.patch(&path, &again).await.unwrap(),
    )
    .await;
    assert_eq!(
        status_of_client(&world.app, "dash", "s1").await,
        400,
        "it may come with a code"
    );
    assert_eq!(status_of_client(&world.app, "dash", "wrong").await, 401);

    world.broker.offer(with_client("dash", "s2"));
    complete(
        &world.admin,
        &world.admin.patch(&path, &again).await.unwrap(),
    )
    .await;
    assert_eq!(status_of_client(&world.app, "dash", "s1").await, 401);
    assert_eq!(status_of_client(&world.app, "dash", "s2").await, 400);

    // Nobody takes another's client over, least of all the platform's.
    for taken in ["cf", "cflite-console"] {
        world.broker.offer(with_client(taken, "s"));
        let refused = world.admin.patch(&path, &again).await.unwrap();
        let (_, text) = failure(&world.admin, &refused).await;
        assert!(
            text.contains("Service db\n  Service dashboard client id must be unique"),
            "{text}"
        );
    }
    let other = Broker::start().await;
    let mut theirs = with_client("dash", "s3");
    theirs["services"][0]["id"] = json!("other-id");
    theirs["services"][0]["plans"][0]["id"] = json!("other-small");
    theirs["services"][0]["plans"][1]["id"] = json!("other-large");
    other.offer(theirs);
    let made = world
        .admin
        .post("/v3/service_brokers", &registration("other", &other.url))
        .await;
    let (_, text) = failure(&world.admin, &made.unwrap()).await;
    assert!(
        text.contains("Service dashboard client id must be unique"),
        "{text}"
    );

    complete(&world.admin, &world.admin.delete(&path).await.unwrap()).await;
    assert_eq!(status_of_client(&world.app, "dash", "s2").await, 401);
}
