//! The routing API as far as the cf CLI and administrators ask it: router groups and the ports that
//! TCP routes may have.
//!
//! It is a server of its own in Cloud Foundry, so it has errors and scopes of its own ([`error`]):
//! a token without the scope is 401 here, not 403. Routes are not registered through it: the
//! Cloud Controller's are the only ones.

mod error;
mod handlers;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/routing/v1/router_groups`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/routing/v1/router_groups", get(handlers::list))
        .route(
            "/routing/v1/router_groups/{guid}",
            get(handlers::show).put(handlers::update),
        )
}
