//! Roles: what a user may do in an organization or space.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/roles`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/roles", get(handlers::list).post(handlers::create))
        .route(
            "/v3/roles/{guid}",
            get(handlers::show).delete(handlers::delete),
        )
}
