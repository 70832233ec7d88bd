//! Space quotas: what a space may use, made by its organization's managers and applied within that
//! organization. A space without one is bound by its organization's quota alone.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/space_quotas`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/space_quotas",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/space_quotas/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/space_quotas/{guid}/relationships/spaces",
            post(handlers::apply),
        )
        .route(
            "/v3/space_quotas/{guid}/relationships/spaces/{space}",
            delete(handlers::remove),
        )
}
