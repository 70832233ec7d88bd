//! Errors as the API has them.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::data_services::Failure;
use crate::db::DbError;

/// A refused or failed request.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: Option<&'static str>,
    description: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, description: impl Into<String>) -> Self {
        Self {
            status,
            code: None,
            description: description.into(),
        }
    }

    /// 400: the request is not valid.
    pub(super) fn invalid(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, description)
    }

    /// 404.
    pub(super) fn missing(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, description)
    }

    /// 409: the same id with other attributes.
    pub(super) fn conflict() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "there is one with this id and other attributes",
        )
    }

    /// 422 with a code of the API.
    pub(super) fn coded(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, description)
        }
    }

    pub(super) fn needs_async() -> Self {
        Self::coded(
            "AsyncRequired",
            "This service plan requires client support for asynchronous service operations.",
        )
    }

    pub(super) fn busy() -> Self {
        Self::coded(
            "ConcurrencyError",
            "another operation of this service instance is in progress",
        )
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "the broker of data services cannot use the database");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "description": self.description });
        if let Some(code) = self.code {
            body["error"] = code.into();
        }
        (self.status, axum::Json(body)).into_response()
    }
}
