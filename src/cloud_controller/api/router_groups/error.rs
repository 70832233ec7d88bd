//! Errors of the routing API: `{"name": …, "message": …}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::cloud_controller::error::Error;
use crate::uaa::TokenError;

/// An answer of the routing API that is an error.
#[derive(Debug)]
pub(super) struct RoutingError {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl RoutingError {
    /// 401. The cf CLI gets a new token when the text is that of an expired one.
    pub(super) fn token(error: TokenError) -> Self {
        Self::unauthorized(match error {
            TokenError::Expired => "Token is expired".to_owned(),
            TokenError::Unknown | TokenError::Revoked => error.to_string(),
        })
    }

    /// 401, also when only the scope is missing.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            name: "UnauthorizedError",
            message: message.into(),
        }
    }

    /// 400.
    pub(super) fn process(fault: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name: "ProcessRequestError",
            message: format!("Cannot process request: {fault}"),
        }
    }

    /// 404.
    pub(super) fn not_found(message: String) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            name: "ResourceNotFoundError",
            message,
        }
    }
}

impl From<Error> for RoutingError {
    /// Only the database fails: what is wrong with a request has been found before.
    fn from(error: Error) -> Self {
        tracing::error!(error = %error.cause().unwrap_or(error.detail()), "the routing API failed");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            name: "DBCommunicationError",
            message: "the database did not answer".to_owned(),
        }
    }
}

impl IntoResponse for RoutingError {
    fn into_response(self) -> Response {
        let body = json!({ "name": self.name, "message": self.message });
        (self.status, Json(body)).into_response()
    }
}
