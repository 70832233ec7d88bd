//! Deployments: an app's way from one droplet or revision to another.
//!
//! A stopped app is deployed by starting it with what is asked for. Of a started app a second web
//! process takes the place of the first, a few instances at a time (`rollout` decides, pure;
//! `worker` carries it out): so there are always enough that answer. A canary waits at each of its
//! steps to be continued. Until the end a deployment can be canceled, which gives the first process
//! its instances back; another deployment takes its place.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

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
