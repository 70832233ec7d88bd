//! Service plans, and who sees them: everybody, some organizations, the space of a broker, or
//! administrators alone.

mod handlers;
pub(super) mod presenter;
mod visibility;

use axum::Router;
use axum::routing::{delete, get};

use crate::cloud_controller::state::CloudController;

/// `/v3/service_plans`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/service_plans", get(handlers::list))
        .route(
            "/v3/service_plans/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/service_plans/{guid}/visibility",
            get(visibility::show)
                .patch(visibility::replace)
                .post(visibility::append),
        )
        .route(
            "/v3/service_plans/{guid}/visibility/{organization}",
            delete(visibility::hide),
        )
}
