//! Versions of SCIM resources: `If-Match` in requests, `ETag` in responses.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::uaa::error::{UaaError, UaaResult};

/// The version of a resource that a change is based on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    Any,
    Exactly(i64),
}

impl Version {
    /// Refuses a change that is not based on the newest version.
    pub(crate) fn check(self, newest: i64) -> UaaResult<()> {
        match self {
            Self::Exactly(asked) if asked != newest => {
                Err(UaaError::version_conflict(newest, asked))
            }
            Self::Any | Self::Exactly(_) => Ok(()),
        }
    }
}

/// The version that `If-Match` names; the header is required.
pub(crate) fn required(headers: &HeaderMap) -> UaaResult<Version> {
    if headers.contains_key(header::IF_MATCH) {
        optional(headers)
    } else {
        Err(UaaError::bad_scim("Missing If-Match header"))
    }
}

/// The version that `If-Match` names; any when it is missing.
pub(crate) fn optional(headers: &HeaderMap) -> UaaResult<Version> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(Version::Any);
    };
    let text = value.to_str().unwrap_or("").trim().trim_matches('"');
    match text.parse() {
        _ if text == "*" => Ok(Version::Any),
        Ok(version) => Ok(Version::Exactly(version)),
        Err(_) => Err(UaaError::bad_scim("If-Match must be a version or *")),
    }
}

/// A resource as it is shown, and its version.
pub(crate) struct Versioned {
    pub(crate) resource: Value,
    pub(crate) version: i64,
}

/// A response with a resource and its version.
pub(crate) fn answer(status: StatusCode, shown: Versioned) -> Response {
    let mut response = (status, Json(shown.resource)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", shown.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
