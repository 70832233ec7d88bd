//! Tasks: commands that run once in an app's droplet, each in a container of its own.
//!
//! A task is PENDING until the scheduler has started it, then RUNNING, and ends as SUCCEEDED or
//! FAILED with a reason; CANCELING is on its way to FAILED. It keeps what it was made with: droplet,
//! command, environment (`desired`). Its number counts within the app.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::{get, post, put};

use crate::cloud_controller::state::CloudController;

/// `/v3/tasks` and the list below an app.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/tasks", get(handlers::list))
        .route(
            "/v3/tasks/{guid}",
            get(handlers::show).patch(handlers::update),
        )
        .route("/v3/tasks/{guid}/actions/cancel", post(handlers::cancel))
        .route("/v3/tasks/{guid}/cancel", put(handlers::cancel))
        .route(
            "/v3/apps/{guid}/tasks",
            get(handlers::list_of_app).post(handlers::create),
        )
}
