//! Builds: one staging of a package into a droplet.
//!
//! A build is a row in `STAGING` that the staging engine finds ([`StagingQueue`]); it ends as
//! `STAGED` with a droplet or `FAILED` with an error. One build of an app is in `STAGING` at a time;
//! the unique index decides races. Buildpacks, environment and limits are those of the moment the
//! build was asked for.
//!
//! Whoever asks for a build that has just ended, and follows the app's log meanwhile, gets the
//! answer once the last line of staging was read: `cf push` stops reading when it hears that the
//! build is over ([`Logs::shown_to_followers`](crate::logs::Logs::shown_to_followers)).
//!
//! [`StagingQueue`]: crate::cloud_controller::engines::StagingQueue

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/builds`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/builds", get(handlers::list).post(handlers::create))
        .route(
            "/v3/builds/{guid}",
            get(handlers::show).patch(handlers::update),
        )
        .route("/v3/apps/{guid}/builds", get(handlers::list_of_app))
}
