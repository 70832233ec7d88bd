//! `/token_key` and `/token_keys`: how others verify our tokens. Public by nature.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::uaa::Uaa;

/// `GET /token_key`.
pub(crate) async fn current(State(uaa): State<Uaa>) -> Json<Value> {
    Json(uaa.keys().published())
}

/// `GET /token_keys`.
pub(crate) async fn all(State(uaa): State<Uaa>) -> Json<Value> {
    Json(uaa.keys().published_all())
}
