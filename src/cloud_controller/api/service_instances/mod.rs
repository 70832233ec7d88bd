//! Service instances: made by brokers, or provided by users, who only tell apps about them.
//!
//! Invariants: names are unique in a space, together with the instances that are shared with it; what
//! a broker has to do is a job, and the broker is asked by the worker; credentials are shown to those
//! who may read secrets of the space.

mod handlers;
mod permissions;
pub(super) mod presenter;
mod sharing;

pub(super) use handlers::fetched_parameters;

use axum::Router;
use axum::routing::{delete, get};

use crate::cloud_controller::state::CloudController;

/// `/v3/service_instances`.
pub(crate) fn routes() -> Router<CloudController> {
    const SHARED: &str = "/v3/service_instances/{guid}/relationships/shared_spaces";

    Router::new()
        .route(
            "/v3/service_instances",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/service_instances/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/service_instances/{guid}/credentials",
            get(handlers::credentials),
        )
        .route(
            "/v3/service_instances/{guid}/parameters",
            get(handlers::parameters),
        )
        .route(
            "/v3/service_instances/{guid}/permissions",
            get(permissions::show),
        )
        .route(SHARED, get(sharing::show).post(sharing::share))
        .route(
            &format!("{SHARED}/usage_summary"),
            get(sharing::usage_summary),
        )
        .route(&format!("{SHARED}/{{space}}"), delete(sharing::unshare))
}
