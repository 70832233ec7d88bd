//! Service brokers: where service instances come from. One is for all, or for one space.
//!
//! Invariants: a broker's catalog is stored whole or not at all; its password is shown to nobody; it
//! cannot be deleted while there are instances of its plans.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/service_brokers`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/service_brokers",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/service_brokers/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
}
