//! Processes: the kinds of instances an app has (`web`, `worker`, …), how many there are, their
//! limits, commands and checks.
//!
//! - The number of instances acts at once; limits, commands and checks act when the process is
//!   started again: running instances have what was written down at their start (`desired`).
//! - `version` changes with every start and restart; instances of another version are replaced and
//!   never shown.
//! - Lists never show commands.

mod handlers;
mod presenter;
mod stats;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::cloud_controller::api::processes::handlers::{by_guid, by_type};
use crate::cloud_controller::state::CloudController;

/// `/v3/processes` and `/v3/apps/:guid/processes`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/processes", get(handlers::list))
        .route(
            "/v3/processes/{guid}",
            get(by_guid::show).patch(by_guid::update),
        )
        .route("/v3/processes/{guid}/actions/scale", post(by_guid::scale))
        .route("/v3/processes/{guid}/stats", get(by_guid::stats))
        .route(
            "/v3/processes/{guid}/process_instances",
            get(handlers::instances),
        )
        .route(
            "/v3/processes/{guid}/instances/{index}",
            delete(handlers::terminate_by_guid),
        )
        .route("/v3/apps/{guid}/processes", get(handlers::list_of_app))
        .route(
            "/v3/apps/{guid}/processes/{type}",
            get(by_type::show).patch(by_type::update),
        )
        .route(
            "/v3/apps/{guid}/processes/{type}/actions/scale",
            post(by_type::scale),
        )
        .route(
            "/v3/apps/{guid}/processes/{type}/stats",
            get(by_type::stats),
        )
        .route(
            "/v3/apps/{guid}/processes/{type}/instances/{index}",
            delete(handlers::terminate_by_type),
        )
}
