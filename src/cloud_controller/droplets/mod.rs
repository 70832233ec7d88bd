//! Droplets: what staging made of a package. A droplet is an image in the embedded registry, its
//! files one layer over the stack's; the classic `.tgz` is made when somebody downloads it.

pub(crate) mod actions;
mod download;
mod handlers;
mod presenter;
pub(crate) mod store;

use axum::Router;
use axum::routing::get;

use super::CloudController;

/// `/v3/droplets`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/droplets", get(handlers::list))
        .route(
            "/v3/droplets/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route("/v3/droplets/{guid}/download", get(download::download))
        .route("/v3/apps/{guid}/droplets", get(handlers::list_of_app))
        .route("/v3/apps/{guid}/droplets/current", get(handlers::current))
        .route(
            "/v3/packages/{guid}/droplets",
            get(handlers::list_of_package),
        )
}
