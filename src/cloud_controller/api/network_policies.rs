//! Network policies: the API of Cloud Foundry's policy server, version 1, which the cf CLI asks.
//!
//! Shapes and texts: policy-server `handlers/*.go`; errors are `{"error": "…"}`.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::request::Parts;
use serde_json::json;

use crate::cloud_controller::actions;
use crate::cloud_controller::actions::network_policies::{Asking, Refusal};
use crate::cloud_controller::error::Error;
use crate::cloud_controller::payload;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::caller_of;
use crate::db::WriteTx;
use crate::network::Policy;

/// As much as the policy server takes is never needed: an app has at most 150 policies.
const LARGEST_BODY: usize = 1024 * 1024;

/// `/networking/v1/external`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/networking/v1/external/policies", get(list).post(create))
        .route("/networking/v1/external/policies/delete", post(delete))
}

/// A refusal.
struct Refused(StatusCode, String);

impl Refused {
    fn internal(what: &str, error: &Error) -> Self {
        tracing::error!(?error, what);
        Self(StatusCode::INTERNAL_SERVER_ERROR, what.to_owned())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let text = match refusal {
            Refusal::NoAccess => "one or more applications cannot be found or accessed",
            Refusal::OverQuota => "policy quota exceeded",
        };
        Self(StatusCode::FORBIDDEN, text.to_owned())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Who sends a request.
struct Asked(Asking);

impl FromRequestParts<CloudController> for Asked {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, cc: &CloudController) -> Result<Self, Refused> {
        let unauthorized = |text: &str| Refused(StatusCode::UNAUTHORIZED, text.to_owned());
        let header = parts.headers.get(http::header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok());
        let header = header.ok_or_else(|| unauthorized("missing authorization header"))?;
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => header,
        };
        let claims = { cc.uaa().verify(token) }
            .map_err(|_| unauthorized("failed to verify token with uaa"))?;
        if claims.has_scope("network.admin") {
            return Ok(Self(Asking::Admin));
        }
        let caller = caller_of(&claims).map_err(|_| Refused::from(Refusal::NoAccess))?;
        Ok(Self(Asking::Developer(caller)))
    }
}

async fn list(
    State(cc): State<CloudController>,
    Asked(asking): Asked,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let filter = payload::network_policies::filter(&query.unwrap_or_default());
    let found = cc
        .db()
        .read(move |tx| actions::network_policies::list(tx, &asking, &filter))
        .await
        .map_err(|error: Error| Refused::internal("database read failed", &error))?;
    Ok(Json(payload::network_policies::present(found)).into_response())
}

async fn create(
    State(cc): State<CloudController>,
    Asked(asking): Asked,
    body: Body,
) -> Result<Response, Refused> {
    change(&cc, asking, body, actions::network_policies::create).await
}

async fn delete(
    State(cc): State<CloudController>,
    Asked(asking): Asked,
    body: Body,
) -> Result<Response, Refused> {
    change(&cc, asking, body, actions::network_policies::delete).await
}

type Change = fn(&WriteTx<'_>, &Asking, &[Policy]) -> Result<Result<(), Refusal>, Error>;

async fn change(
    cc: &CloudController,
    asking: Asking,
    body: Body,
    change: Change,
) -> Result<Response, Refused> {
    let bad = |text: String| Refused(StatusCode::BAD_REQUEST, text);
    let body = to_bytes(body, LARGEST_BODY).await;
    let body = body.map_err(|_| bad("failed reading request body".to_owned()))?;
    let policies = payload::network_policies::parse(&body).map_err(bad)?;
    let changed = cc
        .db()
        .write(move |tx| change(tx, &asking, &policies))
        .await
        .map_err(|error: Error| Refused::internal("database write failed", &error))?;
    changed?;
    Ok(Json(json!({})).into_response())
}
