//! Another registry, on a port of this machine: it serves images, notes what is asked, and fails as
//! the test says.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::image::{Image, Object};

/// Who may pull.
pub(super) const USER: (&str, &str) = ("me", "p4ss");
/// How long something that should happen is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

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

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// An error.
    Status(u16),
    /// The same, once the test allows it.
    Late(u16),
    /// Too many requests.
    Limited { retry_after: u64 },
    /// The connection breaks after so many bytes of the blob.
    Truncated(usize),
    /// Nothing comes after so many bytes, until the test allows it.
    Held(usize),
    /// Another content.
    Instead(&'static str),
    /// The port that has it.
    Elsewhere(u16),
}

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `GET /v2/…`.
    pub(super) line: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

pub(super) struct Upstream {
    pub(super) port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    port: u16,
    content: Mutex<Content>,
    asked: watch::Sender<Vec<Asked>>,
    released: watch::Sender<bool>,
}

struct Content {
    objects: BTreeMap<String, Object>,
    tags: BTreeMap<String, String>,
    access: Access,
    /// A part of the request's line, how often, and what.
    faults: Vec<(String, u32, Fault)>,
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
                faults: Vec::new(),
                ranges: true,
            }),
            asked: watch::Sender::default(),
            released: watch::Sender::default(),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        Self {
            port,
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
        let fault = (part.to_owned(), times, fault);
        self.shared.content().faults.push(fault);
    }

    /// Ends everything that is held.
    pub(super) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Closes all connections and the port.
    pub(super) async fn stop(&mut self) {
        self.serving.abort();
        let ended = (&mut self.serving).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    /// The requests whose line contains `part`.
    pub(super) fn asked(&self, part: &str) -> Vec<Asked> {
        let all = self.shared.asked.borrow();
        let matching = all.iter().filter(|one| one.line.contains(part));
        matching.cloned().collect()
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.shared.asked.send_replace(Vec::new());
    }

    /// Waits for a request whose line contains `part`.
    pub(super) async fn until_asked(&self, part: &str) {
        let mut asked = self.shared.asked.subscribe();
        let came = asked.wait_for(|all| all.iter().any(|one| one.line.contains(part)));
        let came = tokio::time::timeout(PATIENCE, came).await;
        came.expect("a request in time").expect("requests");
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

    async fn until_released(&self) {
        let mut released = self.released.subscribe();
        drop(released.wait_for(|released| *released).await);
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut content = self.content();
        let matching =
            |(part, left, _): &&mut (String, u32, Fault)| *left > 0 && line.contains(&**part);
        let (_, left, fault) = content.faults.iter_mut().find(matching)?;
        *left -= 1;
        Some(fault.clone())
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

/// Connections end with this future.
async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (request, _) = request.into_parts();
    let header = |name: &str| {
        let value = request.headers.get(name)?;
        Some(value.to_str().expect("text").to_owned())
    };
    let asked = Asked {
        line: format!("{} {}", request.method, request.uri),
        range: header("range"),
        authorization: header("authorization"),
    };
    shared.asked.send_modify(|all| all.push(asked.clone()));
    if request.uri.path() == "/token" {
        return token(asked.authorization.as_deref());
    }
    if let Some(refusal) = shared.challenge(asked.authorization.as_deref()) {
        return refusal;
    }
    let fault = shared.fault(&asked.line);
    match fault {
        Some(Fault::Status(status)) => return error(status),
        Some(Fault::Late(status)) => {
            shared.until_released().await;
            return error(status);
        }
        Some(Fault::Limited { retry_after }) => return limited(retry_after),
        Some(Fault::Elsewhere(port)) => {
            let to = format!("http://127.0.0.1:{port}{}", request.uri);
            return (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response();
        }
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
    let first = match &asked.range {
        Some(range) if shared.content().ranges => first(range),
        _ => 0,
    };
    send(&shared, &object, first, fault)
}

fn send(shared: &Arc<Shared>, object: &Object, first: usize, fault: Option<Fault>) -> Response {
    let all = object.bytes.len();
    let mut headers = headers(object, all - first);
    let mut status = StatusCode::OK;
    if first > 0 {
        status = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {first}-{}/{all}", all - 1);
        headers.insert("content-range", range.parse().expect("a header"));
    }
    let until = |end: usize| object.bytes.slice(first..end.clamp(first, all));
    let body = match fault {
        Some(Fault::Truncated(end)) => {
            let broken = stream::once(async {
                // Until now the bytes before are on the way.
                tokio::task::yield_now().await;
                Err(io::Error::other("broken"))
            });
            Body::from_stream(stream::iter([Ok(until(end))]).chain(broken))
        }
        Some(Fault::Held(end)) => {
            let (shared, rest) = (shared.clone(), object.bytes.slice(end.max(first)..));
            let held = stream::once(async move {
                shared.until_released().await;
                Ok::<_, io::Error>(rest)
            });
            Body::from_stream(stream::iter([Ok(until(end))]).chain(held))
        }
        _ => Body::from(until(all)),
    };
    (status, headers, body).into_response()
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

/// The first byte of `bytes=5-`.
fn first(range: &str) -> usize {
    let first = range
        .strip_prefix("bytes=")
        .and_then(|text| text.strip_suffix('-'));
    first.and_then(|text| text.parse().ok()).expect("a range")
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
