//! `GET /cflite/apps/:guid/explain`: the same for the command line, with a token of the UAA.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::collect::explanation;
use crate::base::Secret;
use crate::web::Console;
use crate::web::api::{Api, Failure};
use crate::web::visitor::Origin;

/// The route; it needs no session.
pub(in crate::web) fn routes() -> Router<Console> {
    Router::new().route("/cflite/apps/{guid}/explain", get(show))
}

/// Answers with an explanation, or with the errors of the v3 API.
async fn show(
    State(console): State<Console>,
    Origin(base): Origin,
    Path(guid): Path<String>,
    headers: HeaderMap,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let token = authorization.split_once(' ').map_or("", |(_, token)| token);
    let api = Api::new(console.clone(), base, &Secret::new(token.to_owned()));
    match explanation(&api, &guid, console.parts().clock.now()).await {
        Ok(explanation) => Json(explanation).into_response(),
        Err(Failure::Api { status, errors }) => {
            (status, Json(json!({ "errors": errors }))).into_response()
        }
        Err(Failure::Internal(cause)) => {
            tracing::error!(cause, "an app cannot be explained");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
