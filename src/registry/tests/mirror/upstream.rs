//! Another registry, on a port of this machine: it serves images, notes what is asked, and fails as
//! the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use ::http::{HeaderMap, Method, Request, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::image::{Image, Object};
use crate::net::outside::scripted::{Script, first, redirect, serve};

pub(super) use crate::net::outside::scripted::{Asked, Fault, PATIENCE};

/// Who may pull.
pub(super) const USER: (&str, &str) = ("me", "p4ss");

/// How the registry wants to be asked.
#[derive(Debug, Clone)]
pub(super) enum Access {
    Open,
    Basic,
    /// With a token; `public` = also with one for nobody.
    Bearer {
        realm: Option<&'static str>,
        public: bool,
    },
}

pub(super) struct Upstream {
    pub(super) port: u16,
    pub(super) script: Script,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    port: u16,
    content: Mutex<Content>,
    script: Script,
}

struct Content {
    objects: BTreeMap<String, Object>,
    tags: BTreeMap<String, String>,
    access: Access,
    ranges: bool,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            port,
            content: Mutex::new(Content {
                objects: BTreeMap::new(),
                tags: BTreeMap::new(),
                access: Access::Open,
                ranges: true,
            }),
            script: Script::default(),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        Self {
            port,
            script: shared.script.clone(),
            shared,
            serving: Handle::current().spawn(serve(listener, router)),
        }
    }

    /// Has an image under a name such as `library/app:1`.
    pub(super) fn add(&self, name: &str, image: &Image) {
        self.add_parts(image);
        self.tag(name, &image.manifest);
    }

    pub(super) fn add_parts(&self, image: &Image) {
        let mut content = self.shared.content();
        for object in image.blobs().chain([&image.manifest]) {
            let key = object.digest.to_string();
            content.objects.insert(key, object.clone());
        }
    }

    pub(super) fn tag(&self, name: &str, manifest: &Object) {
        let mut content = self.shared.content();
        let digest = manifest.digest.to_string();
        content.tags.insert(name.to_owned(), digest.clone());
        content.objects.insert(digest, manifest.clone());
    }

    pub(super) fn remove_tag(&self, name: &str) {
        self.shared.content().tags.remove(name);
    }

    pub(super) fn access(&self, access: Access) {
        self.shared.content().access = access;
    }

    pub(super) fn ignore_ranges(&self) {
        self.shared.content().ranges = false;
    }

    /// The next `times` requests whose line contains `part` fail.
    pub(super) fn fail(&self, part: &str, times: u32, fault: Fault) {
        self.script.fail(part, times, fault);
    }

    /// Ends everything that is held.
    pub(super) fn release(&self) {
        self.script.release();
    }

    /// Closes all connections and the port.
    pub(super) async fn stop(&mut self) {
        self.serving.abort();
        let ended = (&mut self.serving).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    /// The requests whose line contains `part`.
    pub(super) fn asked(&self, part: &str) -> Vec<Asked> {
        self.script.asked(part)
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.script.forget();
    }

    /// Waits for a request whose line contains `part`.
    pub(super) async fn until_asked(&self, part: &str) {
        self.script.until_asked(part).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("the content")
    }

    /// What a path such as `/v2/library/app/manifests/1` stands for.
    fn find(&self, path: &str) -> Option<Object> {
        let content = self.content();
        let path = path.strip_prefix("/v2/")?;
        let digest = match path.rsplit_once("/manifests/") {
            Some((repository, tag)) if !tag.contains(':') => {
                content.tags.get(&format!("{repository}:{tag}"))?.clone()
            }
            _ => path.rsplit_once('/')?.1.to_owned(),
        };
        content.objects.get(&digest).cloned()
    }

    /// The answer to a request without the right to pull.
    fn challenge(&self, authorization: Option<&str>) -> Option<Response> {
        let access = self.content().access.clone();
        let header = match access {
            Access::Open => return None,
            Access::Basic if authorization == Some(&basic()) => return None,
            Access::Basic => "Basic realm=\"upstream\"".to_owned(),
            Access::Bearer { realm, public } => match authorization {
                Some("Bearer for-me") => return None,
                Some("Bearer for-nobody") if public => return None,
                _ => {
                    let own = format!("http://127.0.0.1:{}/token", self.port);
                    let realm = realm.map_or(own, str::to_owned);
                    format!("Bearer realm=\"{realm}\",service=\"upstream\"")
                }
            },
        };
        Some((StatusCode::UNAUTHORIZED, [("www-authenticate", header)]).into_response())
    }
}

fn basic() -> String {
    let text = format!("{}:{}", USER.0, USER.1);
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("Basic {text}")
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let script = &shared.script;
    let asked = script.note(&request);
    let authorization = asked.header("authorization");
    if request.uri.path() == "/token" {
        return token(authorization);
    }
    if let Some(refusal) = shared.challenge(authorization) {
        return refusal;
    }
    let fault = script.fault(&asked);
    match fault {
        Some(Fault::Status(status)) => return error(status),
        Some(Fault::Late(status)) => {
            script.until_released().await;
            return error(status);
        }
        Some(Fault::Limited { retry_after }) => return limited(retry_after),
        Some(Fault::Elsewhere(server)) => return redirect(&server, &request),
        _ => {}
    }
    let Some(mut object) = shared.find(request.uri.path()) else {
        return error(404);
    };
    if let Some(Fault::Instead(text)) = fault {
        object.bytes = Bytes::from_static(text.as_bytes());
    }
    if request.method == Method::HEAD {
        let length = object.bytes.len();
        let answer = (headers(&object, length), Body::empty());
        return answer.into_response();
    }
    let first = match asked.header("range") {
        Some(range) if shared.content().ranges => first(range),
        _ => 0,
    };
    let headers = headers(&object, object.bytes.len());
    script.send(&object.bytes, first, headers, fault)
}

fn headers(object: &Object, length: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pairs = [
        ("content-type", object.kind.clone()),
        ("content-length", length.to_string()),
        ("docker-content-digest", object.digest.to_string()),
    ];
    for (name, value) in pairs {
        headers.insert(name, value.parse().expect("a header"));
    }
    headers
}

fn token(authorization: Option<&str>) -> Response {
    let name = match authorization {
        None => "for-nobody",
        Some(given) if given == basic() => "for-me",
        Some(_) => return error(401),
    };
    axum::Json(serde_json::json!({ "token": name })).into_response()
}

fn error(status: u16) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let text = serde_json::json!({ "errors": [{ "code": "X", "message": "no luck" }] });
    (status, axum::Json(text)).into_response()
}

fn limited(retry_after: u64) -> Response {
    let headers = [
        ("retry-after", retry_after.to_string()),
        ("ratelimit-limit", "100;w=21600".to_owned()),
        ("ratelimit-remaining", "0;w=21600".to_owned()),
    ];
    (headers, error(429)).into_response()
}
