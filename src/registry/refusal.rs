//! Error responses in the registry API's format: `{"errors":[{code, message, detail}]}`. The Docker
//! daemon shows other bodies unparsed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::RegistryError;

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    header: Option<(header::HeaderName, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    fn with(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    pub(super) fn unauthorized() -> Self {
        let text = "log in as cflite with the registry's token";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text)
            .with(header::WWW_AUTHENTICATE, "Basic realm=\"cflite\"")
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

    pub(super) fn unsupported() -> Self {
        let text = "this registry can only be read: images come from pushed apps";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", text)
            .with(header::ALLOW, "GET, HEAD")
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
        tracing::error!(%error, "registry request failed");
        let text = "the registry failed; its log has the cause";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", text)
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
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::try_from(value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
