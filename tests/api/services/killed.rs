//! The platform ends between any two steps of what it does with a broker, and another one goes on with the same
//! data: the broker has each thing once, and the platform knows what the broker has.
//!
//! Each request is cut off when it arrives for the first time: in one run before the broker did anything, in the
//! other after it did all, so that only its answer is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::broker::catalog;
use super::{binding, complete, registration};

/// When a request is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The broker never got it.
    Before,
    /// The broker did what it asks for.
    After,
}

/// A broker that works in its own time, and remembers everything that it made.
struct Model {
    cut: Cut,
    /// Steps that were cut off, such as `PUT instance`; they are let through from then on.
    seen: BTreeSet<String>,
    /// Plans of instances.
    instances: BTreeMap<String, String>,
    bindings: BTreeSet<String>,
    /// What was made, each time.
    made: Vec<String>,
}

#[derive(Clone)]
struct Broker {
    model: Arc<Mutex<Model>>,
    /// A request was cut off: the platform is to end.
    stuck: Arc<Notify>,
}

/// A request as the broker understands it.
struct Asked {
    /// What is cut off once: `DELETE binding`, `GET instance/last_operation after PATCH`.
    step: String,
    method: String,
    instance: String,
    binding: Option<String>,
    is_poll: bool,
    body: Value,
}

impl Model {
    /// Does what is asked for; the same again changes nothing.
    fn act(&mut self, asked: &Asked) -> (u16, Value) {
        let accepted = (202, json!({ "operation": asked.method }));
        match (asked.method.as_str(), &asked.binding) {
            ("GET", _) if asked.is_poll => self.poll(asked),
            ("GET", None) => (200, json!({ "dashboard_url": "http://dash" })),
            ("GET", Some(_)) => (200, json!({ "credentials": { "password": "hunter2" } })),
            ("PUT", None) => {
                let plan = asked.body["plan_id"].as_str().unwrap().to_owned();
                if self
                    .instances
                    .insert(asked.instance.clone(), plan)
                    .is_none()
                {
                    self.made.push(asked.instance.clone());
                }
                accepted
            }
            ("PATCH", None) => {
                let plan = asked.body["plan_id"].as_str().unwrap().to_owned();
                let known = self
                    .instances
                    .get_mut(&asked.instance)
                    .expect("an instance");
                *known = plan;
                accepted
            }
            ("PUT", Some(guid)) => {
                assert!(self.instances.contains_key(&asked.instance));
                if self.bindings.insert(guid.clone()) {
                    self.made.push(guid.clone());
                }
                accepted
            }
            ("DELETE", Some(guid)) if self.bindings.remove(guid) => accepted,
            ("DELETE", None) if self.instances.remove(&asked.instance).is_some() => accepted,
            ("DELETE", _) => (410, json!({})),
            (method, _) => panic!("{method}"),
        }
    }

    fn poll(&self, asked: &Asked) -> (u16, Value) {
        let exists = match &asked.binding {
            None => self.instances.contains_key(&asked.instance),
            Some(guid) => self.bindings.contains(guid),
        };
        let state = json!({ "state": "succeeded", "description": "done" });
        if exists {
            (200, state)
        } else {
            (410, json!({}))
        }
    }
}

async fn read(request: Request) -> Option<Asked> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let mut words = path.trim_start_matches("/v2/service_instances/").split('/');
    let instance = words.next()?.to_owned();
    let mut rest: Vec<&str> = words.collect();
    let is_poll = rest.last() == Some(&"last_operation");
    if is_poll {
        rest.pop();
    }
    let binding = rest.get(1).map(|guid| (*guid).to_owned());
    let query = parts.uri.query().unwrap_or_default();
    let of = query.split('&').find(|pair| pair.starts_with("operation="));
    let method = parts.method.to_string();
    let what = if binding.is_some() {
        "binding"
    } else {
        "instance"
    };
    Some(Asked {
        step: format!("{method} {what} {is_poll} {}", of.unwrap_or_default()),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        method,
        instance,
        binding,
        is_poll,
    })
}

async fn answer(State(broker): State<Broker>, request: Request) -> Response {
    if request.uri().path() == "/v2/catalog" {
        return axum::Json(catalog()).into_response();
    }
    let asked = read(request).await.expect("a path of the API");
    let (is_cut, (status, body)) = {
        let mut model = broker.model.lock().unwrap();
        let is_cut = model.seen.insert(asked.step.clone());
        let is_done = !is_cut || model.cut == Cut::After;
        let said = is_done.then(|| model.act(&asked));
        (is_cut, said.unwrap_or((500, json!({}))))
    };
    if is_cut {
        broker.stuck.notify_one();
        // The connection ends with the platform.
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

/// A platform that is ended at every step, and what it works with.
struct World {
    app: TestApp,
    admin: TestClient,
    broker: Broker,
}

impl World {
    async fn new(cut: Cut) -> Self {
        let model = Model {
            cut,
            seen: BTreeSet::new(),
            instances: BTreeMap::new(),
            bindings: BTreeSet::new(),
            made: Vec::new(),
        };
        let broker = Broker {
            model: Arc::new(Mutex::new(model)),
            stuck: Arc::new(Notify::new()),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Router::new().fallback(answer).with_state(broker.clone());
        #[allow(clippy::disallowed_methods, reason = "it ends with its test")]
        tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        let app = TestApp::start().await.unwrap();
        let admin = app.admin().await.unwrap();
        let body = registration("broker", &url);
        let registered = admin.post("/v3/service_brokers", &body).await.unwrap();
        complete(&admin, &registered).await;
        Self { app, admin, broker }
    }

    /// Ends the platform at each request that is cut off, until the job of an answer is over.
    async fn through(mut self, accepted: &Answer, ends: &mut usize) -> Self {
        let mut accepted = accepted.clone();
        loop {
            let stuck = self.broker.stuck.clone();
            tokio::select! {
                () = complete(&self.admin, &accepted) => return self,
                () = stuck.notified() => {}
            }
            *ends += 1;
            let before = self.app.url();
            self.app = self.app.restart().await.unwrap();
            self.admin = self.app.admin().await.unwrap();
            // Its port is another one.
            let location = accepted.location.unwrap();
            accepted.location = Some(location.replace(&before, &self.app.url()));
        }
    }

    async fn shown(&self, path: &str) -> Value {
        self.admin.get(path).await.unwrap().body
    }

    fn at_broker<T>(&self, asked: impl FnOnce(&Model) -> T) -> T {
        asked(&self.broker.model.lock().unwrap())
    }
}

/// The plans of the catalog, public.
async fn plans(world: &World) -> [String; 2] {
    let listed = world.shown("/v3/service_plans").await;
    let plan = |at: usize| listed["resources"][at]["guid"].as_str().unwrap().to_owned();
    let plans = [plan(0), plan(1)];
    for plan in &plans {
        let path = format!("/v3/service_plans/{plan}/visibility");
        let body = json!({ "type": "public" });
        let shown = world.admin.post(&path, &body).await.unwrap();
        assert_eq!(shown.status, 200);
    }
    plans
}

async fn every_step_is_cut_off(cut: Cut) {
    let mut ends = 0;
    let world = World::new(cut).await;
    let [small, large] = plans(&world).await;
    let (_, space) = organization_and_space(&world.admin, "acme").await.unwrap();

    let mut relationships = related("space", &space);
    relationships["service_plan"] = json!({ "data": { "guid": small } });
    let body = json!({ "type": "managed", "name": "data", "relationships": relationships });
    let asked = world.admin.post("/v3/service_instances", &body).await;
    let world = world.through(&asked.unwrap(), &mut ends).await;
    let listed = world.shown("/v3/service_instances").await;
    assert_eq!(listed["pagination"]["total_results"], 1);
    let guid = listed["resources"][0]["guid"].as_str().unwrap().to_owned();
    let path = format!("/v3/service_instances/{guid}");
    assert_eq!(
        listed["resources"][0]["last_operation"]["state"],
        "succeeded"
    );
    assert_eq!(listed["resources"][0]["dashboard_url"], "http://dash");
    let at_broker = world.at_broker(|model| model.instances.clone());
    assert_eq!(at_broker, [(guid.clone(), "small-id".to_owned())].into());

    let body = json!({ "relationships": { "service_plan": { "data": { "guid": large } } } });
    let asked = world.admin.patch(&path, &body).await.unwrap();
    let world = world.through(&asked, &mut ends).await;
    let shown = world.shown(&path).await;
    assert_eq!(
        shown["relationships"]["service_plan"]["data"]["guid"],
        large.as_str()
    );
    assert_eq!(shown["last_operation"]["state"], "succeeded");
    let at_broker = world.at_broker(|model| model.instances.clone());
    assert_eq!(at_broker, [(guid.clone(), "large-id".to_owned())].into());

    let body = binding(&guid, None);
    let asked = world
        .admin
        .post("/v3/service_credential_bindings", &body)
        .await;
    let world = world.through(&asked.unwrap(), &mut ends).await;
    let listed = world.shown("/v3/service_credential_bindings").await;
    assert_eq!(listed["pagination"]["total_results"], 1);
    let key = listed["resources"][0]["guid"].as_str().unwrap().to_owned();
    let of_key = format!("/v3/service_credential_bindings/{key}");
    let details = world.shown(&format!("{of_key}/details")).await;
    assert_eq!(details["credentials"]["password"], "hunter2");
    let at_broker = world.at_broker(|model| model.bindings.clone());
    assert_eq!(at_broker, [key.clone()].into());

    let asked = world.admin.delete(&of_key).await.unwrap();
    let world = world.through(&asked, &mut ends).await;
    assert_eq!(world.admin.get(&of_key).await.unwrap().status, 404);
    assert!(world.at_broker(|model| model.bindings.is_empty()));

    let asked = world.admin.delete(&path).await.unwrap();
    let world = world.through(&asked, &mut ends).await;
    assert_eq!(world.admin.get(&path).await.unwrap().status, 404);
    assert!(world.at_broker(|model| model.instances.is_empty()));

    // Nothing was made twice, and nothing else is left to do.
    assert_eq!(world.at_broker(|model| model.made.clone()), [guid, key]);
    let open = world
        .app
        .count("select count(*) from service_operations")
        .await;
    assert_eq!(open.unwrap(), 0);
    let steps = world.at_broker(|model| model.seen.clone());
    assert_eq!(ends, steps.len(), "{steps:?}");
    assert!(ends >= 10, "{steps:?}");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_the_broker_never_got_the_request() {
    every_step_is_cut_off(Cut::Before).await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_the_answer_was_lost() {
    every_step_is_cut_off(Cut::After).await;
}
