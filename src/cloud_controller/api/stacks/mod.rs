//! Stacks: the root file systems apps run on.
//!
//! A stack's state says who may still be staged on it: `ACTIVE` all, `DEPRECATED` all with a
//! warning, `RESTRICTED` only apps that were staged before (with a warning), `DISABLED` nobody.
//! Running apps go on whatever it is.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/stacks`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/stacks", get(handlers::list).post(handlers::create))
        .route(
            "/v3/stacks/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route("/v3/stacks/{guid}/apps", get(handlers::list_apps))
}
