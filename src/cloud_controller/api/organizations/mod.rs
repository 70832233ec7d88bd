//! Organizations: the outermost group; they own spaces, private domains and a quota.
//!
//! Deleting one deletes all in it, in one transaction.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/organizations`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/organizations",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/organizations/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/organizations/{guid}/relationships/default_isolation_segment",
            get(handlers::show_default_isolation_segment)
                .patch(handlers::set_default_isolation_segment),
        )
        .route(
            "/v3/organizations/{guid}/usage_summary",
            get(handlers::usage_summary),
        )
}
