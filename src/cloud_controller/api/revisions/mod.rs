//! Revisions: what an app ran with at its starts, so that one can see what changed and go back.
//!
//! A revision is written when an app is started or restarted (from then on its processes run under
//! it) and something differs from the latest one: droplet, environment, start commands or sidecars.
//! Apps whose feature `revisions` is off get none. The environment is encrypted at rest; the newest
//! [`actions::revisions::KEPT`] of each app are kept.
//!
//! [`actions::revisions::KEPT`]: crate::cloud_controller::actions::revisions::KEPT

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/revisions` and the lists below an app.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/apps/{guid}/revisions", get(handlers::list))
        .route(
            "/v3/apps/{guid}/revisions/deployed",
            get(handlers::list_deployed),
        )
        .route(
            "/v3/revisions/{guid}",
            get(handlers::show).patch(handlers::update),
        )
        .route(
            "/v3/revisions/{guid}/environment_variables",
            get(handlers::show_environment),
        )
}
