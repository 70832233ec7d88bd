//! `/token_key` and `/token_keys`: how others verify our tokens. Public by nature.
//!
//! `POST /token_keys` is an extension of cflite: it creates a new key at once.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::Value;

use crate::uaa::Uaa;
use crate::uaa::caller::Caller;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::UAA_ADMIN;

/// `GET /token_key`.
pub(crate) async fn current(State(uaa): State<Uaa>) -> Json<Value> {
    Json(uaa.keys().published())
}

/// `GET /token_keys`.
pub(crate) async fn all(State(uaa): State<Uaa>) -> Json<Value> {
    Json(uaa.keys().published_all())
}

/// `POST /token_keys`: returns the new key.
pub(crate) async fn rotate(
    State(uaa): State<Uaa>,
    caller: Caller,
) -> UaaResult<(StatusCode, Json<Value>)> {
    caller.require_any(&[UAA_ADMIN])?;
    let rotated = uaa.keys().rotate(uaa.db(), uaa.vault(), uaa.now()).await;
    rotated.map_err(|error| UaaError::internal("create a signing key", &error))?;
    Ok((StatusCode::CREATED, Json(uaa.keys().published())))
}
