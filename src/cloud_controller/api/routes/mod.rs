//! Routes: host, domain and path under which apps are reached, and their destinations: which
//! process of which app answers.
//!
//! Invariants: a route is unique by domain, host and path; host and domain with different paths
//! stay in one space unless the domain is private; destinations lie in the route's space or in one
//! it is shared with. Every change reaches the router through [`engines::router`].
//!
//! [`engines::router`]: crate::cloud_controller::engines::router

mod handlers;
pub(super) mod presenter;
mod sharing;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, get, patch};

use crate::cloud_controller::api;
use crate::cloud_controller::state::CloudController;

/// `/v3/routes`, the routes of apps and the unmapped ones of spaces.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/routes", get(handlers::list).post(handlers::create))
        .route(
            "/v3/routes/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/routes/{guid}/relationships/space",
            patch(sharing::transfer),
        )
        .route(
            "/v3/routes/{guid}/relationships/shared_spaces",
            get(sharing::show).post(sharing::share),
        )
        .route(
            "/v3/routes/{guid}/relationships/shared_spaces/{space}",
            delete(sharing::unshare),
        )
        .route("/v3/apps/{guid}/routes", get(handlers::list_of_app))
        .route(
            "/v3/spaces/{guid}/routes",
            delete(handlers::delete_unmapped),
        )
        .merge(api::destinations::routes())
}
