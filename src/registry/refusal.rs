//! Error responses in the registry API's format: `{"errors":[{code, message, detail}]}`. The Docker
//! daemon shows other bodies unparsed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::blobs::BlobError;
use crate::db::DbError;

use super::RegistryError;
use super::upstream::UpstreamError;

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(header::HeaderName, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn unauthorized(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text)
            .with(header::WWW_AUTHENTICATE, "Basic realm=\"cflite\"")
    }

    pub(super) fn invalid_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", text)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "no such resource")
    }

    pub(super) fn invalid_name(name: &str) -> Self {
        let text = format!("invalid repository name {name:?}");
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", text)
    }

    pub(super) fn invalid_digest() -> Self {
        let text = "not a digest: sha256: and 64, or sha512: and 128 lower-case hexadecimal digits";
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", text)
    }

    pub(super) fn unknown_name(name: &str) -> Self {
        let text = format!("repository {name} is not known to this registry");
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", text)
    }

    pub(super) fn unknown_manifest(reference: &str) -> Self {
        let text = format!("manifest {reference:?} is not known to this registry");
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", text)
    }

    pub(super) fn unknown_blob() -> Self {
        let text = "blob is not known to this repository";
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", text)
    }

    pub(super) fn unsupported(methods: &str) -> Self {
        let text = format!("this resource supports {methods}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", text).with(header::ALLOW, methods)
    }

    pub(super) fn denied(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", text)
    }

    pub(super) fn failed() -> Self {
        let text = "the registry failed; its log has the cause";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", text)
    }

    pub(super) fn unknown_upload() -> Self {
        let text = RegistryError::UnknownUpload.to_string();
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", text)
    }

    pub(super) fn wrong_size() -> Self {
        let text = "the body has another length than Content-Range says";
        Self::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", text)
    }

    pub(super) fn invalid_content_range(range: &str) -> Self {
        let text = format!("Content-Range {range:?} is not of the form first-last");
        Self::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", text)
    }

    pub(super) fn out_of_order(size: u64) -> Self {
        let text = format!("the next piece of this upload begins at {size}");
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Self::new(status, "BLOB_UPLOAD_INVALID", text)
    }

    pub(super) fn manifest_too_large(limit: u64) -> Self {
        let text = format!("manifests may have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", text)
    }

    pub(super) fn invalid_tag(tag: &str) -> Self {
        let text = format!("invalid tag {tag:?}");
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", text)
    }

    pub(super) fn too_many_tags(limit: usize) -> Self {
        let text = format!("a push may set at most {limit} tags");
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", text)
    }

    pub(super) fn range_not_satisfiable(size: u64) -> Self {
        let text = format!("the blob has {size} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", text)
            .with(header::CONTENT_RANGE, format!("bytes */{size}"))
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        let (status, code) = match error {
            RegistryError::InvalidImage(_) | RegistryError::Damaged(_) => {
                (StatusCode::BAD_REQUEST, "MANIFEST_INVALID")
            }
            RegistryError::NotHere(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            RegistryError::MissingParts(_) => (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
            RegistryError::UnsupportedManifest => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            RegistryError::WrongDigest { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            RegistryError::UnknownUpload => return Self::unknown_upload(),
            RegistryError::UploadBusy => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            RegistryError::TooManyUploads => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            RegistryError::Broken(_) | RegistryError::Blob(BlobError::Source(_)) => {
                (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID")
            }
            RegistryError::Blob(BlobError::Overloaded(_))
            | RegistryError::Database(DbError::Overloaded(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
            }
            error => {
                tracing::error!(%error, "registry request failed");
                return Self::failed();
            }
        };
        Self::new(status, code, text)
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        let text = error.to_string();
        let (status, code) = match error {
            UpstreamError::NotFound { .. }
            | UpstreamError::NoPlatform { .. }
            | UpstreamError::Unsupported { .. }
            | UpstreamError::Offline { .. } => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            UpstreamError::Unauthorized { .. } | UpstreamError::Refused { .. } => {
                (StatusCode::FORBIDDEN, "DENIED")
            }
            UpstreamError::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            UpstreamError::RateLimited { retry_after, .. } => {
                let limited = Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", text);
                return match retry_after {
                    Some(after) => limited.with(header::RETRY_AFTER, after.as_secs().to_string()),
                    None => limited,
                };
            }
            UpstreamError::Unreachable { .. }
            | UpstreamError::Failed { .. }
            | UpstreamError::WrongContent { .. }
            | UpstreamError::TooSlow { .. }
            | UpstreamError::Truncated { .. } => (StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
            UpstreamError::Storage(error) => {
                tracing::error!(%error, "copying from another registry failed");
                return Self::failed();
            }
        };
        Self::new(status, code, text)
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        RegistryError::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let errors = serde_json::json!({
            "errors": [{ "code": self.code, "message": self.message, "detail": null }]
        });
        let mut response = Response::new(Body::from(errors.to_string()));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
