//! A scripted service broker on loopback: answers are queued per request, and requests are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers this.
    Json(u16, Value),
    /// Answers text.
    Text(u16, &'static str),
    /// Asks for patience.
    RetryAfter(u16, Value, &'static str),
    /// Answers after some time.
    Slow(Duration, u16, Value),
    /// Breaks off in the middle of the body.
    CutOff,
}

/// A request as the broker got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Inner {
    catalog: Value,
    /// Per kind of request, in order; the last one stays.
    script: HashMap<&'static str, VecDeque<Reply>>,
    got: Vec<Got>,
}

/// A running broker.
#[derive(Clone)]
pub(crate) struct Broker {
    inner: Arc<Mutex<Inner>>,
    pub(crate) url: String,
    _stop: Arc<tokio::task::AbortHandle>,
}

/// Which kind of request: `provision`, `update`, `deprovision`, `bind`, `unbind`, `poll`,
/// `poll binding`, `fetch`, `fetch binding`, `catalog`.
fn kind(method: &str, path: &str) -> &'static str {
    let of_binding = path.contains("/service_bindings/");
    match (method, path.ends_with("/last_operation"), of_binding) {
        _ if path == "/v2/catalog" => "catalog",
        ("PUT", _, false) => "provision",
        ("PUT", _, true) => "bind",
        ("PATCH", ..) => "update",
        ("DELETE", _, false) => "deprovision",
        ("DELETE", _, true) => "unbind",
        (_, true, false) => "poll",
        (_, true, true) => "poll binding",
        (_, false, false) => "fetch",
        (_, false, true) => "fetch binding",
    }
}

fn default_reply(kind: &str, inner: &Inner) -> Reply {
    match kind {
        "catalog" => Reply::Json(200, inner.catalog.clone()),
        "provision" => Reply::Json(201, json!({ "dashboard_url": "http://dash" })),
        "bind" => Reply::Json(
            201,
            json!({ "credentials": { "uri": "mysql://u:hunter2@h/d" } }),
        ),
        "poll" | "poll binding" => Reply::Json(
            200,
            json!({ "state": "succeeded", "description": "100 percent done" }),
        ),
        "fetch" => Reply::Json(
            200,
            json!({ "parameters": { "size": 1 }, "dashboard_url": "http://new" }),
        ),
        "fetch binding" => Reply::Json(
            200,
            json!({ "parameters": { "role": "r" }, "credentials": { "uri": "mysql://u:hunter2@h/d" } }),
        ),
        _ => Reply::Json(200, json!({})),
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let kind = kind(parts.method.as_str(), &path);
    let reply = {
        let mut inner = inner.lock().unwrap();
        inner.got.push(Got {
            method: parts.method.to_string(),
            path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        let queue = inner.script.entry(kind).or_default();
        let scripted = if queue.len() > 1 {
            queue.pop_front()
        } else {
            queue.front().cloned()
        };
        scripted.unwrap_or_else(|| default_reply(kind, &inner))
    };
    let with = |status: u16| StatusCode::from_u16(status).unwrap();
    match reply {
        Reply::Json(status, value) => (with(status), axum::Json(value)).into_response(),
        Reply::Text(status, text) => (with(status), text).into_response(),
        Reply::RetryAfter(status, value, after) => {
            (with(status), [("retry-after", after)], axum::Json(value)).into_response()
        }
        Reply::Slow(time, status, value) => {
            tokio::time::sleep(time).await;
            (with(status), axum::Json(value)).into_response()
        }
        Reply::CutOff => {
            let broken: [Result<Bytes, std::io::Error>; 2] = [
                Ok(Bytes::from_static(b"{\"dash")),
                Err(std::io::Error::other("cut off")),
            ];
            let body = axum::body::Body::from_stream(futures_util::stream::iter(broken));
            (StatusCode::CREATED, body).into_response()
        }
    }
}

/// One offering `db` with a plan `small` for nothing and a plan `large` that is not.
pub(crate) fn catalog() -> Value {
    json!({ "services": [{
        "id": "db-id", "name": "db", "description": "a database", "bindable": true,
        "plan_updateable": true, "instances_retrievable": true, "bindings_retrievable": true,
        "tags": ["sql"], "requires": ["syslog_drain", "volume_mount"],
        "metadata": { "shareable": true, "documentationUrl": "http://docs" },
        "plans": [
            {
                "id": "small-id", "name": "small", "description": "a small one",
                "maintenance_info": { "version": "2.0.0" }, "maximum_polling_duration": 600,
            },
            {
                "id": "large-id", "name": "large", "description": "a large one", "free": false,
                "metadata": { "costs": [{ "amount": { "usd": 649.0 }, "unit": "MONTHLY" }] },
            },
        ],
    }] })
}

impl Broker {
    /// Starts one with [`catalog`].
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            catalog: catalog(),
            ..Inner::default()
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(inner.clone());
        #[allow(clippy::disallowed_methods, reason = "it ends with its test")]
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            inner,
            url,
            _stop: Arc::new(task.abort_handle()),
        }
    }

    /// Answers these in order; the last one stays.
    pub(crate) fn script(&self, kind: &'static str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        self.inner.lock().unwrap().script.insert(kind, replies);
    }

    /// Answers as without a script again.
    pub(crate) fn unscript(&self) {
        self.inner.lock().unwrap().script.clear();
    }

    /// Offers something else from now on.
    pub(crate) fn offer(&self, catalog: Value) {
        self.inner.lock().unwrap().catalog = catalog;
    }

    /// The requests of a kind so far.
    pub(crate) fn got(&self, wanted: &str) -> Vec<Got> {
        let inner = self.inner.lock().unwrap();
        let all = inner.got.iter();
        all.filter(|got| kind(&got.method, &got.path) == wanted)
            .cloned()
            .collect()
    }
}
