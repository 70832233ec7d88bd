//! Sidecars: further commands that run in the instances of some of an app's processes.
//!
//! They are started with the process and end with it; what is changed acts with its next start.
//! Users make them, and buildpacks bring them with a droplet.

mod handlers;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use crate::cloud_controller::model::sidecars::Sidecar;
use crate::cloud_controller::state::CloudController;

/// `/v3/sidecars` and the lists below apps and processes.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/apps/{guid}/sidecars",
            get(handlers::list_of_app).post(handlers::create),
        )
        .route(
            "/v3/processes/{guid}/sidecars",
            get(handlers::list_of_process),
        )
        .route(
            "/v3/sidecars/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
}

fn present(sidecar: &Sidecar) -> Value {
    json!({
        "guid": sidecar.guid,
        "name": sidecar.name,
        "command": sidecar.command,
        "process_types": sidecar.process_types,
        "memory_in_mb": sidecar.memory,
        "origin": sidecar.origin,
        "relationships": { "app": { "data": { "guid": sidecar.app_guid } } },
        "created_at": sidecar.created_at,
        "updated_at": sidecar.updated_at,
    })
}
