//! Organization quotas: what an organization may use in all. Every organization has one; the one
//! named `default` is given to new organizations.
//!
//! Limits are checked where something is taken (see `quotas`); lowering one below what is used
//! takes nothing away, but refuses more.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/organization_quotas`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/organization_quotas",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/organization_quotas/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/organization_quotas/{guid}/relationships/organizations",
            post(handlers::apply),
        )
}
