//! Roles: what a user may do in an organization or space.

pub(crate) mod actions;
mod handlers;
mod payload;
mod presenter;
pub(crate) mod store;

use axum::Router;
use axum::routing::get;

use super::CloudController;

/// `/v3/roles`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/roles", get(handlers::list).post(handlers::create))
        .route(
            "/v3/roles/{guid}",
            get(handlers::show).delete(handlers::delete),
        )
}

/// Roles of organizations.
pub(crate) const ORGANIZATION_ROLES: &[&str] = &[
    "organization_auditor",
    "organization_manager",
    "organization_billing_manager",
    "organization_user",
];

/// Roles of spaces.
pub(crate) const SPACE_ROLES: &[&str] = &[
    "space_auditor",
    "space_manager",
    "space_developer",
    "space_supporter",
];
