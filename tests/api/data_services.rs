//! The broker of data services as platforms ask it (Open Service Broker API 2.17), and as the
//! marketplace does.

use std::time::{Duration, Instant};

use cflite::docker::{Behaviour, Engine, Labels};
use cflite::testing::{TestApp, organization_and_space};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::services::complete;

pub(crate) const REDIS: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0003";
const SMALL: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0031";
const MEDIUM: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0032";
const SOON: Duration = Duration::from_secs(30);

/// A platform with data services, and a client of their broker.
pub(crate) struct World {
    pub(crate) app: TestApp,
    http: reqwest::Client,
    pub(crate) base: String,
    username: String,
    password: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    identity: Option<String>,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        let app = TestApp::with_data_services().await.unwrap();
        app.engine().script("/run/cflite/start", Behaviour::runs());
        app.engine()
            .program("redis-cli", |_| (0, "PONG\nOK\nOK\n".to_owned()));
        let (base, username, password) = app.broker().await.unwrap();
        Self {
            app,
            http: reqwest::Client::new(),
            base,
            username,
            password,
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/v2{path}", self.base))
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self
            .request(method, path)
            .basic_auth(&self.username, Some(&self.password))
            .header("x-broker-api-version", "2.17")
            .header("x-broker-api-request-identity", "me");
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        answered(request).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    async fn delete(&self, path: &str) -> Answer {
        let ids = format!("service_id={REDIS}&plan_id={SMALL}&accepts_incomplete=true");
        self.ask(Method::DELETE, &format!("{path}?{ids}"), None)
            .await
    }

    /// A service that is ready.
    pub(crate) async fn provision(&self, guid: &str) {
        let path = format!("/service_instances/{guid}?accepts_incomplete=true");
        let asked = self.put(&path, &wanted()).await;
        assert!(matches!(asked.status.as_u16(), 201 | 202), "{asked:?}");
        self.until(guid, "succeeded").await;
    }

    /// The id of the container of a service.
    pub(crate) async fn container_of(&self, guid: &str) -> String {
        let all = self.app.engine().list(&Labels::new()).await.unwrap();
        let is_it = |name: &str| name.ends_with(&format!("-service-{guid}"));
        let mut found = all.into_iter().filter(|container| is_it(&container.name));
        found.next().unwrap().id
    }

    pub(crate) async fn until(&self, guid: &str, state: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self
                .get(&format!("/service_instances/{guid}/last_operation"))
                .await;
            if found.body["state"] == state {
                return;
            }
            assert!(Instant::now() < deadline, "{found:?} instead of {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let identity = response.headers().get("x-broker-api-request-identity");
    Answer {
        status: response.status(),
        identity: identity.map(|value| value.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
    }
}

pub(crate) fn wanted() -> Value {
    json!({
        "service_id": REDIS, "plan_id": SMALL, "organization_guid": "org", "space_guid": "space",
        "context": { "platform": "cloudfoundry", "instance_name": "mine" },
    })
}

pub(crate) fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[tokio::test]
async fn only_who_signs_in_with_a_version_is_answered() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/catalog"),
        (Method::PUT, "/service_instances/i"),
        (Method::PATCH, "/service_instances/i"),
        (Method::DELETE, "/service_instances/i"),
        (Method::GET, "/service_instances/i"),
        (Method::GET, "/service_instances/i/last_operation"),
        (Method::PUT, "/service_instances/i/service_bindings/b"),
        (Method::DELETE, "/service_instances/i/service_bindings/b"),
        (Method::GET, "/service_instances/i/service_bindings/b"),
    ] {
        let version = ("x-broker-api-version", "2.17");
        let request = || world.request(method.clone(), path);
        let nobody = answered(request().header(version.0, version.1)).await;
        assert_eq!(nobody.status, 401, "{method} {path}");
        let wrong = [("cflite", "wrong"), ("wrong", world.password.as_str())];
        for (user, password) in wrong {
            let request = request()
                .header(version.0, version.1)
                .basic_auth(user, Some(password));
            assert_eq!(answered(request).await.status, 401, "{method} {path}");
        }
        let signed = || request().basic_auth(&world.username, Some(&world.password));
        for version in [None, Some("2.12"), Some("3.0"), Some("x")] {
            let request = match version {
                Some(version) => signed().header("x-broker-api-version", version),
                None => signed(),
            };
            assert_eq!(
                answered(request).await.status,
                412,
                "{method} {path} {version:?}"
            );
        }
    }
    let catalog = world.get("/catalog").await;
    assert_eq!(
        (catalog.status.as_u16(), catalog.identity.as_deref()),
        (200, Some("me"))
    );
    for service in catalog.body["services"].as_array().unwrap() {
        let name = service["name"].as_str().unwrap();
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
    }
}

#[tokio::test]
async fn invalid_requests_change_nothing() {
    let world = World::new().await;
    let path = "/service_instances/i?accepts_incomplete=true";
    for (name, value) in [
        ("service_id", Value::Null),
        ("service_id", json!("")),
        ("service_id", json!("unknown")),
        ("plan_id", Value::Null),
        ("plan_id", json!("unknown")),
        ("organization_guid", Value::Null),
        ("space_guid", json!("")),
        ("parameters", json!("text")),
        ("parameters", json!({ "unknown": 1 })),
        ("parameters", json!({ "maxmemory_policy": "unknown" })),
        ("parameters", json!({ "memory": "much" })),
        ("parameters", json!({ "restore": "b" })),
        ("parameters", json!({ "restore_from": "unknown" })),
    ] {
        let refused = world.put(path, &with(wanted(), name, value.clone())).await;
        assert_eq!(refused.status, 400, "{name} {value}: {refused:?}");
        assert!(refused.body["description"].is_string(), "{refused:?}");
    }
    let old = with(
        wanted(),
        "maintenance_info",
        json!({ "version": "Invalid" }),
    );
    let refused = world.put(path, &old).await;
    assert_eq!(
        refused.body["error"], "MaintenanceInfoConflict",
        "{refused:?}"
    );
    let refused = world.put("/service_instances/i", &wanted()).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["error"]),
        (422, &json!("AsyncRequired"))
    );

    assert_eq!(world.get("/service_instances/i").await.status, 404);
    assert_eq!(
        world
            .get("/service_instances/i/last_operation")
            .await
            .status,
        410
    );
    assert_eq!(world.delete("/service_instances/i").await.status, 410);
    let missing = world
        .ask(Method::DELETE, "/service_instances/i", None)
        .await;
    assert_eq!(missing.status, 400);
}

#[tokio::test]
async fn a_service_is_made_bound_changed_and_deleted() {
    let world = World::new().await;
    world.provision("i").await;
    let path = "/service_instances/i?accepts_incomplete=true";
    assert_eq!(
        world.put(path, &wanted()).await.status,
        200,
        "the same again"
    );
    let elsewhere = with(wanted(), "space_guid", json!("other"));
    assert_eq!(world.put(path, &elsewhere).await.status, 409);
    let shown = world.get("/service_instances/i").await;
    assert_eq!(shown.body["service_id"], REDIS);
    assert_eq!(shown.body["plan_id"], SMALL);

    let binding = "/service_instances/i/service_bindings/b";
    let ids = json!({ "service_id": REDIS, "plan_id": SMALL });
    for name in ["service_id", "plan_id"] {
        let refused = world
            .put(binding, &with(ids.clone(), name, Value::Null))
            .await;
        assert_eq!(refused.status, 400);
    }
    assert_eq!(world.get(binding).await.status, 404);
    let bound = world.put(binding, &ids).await;
    assert_eq!(bound.status, 201, "{bound:?}");
    assert_eq!(
        bound.body["credentials"]["host"], "127.0.0.1",
        "a key is for this machine"
    );
    let again = world.put(binding, &ids).await;
    assert_eq!((again.status.as_u16(), &again.body), (200, &bound.body));
    assert_eq!(
        world.get(binding).await.body["credentials"],
        bound.body["credentials"]
    );
    let other = with(ids.clone(), "plan_id", json!(MEDIUM));
    assert_eq!(world.put(binding, &other).await.status, 409);
    let of_app = with(ids.clone(), "bind_resource", json!({ "app_guid": "app" }));
    let of_app = world
        .put("/service_instances/i/service_bindings/c", &of_app)
        .await;
    let host = of_app.body["credentials"]["host"].as_str().unwrap();
    assert!(host.ends_with(".svc.internal"), "{of_app:?}");
    assert_ne!(
        of_app.body["credentials"]["password"],
        bound.body["credentials"]["password"]
    );

    let missing = world.ask(Method::DELETE, binding, None).await;
    assert_eq!(missing.status, 400);
    assert_eq!(world.delete(binding).await.status, 200);
    assert_eq!(world.delete(binding).await.status, 410);

    for body in [
        json!({}),
        json!({ "service_id": "unknown" }),
        json!({ "service_id": REDIS, "parameters": { "memory": 1 } }),
    ] {
        let refused = world.ask(Method::PATCH, path, Some(&body)).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    let larger = json!({ "service_id": REDIS, "plan_id": MEDIUM });
    let changed = world.ask(Method::PATCH, path, Some(&larger)).await;
    assert!(matches!(changed.status.as_u16(), 200 | 202), "{changed:?}");
    world.until("i", "succeeded").await;
    assert_eq!(
        world.get("/service_instances/i").await.body["plan_id"],
        MEDIUM
    );

    let deleted = world.delete("/service_instances/i").await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.identity.as_deref()),
        (200, Some("me"))
    );
    assert_eq!(world.delete("/service_instances/i").await.status, 410);
    assert_eq!(world.app.engine().container_names(), Vec::<String>::new());
}

#[tokio::test]
async fn an_operation_goes_on_after_the_platform_ended() {
    let mut world = World::new().await;
    world.app.engine().stall(cflite::docker::Verb::Start);
    let path = "/service_instances/i?accepts_incomplete=true";
    let asked = world.put(path, &wanted()).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let busy = world
        .ask(Method::PATCH, path, Some(&json!({ "service_id": REDIS })))
        .await;
    assert_eq!(busy.body["error"], "ConcurrencyError", "{busy:?}");
    world.app = world.app.restart().await.unwrap();
    world.app.engine().heal();
    world.base = world.app.broker().await.unwrap().0;
    world.until("i", "succeeded").await;
    assert_eq!(world.app.engine().container_names().len(), 1);
}

#[tokio::test]
async fn a_service_that_ends_is_started_again() {
    let world = World::new().await;
    world.provision("i").await;
    let name = world.app.engine().container_names().remove(0);
    world.app.engine().exit(&name, 1);
    let deadline = Instant::now() + SOON;
    loop {
        let binding = "/service_instances/i/service_bindings/b";
        let ids = json!({ "service_id": REDIS, "plan_id": SMALL });
        let bound = world.put(binding, &ids).await;
        if bound.status.is_success() {
            break;
        }
        assert!(Instant::now() < deadline, "{bound:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.app.engine().container_names(), [name]);
}

#[tokio::test]
async fn the_marketplace_offers_them() {
    let world = World::new().await;
    let admin = world.app.admin().await.unwrap();
    let offerings = admin
        .get("/v3/service_offerings?names=redis")
        .await
        .unwrap();
    assert_eq!(offerings.names(), ["redis"]);
    let plans = admin
        .get("/v3/service_plans?service_offering_names=redis")
        .await
        .unwrap();
    assert_eq!(plans.names(), ["small", "medium", "large"]);
    assert!(
        plans.body["resources"]
            .as_array()
            .unwrap()
            .iter()
            .all(|plan| plan["visibility_type"] == "public")
    );

    let (_, space) = organization_and_space(&admin, "data").await.unwrap();
    let body = json!({
        "type": "managed", "name": "mine",
        "relationships": {
            "space": { "data": { "guid": space } },
            "service_plan": { "data": { "guid": plans.text("/resources/0/guid") } },
        },
    });
    let asked = admin.post("/v3/service_instances", &body).await.unwrap();
    complete(&admin, &asked).await;

    // What the owner of the platform deletes does not come back.
    let restarted = world.app.restart().await.unwrap();
    let admin = restarted.admin().await.unwrap();
    let brokers = admin.get("/v3/service_brokers").await.unwrap();
    assert_eq!(brokers.names(), ["cflite"]);
    let instance = admin.get("/v3/service_instances").await.unwrap();
    let path = format!(
        "/v3/service_instances/{}",
        instance.text("/resources/0/guid")
    );
    let deleted = admin.delete(&path).await.unwrap();
    complete(&admin, &deleted).await;
    let path = format!("/v3/service_brokers/{}", brokers.text("/resources/0/guid"));
    let deleted = admin.delete(&path).await.unwrap();
    complete(&admin, &deleted).await;
    let restarted = restarted.restart().await.unwrap();
    let admin = restarted.admin().await.unwrap();
    assert_eq!(
        admin.get("/v3/service_brokers").await.unwrap().names(),
        Vec::<&str>::new()
    );
}
