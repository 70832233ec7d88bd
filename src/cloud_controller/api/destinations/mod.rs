//! Destinations of routes: which process of which app answers, on which port, in which protocol.
//!
//! An app's default port is 8080; that of an app from a Docker image is stored as 0 and shown as
//! the first port its image exposes.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::{delete, get};

use crate::cloud_controller::state::CloudController;

/// `/v3/routes/:guid/destinations`.
pub(super) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/routes/{guid}/destinations",
            get(handlers::list)
                .post(handlers::insert)
                .patch(handlers::replace),
        )
        .route(
            "/v3/routes/{guid}/destinations/{destination}",
            delete(handlers::delete).patch(handlers::update),
        )
}
