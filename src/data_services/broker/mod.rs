//! The broker: Open Service Broker API 2.17 over the rows of services.
//!
//! Accepted operations are rows; a request waits a moment for its end, so that quick ones need no
//! polling. Everything else that is asked is answered at once, binding and unbinding too.

mod bindings;
mod changes;
mod instances;
mod problem;
mod request;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Credentials, DataServices};
use problem::Problem;

const VERSION: &str = "x-broker-api-version";
const IDENTITY: &str = "x-broker-api-request-identity";
/// The oldest version that is understood.
const OLDEST: (u32, u32) = (2, 13);

#[derive(Clone)]
struct Guard {
    credentials: Credentials,
}

impl DataServices {
    /// The broker's API, for whoever signs in with these credentials.
    pub fn router(&self, credentials: &Credentials) -> Router {
        let guard = Guard {
            credentials: credentials.clone(),
        };
        Router::new()
            .route("/v2/catalog", get(catalog))
            .route(
                "/v2/service_instances/{guid}",
                put(instances::provision)
                    .patch(changes::update)
                    .delete(instances::deprovision)
                    .get(instances::show),
            )
            .route(
                "/v2/service_instances/{guid}/last_operation",
                get(instances::last_operation),
            )
            .route(
                "/v2/service_instances/{guid}/service_bindings/{binding}",
                put(bindings::bind)
                    .delete(bindings::unbind)
                    .get(bindings::show),
            )
            .route(
                "/v2/service_instances/{guid}/service_bindings/{binding}/last_operation",
                get(bindings::last_operation),
            )
            .fallback(|| async { Problem::missing("there is nothing at this path") })
            .layer(middleware::from_fn_with_state(guard, check))
            .with_state(self.clone())
    }
}

async fn catalog(State(services): State<DataServices>) -> Response {
    axum::Json(services.catalog()).into_response()
}

/// Who asks, and in which version; the answer has the request's identity.
async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let identity = request.headers().get(IDENTITY).cloned();
    let refused = refusal(&guard.credentials, request.headers());
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    if let Some(identity) = identity {
        response.headers_mut().insert(IDENTITY, identity);
    }
    response
}

fn refusal(credentials: &Credentials, headers: &HeaderMap) -> Option<Response> {
    let expected = format!("{}:{}", credentials.username, credentials.password.expose());
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Basic "));
    let given = given
        .and_then(|text| STANDARD.decode(text.trim()).ok())
        .unwrap_or_default();
    // Digests are compared, so that the time tells nothing of the password.
    if Sha256::digest(&given) != Sha256::digest(expected.as_bytes()) {
        let body =
            axum::Json(json!({ "description": "the broker does not know these credentials" }));
        let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
        let asked = HeaderValue::from_static("Basic realm=\"cflite\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, asked);
        return Some(response);
    }
    let version = headers.get(VERSION).and_then(|value| value.to_str().ok());
    let understood = version
        .and_then(numbers)
        .is_some_and(|version| version.0 == 2 && version >= OLDEST);
    (!understood).then(|| {
        Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "the header X-Broker-API-Version has to be 2.13 or a later 2.x",
        )
        .into_response()
    })
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(numbers("2.17"), Some((2, 17)));
        for wrong in ["", "2", "2.x", "two.three"] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }
}
