//! What `cflite registry` asks: a list of all images, garbage collection, and copies made ahead.
//!
//! The answer to a long request is a line of JSON for each thing that happens: `{"progress": TEXT}`,
//! then one `{"done": …}` or `{"error": TEXT}`.

use std::convert::Infallible;
use std::pin::Pin;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::registry::access::Credentials;
use crate::registry::collect::Collected;
use crate::registry::refusal::Refusal;
use crate::registry::upstream::{ImageReference, UpstreamError};
use crate::registry::{MirrorRequest, Registry};

use super::denied;

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
