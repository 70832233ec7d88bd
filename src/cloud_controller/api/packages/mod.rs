//! Packages: an app's source, uploaded as bits, or a reference to a Docker image.
//!
//! States: `AWAITING_UPLOAD` → (upload) → `READY`, or `FAILED` with an error. Bits are stored as one
//! zip among the blobs, referenced by the package.

mod handlers;
mod presenter;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/packages`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/packages", get(handlers::list).post(handlers::create))
        .route(
            "/v3/packages/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/packages/{guid}/upload",
            post(upload::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/v3/packages/{guid}/download", get(upload::download))
        .route("/v3/apps/{guid}/packages", get(handlers::list_of_app))
}
