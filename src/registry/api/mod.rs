//! The distribution API over HTTP: who may do what with which resource, and the answer.
//!
//! Every answer has a JSON body or none. HEAD responses have the headers of GET, since daemons rely
//! on them.

mod lists;
mod manifests;
mod operator;
mod proxy;
mod read;
mod uploads;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::json;

use super::Registry;
use super::access::{Action, Credentials, Denied};
use super::proxy::Proxied;
use super::refusal::Refusal;
use super::target::Target;

pub(super) use operator::for_operators;

/// How much of a refused body is read, and for how long.
const DRAINED: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);
const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");

/// The repositories of this registry and, as `proxy/HOST/…`, of others, to who may read them.
pub(super) fn router(registry: Registry) -> axum::Router {
    distribution(Face::Registry)
        .merge(operator::routes())
        .with_state(registry)
}

/// Another registry as it is, to everybody: Docker Hub, or the one that `ns` names. There is no
/// other repository, so nobody gets a user's image under the name of one of Docker Hub's.
pub(super) fn mirror_router(registry: Registry) -> axum::Router {
    distribution(Face::Mirror).with_state(registry)
}

/// Whose repositories a port shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Registry,
    Mirror,
}

fn distribution(face: Face) -> axum::Router<Registry> {
    let respond = move |State(registry): State<Registry>, request: Request| async move {
        respond(face, &registry, request).await
    };
    axum::Router::new()
        .route("/v2", any(respond))
        .route("/v2/{*rest}", any(respond))
        .route("/v2/", any(respond))
        .fallback(async || Refusal::not_found())
}

async fn respond(face: Face, registry: &Registry, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let exchange = Exchange {
        registry,
        head: &head,
        credentials: Credentials::of(&head.headers),
    };
    let answered = match face {
        Face::Registry => exchange.dispatch(&mut body).await,
        Face::Mirror => exchange.mirrored().await,
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => {
            drain(&mut body).await;
            refusal.into_response()
        }
    };
    if head.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    let version = HeaderValue::from_static("registry/2.0");
    response
        .headers_mut()
        .insert("docker-distribution-api-version", version);
    response
}

/// Reads the rest of a body: most clients read no answer before they have sent all of it, and would
/// see a broken connection instead of the refusal.
async fn drain(body: &mut Body) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len());
            if bytes > DRAINED {
                break;
            }
        }
    };
    // A client that takes longer sees the connection end.
    tokio::time::timeout(DRAIN_TIME, reading).await.ok();
}

/// What a request needs beyond its resource.
struct Exchange<'a> {
    registry: &'a Registry,
    head: &'a Parts,
    credentials: Credentials,
}

impl Exchange<'_> {
    async fn dispatch(&self, body: &mut Body) -> Result<Response, Refusal> {
        let parsed = Target::parse(self.head.uri.path());
        let repository = parsed.as_ref().ok().and_then(Target::repository);
        let action = match (parsed.as_ref(), self.head.method.as_str()) {
            (Ok(Target::Upload(..) | Target::Uploads(_)), _) => Action::Push,
            (_, "GET" | "HEAD") => Action::Pull,
            (_, "DELETE") => Action::Delete,
            _ => Action::Push,
        };
        let asked = self
            .registry
            .authorize(&self.credentials, repository, action);
        asked.await.map_err(denied)?;
        let target = parsed?;
        match target.repository().and_then(Proxied::of) {
            Some(upstream) => self.pull_through(&upstream, &target).await,
            None => self.answer(target, body).await,
        }
    }

    /// The answer of a mirror.
    async fn mirrored(&self) -> Result<Response, Refusal> {
        let target = Target::parse(self.head.uri.path())?;
        let Some(name) = target.repository() else {
            return Ok(json_response("application/json", &json!({})));
        };
        // containerd says whose mirror it asks; daemons mirror only Docker Hub.
        let host = self.parameter("ns");
        let host = host.unwrap_or_else(|| "docker.io".to_owned());
        let upstream = Proxied::at(&host, name);
        self.pull_through(&upstream, &target).await
    }

    async fn answer(&self, target: Target, body: &mut Body) -> Result<Response, Refusal> {
        match (target, self.head.method.as_str()) {
            (Target::Base, "GET" | "HEAD") => Ok(json_response("application/json", &json!({}))),
            (Target::Manifest(name, reference), "GET" | "HEAD") => {
                let name = self.registry.meant_by(&name).await?;
                self.manifest(&name, reference).await
            }
            (Target::Manifest(name, reference), "PUT") => {
                self.put_manifest(&name, reference, body).await
            }
            (Target::Manifest(name, reference), "DELETE") => {
                self.delete_manifest(&name, reference).await
            }
            (Target::Manifest(..), _) => Err(Refusal::unsupported("GET, HEAD, PUT, DELETE")),
            (Target::Blob(name, digest), "GET" | "HEAD") => {
                let name = self.registry.meant_by(&name).await?;
                self.blob(&name, digest).await
            }
            (Target::Blob(name, digest), "DELETE") => self.delete_blob(&name, digest).await,
            (Target::Blob(..), _) => Err(Refusal::unsupported("GET, HEAD, DELETE")),
            (Target::Tags(name), "GET" | "HEAD") => {
                let meant = self.registry.meant_by(&name).await?;
                self.tags(&meant, &name).await
            }
            (Target::Referrers(name, digest), "GET" | "HEAD") => {
                self.referrers(&name, &name, &digest).await
            }
            (Target::Base | Target::Tags(_) | Target::Referrers(..), _) => {
                Err(Refusal::unsupported("GET, HEAD"))
            }
            (Target::Uploads(name), "POST") => self.begin_upload(&name, body).await,
            (Target::Uploads(_), _) => Err(Refusal::unsupported("POST")),
            (Target::Upload(name, id), "GET") => self.upload_status(&name, &id).await,
            (Target::Upload(name, id), "PATCH") => self.extend_upload(&name, &id, body).await,
            (Target::Upload(name, id), "PUT") => self.complete_upload(&name, &id, body).await,
            (Target::Upload(name, id), "DELETE") => self.cancel_upload(&name, &id).await,
            (Target::Upload(..), _) => Err(Refusal::unsupported("GET, PATCH, PUT, DELETE")),
        }
    }

    /// The values of a parameter of the query, percent-decoded.
    fn parameters<'q>(&'q self, name: &'q str) -> impl Iterator<Item = String> + 'q {
        let query = self.head.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).next()
    }

    /// A header as text.
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

fn denied(denied: Denied) -> Refusal {
    match denied {
        Denied::Unauthorized(text) => Refusal::unauthorized(text),
        Denied::Forbidden(text) => Refusal::denied(text),
        Denied::Failed(text) => {
            tracing::error!(error = %text, "deciding about access to the registry failed");
            Refusal::failed()
        }
    }
}

/// A response without a body.
fn empty(status: StatusCode, headers: &[(HeaderName, &str)]) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(*value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    // Without a length, HTTP/1.1 clients see a chunked body, and some wait for it.
    if status != StatusCode::NO_CONTENT {
        let none = HeaderValue::from_static("0");
        response.headers_mut().insert(header::CONTENT_LENGTH, none);
    }
    response
}

fn json_response(media_type: &'static str, body: &serde_json::Value) -> Response {
    let text = body.to_string();
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, length);
    response
}
