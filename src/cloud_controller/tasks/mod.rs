//! Tasks: commands that run once in an app's droplet, as the API shows them.
//!
//! This version of the platform has no engine that runs tasks: a request for one is checked as far
//! as any other and then refused, naming that. What is stored can be read, labelled and canceled.

mod actions;
mod handlers;
mod payload;
mod presenter;
mod store;

use axum::Router;
use axum::routing::{get, post, put};

use super::CloudController;

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
