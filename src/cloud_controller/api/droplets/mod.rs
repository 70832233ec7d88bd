//! Droplets: what staging made of a package, or what a client uploaded. A droplet is an image in the
//! embedded registry, its files one layer over the stack's; the classic `.tgz` is made when somebody
//! downloads it.
//!
//! States: staging and copies make `STAGED` ones; those made for an upload go `AWAITING_UPLOAD` →
//! `PROCESSING_UPLOAD` → `STAGED` or `FAILED`. An app keeps its current droplet and the newest few;
//! others become `EXPIRED` and have no files any more.

mod download;
mod handlers;
mod presenter;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/droplets`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/droplets", get(handlers::list).post(handlers::create))
        .route(
            "/v3/droplets/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route("/v3/droplets/{guid}/download", get(download::download))
        .route(
            "/v3/droplets/{guid}/upload",
            post(upload::upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/v3/apps/{guid}/droplets", get(handlers::list_of_app))
        .route("/v3/apps/{guid}/droplets/current", get(handlers::current))
        .route(
            "/v3/packages/{guid}/droplets",
            get(handlers::list_of_package),
        )
}
