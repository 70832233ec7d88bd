//! Spaces: where apps, routes and service instances live; most roles are given here.
//!
//! Deleting one deletes all in it, in one transaction.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/spaces`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/spaces", get(handlers::list).post(handlers::create))
        .route(
            "/v3/spaces/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/spaces/{guid}/relationships/isolation_segment",
            get(handlers::show_isolation_segment).patch(handlers::set_isolation_segment),
        )
        .route("/v3/spaces/{guid}/features", get(handlers::list_features))
        .route(
            "/v3/spaces/{guid}/features/{name}",
            get(handlers::show_feature).patch(handlers::update_feature),
        )
        .route(
            "/v3/spaces/{guid}/usage_summary",
            get(handlers::usage_summary),
        )
}
