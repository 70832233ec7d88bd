//! What `cflite registry` and `cflite bundle` ask: a list of all images, garbage collection, copies
//! made ahead, and images carried to another machine.
//!
//! The answer to a long request is a line of JSON for each thing that happens: `{"progress": TEXT}`,
//! then one `{"done": …}` or `{"error": TEXT}`.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyDataStream, BodyExt, Limited};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::registry::access::Credentials;
use crate::registry::collect::Collected;
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::refusal::Refusal;
use crate::registry::upstream::{ImageReference, UpstreamError};
use crate::registry::{ExportRequest, MirrorRequest, Registry};

use super::denied;
use super::read::CHUNK;
use super::uploads::reader;

/// The largest request.
const LARGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct CollectQuery {
    #[serde(default)]
    dry_run: bool,
}

/// What to copy ahead.
#[derive(Deserialize)]
struct Prefetch {
    image: String,
    /// `linux/amd64`.
    platform: String,
}

#[derive(Serialize)]
struct Fetched {
    image: String,
    digest: String,
    /// Bytes of its layers.
    size: u64,
}

pub(super) fn routes() -> axum::Router<Registry> {
    axum::Router::new()
        .route("/cflite/registry", get(list))
        .route("/cflite/registry/gc", post(collect))
        .route("/cflite/registry/prefetch", post(prefetch))
        .route("/cflite/registry/bundle", get(export).post(import))
        .route("/cflite/registry/saved", post(import_saved))
}

async fn authorize(registry: &Registry, headers: &HeaderMap) -> Result<(), Refusal> {
    let credentials = Credentials::of(headers);
    registry
        .authorize_operator(&credentials)
        .await
        .map_err(denied)
}

async fn list(State(registry): State<Registry>, headers: HeaderMap) -> Result<Response, Refusal> {
    authorize(&registry, &headers).await?;
    Ok(Json(registry.holdings().await?).into_response())
}

async fn collect(
    State(registry): State<Registry>,
    Query(query): Query<CollectQuery>,
    headers: HeaderMap,
) -> Result<Json<Collected>, Refusal> {
    authorize(&registry, &headers).await?;
    let collected = if query.dry_run {
        registry.preview().await?
    } else {
        registry.collect().await?
    };
    Ok(Json(collected))
}

async fn prefetch(State(registry): State<Registry>, request: Request) -> Result<Response, Refusal> {
    authorize(&registry, request.headers()).await?;
    let body = Limited::new(request.into_body(), LARGEST).collect().await;
    let body = body.map_err(|_| Refusal::invalid_request("the body cannot be read"))?;
    let wanted: Prefetch = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Refusal::invalid_request(error.to_string()))?;
    let image = ImageReference::parse(&wanted.image).map_err(Refusal::invalid_request)?;
    Ok(lines(registry, image, wanted.platform))
}

/// The images of a bundle: copies as `image=docker.io/library/nginx:1`, or all of them without any,
/// and what cflite made as `own=cflite/cflinuxfs4:run-1`.
async fn export(
    State(registry): State<Registry>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    authorize(&registry, &headers).await?;
    let mut request = ExportRequest::default();
    let query = query.unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "image" => {
                let image = ImageReference::parse(&value).map_err(Refusal::invalid_request)?;
                request.copies.push(image);
            }
            "own" => request.own.push(own_name(&value)?),
            other => {
                let text = format!("unknown parameter {other}");
                return Err(Refusal::invalid_request(text));
            }
        }
    }
    let bytes = registry.export(request).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(bytes, CHUNK)));
    let kind = HeaderValue::from_static("application/gzip");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

async fn import(State(registry): State<Registry>, request: Request) -> Result<Response, Refusal> {
    authorize(&registry, request.headers()).await?;
    let mut body = request.into_body();
    let imported = registry.import_layout(reader(&mut body)).await?;
    Ok(Json(json!({ "images": imported })).into_response())
}

/// An image of the local daemon, as `docker save` writes it, under `name=cflite/cflinuxfs4:run-1`.
async fn import_saved(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Refusal> {
    authorize(&registry, request.headers()).await?;
    let query = query.unwrap_or_default();
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let name = parameters.find(|(name, _)| name == "name");
    let name = name.ok_or_else(|| Refusal::invalid_request("the parameter name is missing"))?;
    let (repository, tag) = own_name(&name.1)?;
    let body = BodyDataStream::new(request.into_body()).map_err(io::Error::other);
    let saved = Box::pin(StreamReader::new(body));
    let imported = registry.import_saved(repository.as_str(), tag.as_str(), saved);
    let digest = imported.await?;
    Ok(Json(json!({ "digest": digest })).into_response())
}

/// The name of an image that cflite made.
fn own_name(text: &str) -> Result<(RepositoryName, Tag), Refusal> {
    let parsed = text.rsplit_once(':').and_then(|(repository, tag)| {
        let repository = Some(repository).filter(|name| name.starts_with("cflite/"))?;
        Some((RepositoryName::parse(repository)?, Tag::parse(tag)?))
    });
    parsed.ok_or_else(|| Refusal::invalid_request(format!("{text} is no name of cflite's images")))
}

/// Copies an image as long as the client reads what happens.
fn lines(registry: Registry, image: ImageReference, platform: String) -> Response {
    let (progress, texts) = unbounded_channel();
    let copy = async move {
        match fetch(&registry, image, platform, progress).await {
            Ok(fetched) => json!({ "done": fetched }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    };
    let copying = Copying {
        copy: Some(Box::pin(copy)),
        result: None,
        texts,
    };
    let all = stream::unfold(copying, |mut copying| async {
        let line = copying.next().await?;
        Some((Ok::<_, Infallible>(encoded(&line)), copying))
    });
    let mut response = Response::new(Body::from_stream(all));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A copy that is under way, and what it says.
struct Copying {
    copy: Option<Pin<Box<dyn Future<Output = Value> + Send>>>,
    result: Option<Value>,
    texts: UnboundedReceiver<String>,
}

impl Copying {
    /// The next line; the result comes after all texts.
    async fn next(&mut self) -> Option<Value> {
        loop {
            tokio::select! {
                biased;
                text = self.texts.recv() => {
                    return match text {
                        Some(text) => Some(json!({ "progress": text })),
                        None => self.result.take(),
                    };
                }
                result = ended(&mut self.copy) => self.result = Some(result),
            }
        }
    }
}

/// Waits for the end of the copy; it has only one.
async fn ended(copy: &mut Option<Pin<Box<dyn Future<Output = Value> + Send>>>) -> Value {
    let Some(running) = copy else {
        return std::future::pending().await;
    };
    let result = running.await;
    *copy = None;
    result
}

async fn fetch(
    registry: &Registry,
    image: ImageReference,
    platform: String,
    progress: UnboundedSender<String>,
) -> Result<Fetched, UpstreamError> {
    let request = MirrorRequest {
        image: registry.names().origin_of(image),
        credentials: None,
        platform,
        repository: None,
        previous: None,
    };
    let copied = registry.mirror(&request, &progress).await?;
    Ok(Fetched {
        image: request.image.to_string(),
        digest: copied.digest.to_string(),
        size: copied.size,
    })
}

fn encoded(line: &Value) -> Bytes {
    Bytes::from(format!("{line}\n"))
}
