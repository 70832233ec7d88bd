//! What `cflite registry` and `cflite bundle` ask: a list of all images, garbage collection, copies
//! made ahead, and images carried to another machine.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, RawQuery, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyDataStream, BodyExt, Limited};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::net::progress;
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

/// Routes that only operators may use.
pub(in crate::registry) fn for_operators(
    registry: &Registry,
    routes: axum::Router,
) -> axum::Router {
    let check = axum::middleware::from_fn_with_state(registry.clone(), check);
    routes.route_layer(check)
}

async fn check(
    State(registry): State<Registry>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    authorize(&registry, request.headers()).await?;
    Ok(next.run(request).await)
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
    let copy = move |progress| fetch(registry, image, wanted.platform, progress);
    Ok(progress::lines(copy))
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

async fn fetch(
    registry: Registry,
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
