//! What `cflite packages` asks: a list, garbage collection, and packages fetched ahead.

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::json;

use super::collect::Collected;
use super::{Failure, Packages};
use crate::net::progress;

/// The largest request.
const LARGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct CollectQuery {
    #[serde(default)]
    dry_run: bool,
}

/// What to fetch ahead.
#[derive(Deserialize)]
struct Wanted {
    /// `pypi:flask`.
    name: String,
}

impl Packages {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/cflite/packages", get(list))
            .route("/cflite/packages/gc", post(collect))
            .route("/cflite/packages/prefetch", post(prefetch))
            .with_state(self.clone())
    }
}

fn refusal(status: StatusCode, text: impl ToString) -> Response {
    let body = json!({ "errors": [{ "code": "PACKAGES", "message": text.to_string() }] });
    (status, Json(body)).into_response()
}

fn failed(failure: Failure) -> Response {
    refusal(failure.status(), failure)
}

async fn list(State(packages): State<Packages>) -> Result<Response, Response> {
    let holdings = packages.holdings().await.map_err(failed)?;
    Ok(Json(holdings).into_response())
}

async fn collect(
    State(packages): State<Packages>,
    Query(query): Query<CollectQuery>,
) -> Result<Json<Collected>, Response> {
    let collected = if query.dry_run {
        packages.preview().await
    } else {
        packages.collect().await
    };
    Ok(Json(collected.map_err(failed)?))
}

async fn prefetch(State(packages): State<Packages>, request: Request) -> Response {
    let body = Limited::new(request.into_body(), LARGEST).collect().await;
    let Ok(body) = body else {
        return refusal(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let wanted: Wanted = match serde_json::from_slice(&body.to_bytes()) {
        Ok(wanted) => wanted,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    if !packages.is_on() {
        let text = "the package cache is switched off: the option package-cache is 0";
        return refusal(StatusCode::CONFLICT, text);
    }
    progress::lines(move |texts| async move { packages.prefetch(&wanted.name, &texts).await })
}
