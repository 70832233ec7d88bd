//! Security groups: where instances and staging may connect to. The platform starts with the two
//! groups every Cloud Foundry starts with; admins make more.
//!
//! A group applies to the spaces it is bound to, for running or for staging apps, or to all spaces.
//! Cloud Controller writes no audit events about them.

mod bindings;
mod handlers;
mod presenter;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/security_groups` and those of spaces.
pub(crate) fn routes() -> Router<CloudController> {
    const GROUP: &str = "/v3/security_groups/{guid}";
    let relation = |rest: &str| format!("{GROUP}/relationships/{rest}");
    Router::new()
        .route(
            "/v3/security_groups",
            get(handlers::list).post(handlers::create),
        )
        .route(
            GROUP,
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(&relation("running_spaces"), post(bindings::bind_running))
        .route(&relation("staging_spaces"), post(bindings::bind_staging))
        .route(
            &relation("running_spaces/{space}"),
            delete(bindings::unbind_running),
        )
        .route(
            &relation("staging_spaces/{space}"),
            delete(bindings::unbind_staging),
        )
        .route(
            "/v3/spaces/{guid}/running_security_groups",
            get(handlers::list_running),
        )
        .route(
            "/v3/spaces/{guid}/staging_security_groups",
            get(handlers::list_staging),
        )
}
