//! `POST /v3/resource_matches`: which of an app's files are stored here already, so that a push may
//! leave them out. A file is known by SHA-1 and size; its mode is the client's and is echoed.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use crate::cloud_controller::payload::resource_matches::Resource;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody};
use crate::cloud_controller::{actions, payload};

use crate::blobs::resources::{FileKey, match_resources};

/// `/v3/resource_matches`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/resource_matches", post(create))
}

async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.read(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, "app_bits_upload")?;
        let resources = payload::resource_matches::read(body)?;
        // Switched off means that nothing matches, not an error; for admins, too.
        let on = actions::feature_flags::enabled(tx, "resource_matching")?;
        let keys: Vec<FileKey> = resources
            .iter()
            .map(|resource| resource.key.clone())
            .collect();
        let stored = if on {
            match_resources(tx, &keys)?
        } else {
            Vec::new()
        };
        let matched: Vec<Value> = resources
            .iter()
            .zip(stored)
            .filter(|(_, stored)| stored.is_some())
            .map(|(resource, _)| present(resource))
            .collect();
        Ok((StatusCode::CREATED, Json(json!({ "resources": matched }))))
    })
    .await
}

fn present(resource: &Resource) -> Value {
    let mut shown = json!({
        "checksum": { "value": resource.key.sha1.as_str() },
        "size_in_bytes": resource.key.size,
    });
    if let Some(path) = &resource.path {
        shown["path"] = json!(path);
    }
    if let Some(mode) = &resource.mode {
        shown["mode"] = json!(mode);
    }
    shown
}
