//! Services whose broker is elsewhere, and which are made on this machine.

use cflite::docker::Behaviour;
use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

use super::broker::{Broker, catalog};
use super::{binding, complete, failure, registration};

/// A platform with data services and a broker elsewhere.
struct World {
    app: TestApp,
    admin: TestClient,
    space: String,
    broker: Broker,
}

/// The catalog, whose small plan says what to run in its place.
fn offline_catalog() -> Value {
    let mut catalog = catalog();
    catalog["services"][0]["plans"][0]["metadata"] = json!({ "x-cflite-offline": {
        "profile": "redis/small",
        "credentials": { "jdbcUrl": "jdbc:redis://{{ host }}:{{ port.main }}", "login": "{{ bind.user }}" },
    } });
    catalog
}

impl World {
    async fn new() -> Self {
        let app = TestApp::with_data_services().await.unwrap();
        app.engine().script("/run/cflite/start", Behaviour::runs());
        app.engine()
            .program("redis-cli", |_| (0, "PONG\nOK\nOK\n".to_owned()));
        let admin = app.admin().await.unwrap();
        let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
        let broker = Broker::start().await;
        broker.offer(offline_catalog());
        let body = registration("elsewhere", &broker.url);
        let made = admin.post("/v3/service_brokers", &body).await.unwrap();
        complete(&admin, &made).await;
        let plans = admin
            .get("/v3/service_plans?service_offering_names=db")
            .await;
        for plan in plans.unwrap().body["resources"].as_array().unwrap() {
            let path = format!(
                "/v3/service_plans/{}/visibility",
                plan["guid"].as_str().unwrap()
            );
            let shown = admin
                .post(&path, &json!({ "type": "public" }))
                .await
                .unwrap();
            assert_eq!(shown.status, 200, "{shown:?}");
        }
        Self {
            app,
            admin,
            space,
            broker,
        }
    }

    /// Nobody listens where the broker was.
    async fn go_offline(&self) {
        let sql = "update service_brokers set url = 'http://127.0.0.1:1' where name = 'elsewhere'";
        self.app.sql(sql).await.unwrap();
    }

    async fn create(&self, name: &str, plan: &str, mode: Option<&str>) -> Answer {
        let path = format!("/v3/service_plans?names={plan}&service_offering_names=db");
        let plans = self.admin.get(&path).await.unwrap();
        let mut relationships = related("space", &self.space);
        relationships["service_plan"] =
            json!({ "data": { "guid": plans.text("/resources/0/guid") } });
        let mut body = json!({ "type": "managed", "name": name, "relationships": relationships });
        if let Some(mode) = mode {
            body["parameters"] = json!({ "x-cflite": { "mode": mode }, "size": 3 });
        }
        self.admin
            .post("/v3/service_instances", &body)
            .await
            .unwrap()
    }

    async fn shown(&self, name: &str) -> Value {
        let path = format!("/v3/service_instances?names={name}");
        let list = self.admin.get(&path).await.unwrap();
        list.body["resources"][0].clone()
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_has_a_stand_in_that_it_never_hears_of() {
    let world = World::new().await;
    world.go_offline().await;
    complete(&world.admin, &world.create("mine", "small", None).await).await;
    let mine = world.shown("mine").await;
    let told = &mine["last_operation"]["description"];
    let told = told.as_str().unwrap();
    assert!(told.starts_with("offline stand-in (redis/small)"), "{told}");
    let guid = mine["guid"].as_str().unwrap();

    let made = world
        .admin
        .post("/v3/service_credential_bindings", &binding(guid, None))
        .await;
    complete(&world.admin, &made.unwrap()).await;
    let keys = world
        .admin
        .get("/v3/service_credential_bindings?names=key")
        .await
        .unwrap();
    let details = format!(
        "/v3/service_credential_bindings/{}/details",
        keys.text("/resources/0/guid")
    );
    let details = world.admin.get(&details).await.unwrap();
    let url = details.text("/credentials/jdbcUrl");
    assert!(url.starts_with("jdbc:redis://127.0.0.1:6"), "{details:?}");
    assert!(
        details.text("/credentials/login").starts_with('u'),
        "{details:?}"
    );
    assert!(
        details.body["credentials"]["password"].is_null(),
        "only the keys of the broker's own credentials"
    );

    // The broker is back, and still is not asked.
    let sql: &'static str = Box::leak(
        format!(
            "update service_brokers set url = '{}' where name = 'elsewhere'",
            world.broker.url
        )
        .into_boxed_str(),
    );
    world.app.sql(sql).await.unwrap();
    let path = format!("/v3/service_instances/{guid}");
    let update = json!({ "parameters": { "size": 4 } });
    complete(
        &world.admin,
        &world.admin.patch(&path, &update).await.unwrap(),
    )
    .await;
    let refused = json!({ "parameters": { "x-cflite": { "mode": "online" } } });
    let (_, text) = failure(
        &world.admin,
        &world.admin.patch(&path, &refused).await.unwrap(),
    )
    .await;
    assert!(text.contains("is decided when it is made"), "{text}");
    let key = format!(
        "/v3/service_credential_bindings/{}",
        keys.text("/resources/0/guid")
    );
    complete(&world.admin, &world.admin.delete(&key).await.unwrap()).await;
    complete(&world.admin, &world.admin.delete(&path).await.unwrap()).await;
    for kind in [
        "provision",
        "update",
        "bind",
        "unbind",
        "deprovision",
        "poll",
        "fetch",
    ] {
        assert!(
            world.broker.got(kind).is_empty(),
            "the broker was asked to {kind}"
        );
    }
    assert_eq!(world.app.engine().container_names(), Vec::<String>::new());
    assert_eq!(
        world
            .app
            .count("select count(*) from service_stand_ins")
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn users_choose_between_the_broker_and_its_stand_in() {
    let world = World::new().await;
    complete(
        &world.admin,
        &world.create("here", "small", Some("offline")).await,
    )
    .await;
    assert!(world.broker.got("provision").is_empty());
    complete(
        &world.admin,
        &world.create("there", "small", Some("online")).await,
    )
    .await;
    let asked = world.broker.got("provision");
    assert_eq!(
        asked[0].body["parameters"],
        json!({ "size": 3 }),
        "the choice is not for brokers"
    );
    let (_, text) = failure(
        &world.admin,
        &world.create("none", "large", Some("offline")).await,
    )
    .await;
    assert!(
        text.contains("The plan large of db names no offline stand-in"),
        "{text}"
    );
    let (_, text) = failure(
        &world.admin,
        &world.create("odd", "small", Some("maybe")).await,
    )
    .await;
    assert!(text.contains("The parameter x-cflite has to be"), "{text}");

    world.go_offline().await;
    let (_, text) = failure(
        &world.admin,
        &world.create("refused", "small", Some("online")).await,
    )
    .await;
    assert!(
        text.contains("could not be reached") || text.contains("connection"),
        "{text}"
    );
    let (_, text) = failure(&world.admin, &world.create("nothing", "large", None).await).await;
    assert!(!text.contains("stand-in"), "{text}");
}
