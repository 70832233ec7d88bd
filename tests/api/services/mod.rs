//! Service brokers, what they offer, and what is made of it: against a scripted broker.

mod bindings;
pub(crate) mod broker;
mod brokers;
mod cascades;
mod instances;
mod killed;
mod outcomes;
mod provided;
mod stand_ins;

use std::time::Duration;

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

use self::broker::Broker;

/// How long a job may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform with an org, a space, and a broker whose plans are public.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) admin: TestClient,
    pub(crate) organization: String,
    pub(crate) space: String,
    pub(crate) broker: Broker,
    pub(crate) broker_guid: String,
    pub(crate) small: String,
    pub(crate) large: String,
}

/// The body that registers a broker.
pub(crate) fn registration(name: &str, url: &str) -> Value {
    json!({ "name": name, "url": url, "authentication": {
        "type": "basic", "credentials": { "username": "user", "password": "hunter2" } } })
}

/// The job of an answer once it is over.
pub(crate) async fn job(client: &TestClient, accepted: &Answer) -> Answer {
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let started = std::time::Instant::now();
    loop {
        let job = client.job_of(accepted).await.unwrap();
        if !matches!(job.text("/state"), "PROCESSING" | "POLLING") {
            return job;
        }
        assert!(started.elapsed() < PATIENCE, "{job:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same, and it went well.
pub(crate) async fn complete(client: &TestClient, accepted: &Answer) {
    let job = job(client, accepted).await;
    assert_eq!(job.text("/state"), "COMPLETE", "{job:?}");
}

/// The same, and it did not: title and detail of its error.
pub(crate) async fn failure(client: &TestClient, accepted: &Answer) -> (String, String) {
    let job = job(client, accepted).await;
    assert_eq!(job.text("/state"), "FAILED", "{job:?}");
    (job.title().to_owned(), job.detail().to_owned())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(TestApp::start().await.unwrap()).await
    }

    pub(crate) async fn on(app: TestApp) -> Self {
        let admin = app.admin().await.unwrap();
        let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
        let broker = Broker::start().await;
        let body = registration("broker", &broker.url);
        let made = admin.post("/v3/service_brokers", &body).await.unwrap();
        complete(&admin, &made).await;
        let brokers = admin.get("/v3/service_brokers").await.unwrap();
        let plans = admin.get("/v3/service_plans").await.unwrap();
        assert_eq!(
            plans.names(),
            ["small", "large"],
            "in the order of the catalog"
        );
        let plan = |at: usize| {
            plans.body["resources"][at]["guid"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let world = Self {
            broker_guid: brokers.text("/resources/0/guid").to_owned(),
            small: plan(0),
            large: plan(1),
            app,
            admin,
            organization,
            space,
            broker,
        };
        for plan in [&world.small, &world.large] {
            let path = format!("/v3/service_plans/{plan}/visibility");
            let shown = world
                .admin
                .post(&path, &json!({ "type": "public" }))
                .await
                .unwrap();
            assert_eq!((shown.status, shown.text("/type")), (200, "public"));
        }
        world
    }

    /// What asks for an instance of a plan.
    pub(crate) fn wanted(&self, name: &str, plan: &str) -> Value {
        let mut relationships = related("space", &self.space);
        relationships["service_plan"] = json!({ "data": { "guid": plan } });
        json!({ "type": "managed", "name": name, "relationships": relationships })
    }

    /// An instance of the small plan.
    pub(crate) async fn instance(&self, name: &str) -> String {
        let wanted = self.wanted(name, &self.small);
        let made = self
            .admin
            .post("/v3/service_instances", &wanted)
            .await
            .unwrap();
        complete(&self.admin, &made).await;
        self.found(name).await
    }

    /// The guid of an instance.
    pub(crate) async fn found(&self, name: &str) -> String {
        let path = format!("/v3/service_instances?names={name}");
        let list = self.admin.get(&path).await.unwrap();
        list.text("/resources/0/guid").to_owned()
    }

    /// What is shown of an instance.
    pub(crate) async fn shown(&self, guid: &str) -> Answer {
        let path = format!("/v3/service_instances/{guid}");
        self.admin.get(&path).await.unwrap()
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = std::time::Instant::now();
        while !holds().await {
            assert!(started.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The body of a binding.
pub(crate) fn binding(instance: &str, app: Option<&str>) -> Value {
    let mut relationships = related("service_instance", instance);
    match app {
        None => json!({ "type": "key", "name": "key", "relationships": relationships }),
        Some(app) => {
            relationships["app"] = json!({ "data": { "guid": app } });
            json!({ "type": "app", "relationships": relationships })
        }
    }
}
