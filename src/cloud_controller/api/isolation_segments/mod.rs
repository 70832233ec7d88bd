//! Isolation segments: names for groups of machines, which organizations are entitled to and spaces
//! are put in. Here every segment is this one machine, so a segment decides who may name it, not
//! where apps run.
//!
//! The segment `shared` is always there and cannot be changed. Cloud Controller writes no audit
//! events about segments.

mod handlers;
mod organizations;
mod presenter;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, get};

use crate::cloud_controller::state::CloudController;

/// `/v3/isolation_segments`.
pub(crate) fn routes() -> Router<CloudController> {
    const SEGMENT: &str = "/v3/isolation_segments/{guid}";
    let below = |rest: &str| format!("{SEGMENT}/{rest}");
    Router::new()
        .route(
            "/v3/isolation_segments",
            get(handlers::list).post(handlers::create),
        )
        .route(
            SEGMENT,
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(&below("organizations"), get(organizations::list))
        .route(
            &below("relationships/organizations"),
            get(organizations::show).post(organizations::entitle),
        )
        .route(
            &below("relationships/organizations/{organization}"),
            delete(organizations::revoke),
        )
        .route(&below("relationships/spaces"), get(handlers::show_spaces))
}
