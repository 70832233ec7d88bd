//! Service route bindings: requests to a route go through a service instance first.
//!
//! A route has at most one; both are in the same space.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/service_route_bindings`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/service_route_bindings",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/service_route_bindings/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/service_route_bindings/{guid}/parameters",
            get(handlers::parameters),
        )
}
