//! Manifests: apps as a YAML document, applied to a space, compared with it, and written from it.
//!
//! `document` reads YAML, `manifest` checks one app's part with CC's messages, `apply` makes the
//! space so in one transaction, `diff` tells what applying would change, `written` is an existing
//! app's manifest. Shape: CC `app/messages/app_manifest_message.rb`.

mod handlers;

use axum::Router;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `apply_manifest`, `manifest_diff` and an app's `manifest`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/spaces/{guid}/actions/apply_manifest",
            post(handlers::apply),
        )
        .route("/v3/spaces/{guid}/manifest_diff", post(handlers::diff))
        .route("/v3/apps/{guid}/manifest", get(handlers::show))
}
