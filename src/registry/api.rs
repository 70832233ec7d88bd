//! The read-only part of the distribution API over HTTP.
//!
//! Stored bytes are returned unchanged, whatever `Accept` says: converting a manifest would break
//! references by digest. HEAD responses have the headers of GET, since daemons rely on them.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::blobs::Blob;
use crate::db::DbError;

use super::access::is_authorized;
use super::digest::AnyDigest;
use super::manifest::OCI_INDEX;
use super::name::{Reference, RepositoryName};
use super::range::Part;
use super::refusal::Refusal;
use super::store;
use super::target::Target;
use super::{Registry, RegistryError};

/// The read size for blobs.
const CHUNK: usize = 256 * 1024;

pub(super) fn router(registry: Registry) -> axum::Router {
    axum::Router::new()
        .route("/v2", any(respond))
        .route("/v2/{*rest}", any(respond))
        .route("/v2/", any(respond))
        .fallback(async || Refusal::not_found())
        .with_state(registry)
}

async fn respond(State(registry): State<Registry>, request: Request) -> Response {
    // Request bodies are ignored.
    let (request, _) = request.into_parts();
    let mut response = match dispatch(&registry, &request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    if request.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    let version = HeaderValue::from_static("registry/2.0");
    response
        .headers_mut()
        .insert("docker-distribution-api-version", version);
    response
}

async fn dispatch(registry: &Registry, request: &Parts) -> Result<Response, Refusal> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let settings = registry.settings();
    let anonymous = reads && settings.anonymous_pull;
    if !anonymous && !is_authorized(&request.headers, &settings.token) {
        return Err(Refusal::unauthorized());
    }
    let target = Target::parse(request.uri.path())?;
    if !reads || target == Target::Uploads {
        return Err(Refusal::unsupported());
    }
    match target {
        Target::Base => Ok(json_response("application/json", &json!({}))),
        Target::Manifest(name, reference) => manifest(registry, &name, reference).await,
        Target::Blob(name, digest) => blob(registry, &name, digest, request).await,
        Target::Tags(name) => tags(registry, name, request.uri.query()).await,
        Target::Referrers(_) => Ok(json_response(
            OCI_INDEX,
            &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }),
        )),
        Target::Uploads => Err(Refusal::unsupported()),
    }
}

async fn manifest(
    registry: &Registry,
    name: &RepositoryName,
    reference: Reference,
) -> Result<Response, Refusal> {
    let (wanted, repository) = (reference.clone(), name.to_string());
    let (found, exists) = registry
        .db()
        .read(move |tx| {
            let found = store::find(tx, &repository, &wanted)?;
            Ok((found, store::exists(tx, &repository)?))
        })
        .await
        .map_err(|error: DbError| RegistryError::from(error))?;
    match found {
        Some(found) => {
            let mut response = stream(registry, &found.blob, Part::Whole).await?;
            let media_type = HeaderValue::try_from(found.media_type);
            if let Ok(media_type) = media_type {
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, media_type);
            }
            Ok(response)
        }
        None if exists => Err(Refusal::unknown_manifest(&reference.to_string())),
        None => Err(Refusal::unknown_name(name.as_str())),
    }
}

async fn blob(
    registry: &Registry,
    name: &RepositoryName,
    digest: AnyDigest,
    request: &Parts,
) -> Result<Response, Refusal> {
    let repository = name.to_string();
    let blob = registry
        .db()
        .read(move |tx| store::find_blob(tx, &repository, &digest))
        .await
        .map_err(RegistryError::from)?
        .ok_or_else(Refusal::unknown_blob)?;
    let range = request.headers.get(header::RANGE);
    let part = match range.and_then(|value| value.to_str().ok()) {
        Some(range) if request.method == Method::GET => Part::of(range, blob.size),
        _ => Part::Whole,
    };
    stream(registry, &blob, part).await
}

/// Streams a stored blob or a part of it.
async fn stream(registry: &Registry, blob: &Blob, part: Part) -> Result<Response, Refusal> {
    let (status, first, length) = match part {
        Part::Whole => (StatusCode::OK, 0, blob.size),
        Part::Bytes { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Part::Unsatisfiable => return Err(Refusal::range_not_satisfiable(blob.size)),
    };
    let mut file = registry.open_checked(blob).await.map_err(Refusal::from)?;
    if first > 0 {
        file.seek(std::io::SeekFrom::Start(first))
            .await
            .map_err(|error| Refusal::from(RegistryError::unreadable(&blob.digest, &error)))?;
    }
    let bytes = ReaderStream::with_capacity(file.take(length), CHUNK);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes")
        .header("docker-content-digest", blob.digest.as_str());
    if let Part::Bytes { first, last } = part {
        let range = format!("bytes {first}-{last}/{}", blob.size);
        response = response.header(header::CONTENT_RANGE, range);
    }
    response
        .body(Body::from_stream(bytes))
        .map_err(|error| Refusal::from(RegistryError::InvalidImage(error.to_string())))
}

/// `n` and `last` of a list; an invalid query means no limit.
fn page(query: &str) -> (u32, String) {
    let (mut limit, mut last) = (u32::MAX, String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "n" => limit = value.parse().unwrap_or(limit),
            "last" => last = value.into_owned(),
            _ => {}
        }
    }
    (limit, last)
}

async fn tags(
    registry: &Registry,
    name: RepositoryName,
    query: Option<&str>,
) -> Result<Response, Refusal> {
    let (limit, last) = page(query.unwrap_or_default());
    let repository = name.to_string();
    let found = registry
        .db()
        .read(move |tx| {
            if !store::exists(tx, &repository)? {
                return Ok(None);
            }
            // One more than requested shows whether there is a next page.
            store::tags(tx, &repository, &last, limit.saturating_add(1)).map(Some)
        })
        .await
        .map_err(|error: DbError| RegistryError::from(error))?;
    let mut tags = found.ok_or_else(|| Refusal::unknown_name(name.as_str()))?;
    let more = tags.len() > limit as usize;
    tags.truncate(limit as usize);
    let body = json!({ "name": name.as_str(), "tags": tags });
    let mut response = json_response("application/json", &body);
    if let Some(last) = tags.last().filter(|_| more) {
        let next = format!("</v2/{name}/tags/list?n={limit}&last={last}>; rel=\"next\"");
        if let Ok(next) = HeaderValue::try_from(next) {
            response.headers_mut().insert(header::LINK, next);
        }
    }
    Ok(response)
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
