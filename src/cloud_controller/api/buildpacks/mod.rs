//! Buildpacks: how apps become droplets. Built-in ones are part of the binary and show under the
//! official names, in Cloud Foundry's default order; admins add others as zips, or replace the
//! files of built-in ones.
//!
//! States: `AWAITING_UPLOAD` → (upload) → `READY`. Staging uses those that are ready; an app that
//! names none is tried with the enabled ones in the order of their positions. Positions count from
//! 1 without gaps, for each lifecycle on its own.
//!
//! Invariants: name, stack and lifecycle together are unique (an index decides races); a stack once
//! set is never changed; a built-in buildpack that an admin deleted stays deleted.

mod handlers;
mod presenter;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/buildpacks`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/buildpacks", get(handlers::list).post(handlers::create))
        .route(
            "/v3/buildpacks/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/buildpacks/{guid}/upload",
            post(upload::upload).layer(DefaultBodyLimit::disable()),
        )
}
