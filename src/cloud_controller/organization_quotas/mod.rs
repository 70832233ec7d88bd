//! Organization quotas: what an organization may use in all. Every organization has one; the one
//! named `default` is given to new organizations.
//!
//! Limits are checked where something is taken (see `quotas`); lowering one below what is used
//! takes nothing away, but refuses more.

mod actions;
mod handlers;
mod payload;
mod presenter;
mod store;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use store::ensure_default;

use super::CloudController;

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
