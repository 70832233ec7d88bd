//! Domains: the names routes are made under. A shared domain can be used by all, a private one by
//! the organization that owns it and by those it is shared with; routes of an internal one are
//! not for the router.
//!
//! Invariants: no two domains have the same name; a private domain has no parent that belongs to
//! another organization, and no name that a route has already. Deleting one deletes its routes.
//!
//! Absent on purpose: router groups, and with them TCP domains.

mod handlers;
pub(super) mod presenter;
mod sharing;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, get};

use crate::cloud_controller::state::CloudController;

/// `/v3/domains` and the domains of organizations.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/domains", get(handlers::list).post(handlers::create))
        .route(
            "/v3/domains/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/domains/{guid}/route_reservations",
            get(handlers::route_reservations),
        )
        .route(
            "/v3/domains/{guid}/relationships/shared_organizations",
            get(sharing::show).post(sharing::share),
        )
        .route(
            "/v3/domains/{guid}/relationships/shared_organizations/{organization}",
            delete(sharing::unshare),
        )
        .route(
            "/v3/organizations/{guid}/domains",
            get(handlers::list_of_organization),
        )
        .route(
            "/v3/organizations/{guid}/domains/default",
            get(handlers::show_default),
        )
}
