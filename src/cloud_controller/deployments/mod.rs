//! Deployments: an app's way from one droplet or revision to another.
//!
//! A stopped app is deployed by starting it with what is asked for. Replacing the instances of a
//! started app step by step needs an engine this version does not have, so that is refused by
//! name; `cf push` and `cf restart` without `--strategy` do not need it. What is stored can be
//! read, labelled, canceled and continued.

mod actions;
mod handlers;
mod payload;
mod presenter;
mod store;

use axum::Router;
use axum::routing::{get, post};

use super::CloudController;

/// `/v3/deployments`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/deployments",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/deployments/{guid}",
            get(handlers::show).patch(handlers::update),
        )
        .route(
            "/v3/deployments/{guid}/actions/cancel",
            post(handlers::cancel),
        )
        .route(
            "/v3/deployments/{guid}/actions/continue",
            post(handlers::proceed),
        )
}
