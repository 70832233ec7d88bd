//! Stacks: the root file systems apps run on.

mod handlers;
pub(crate) mod store;

use axum::Router;
use axum::routing::get;

use super::CloudController;

/// `/v3/stacks`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/stacks", get(handlers::list))
        .route("/v3/stacks/{guid}", get(handlers::show))
}
