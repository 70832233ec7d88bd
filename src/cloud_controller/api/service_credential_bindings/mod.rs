//! Service credential bindings: what an app, or a key, gets from a service instance.
//!
//! An app gets the newest binding of each instance when it is started. To replace credentials, a
//! second binding is made, the app restarted, and the first deleted.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/service_credential_bindings`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route(
            "/v3/service_credential_bindings",
            get(handlers::list).post(handlers::create),
        )
        .route(
            "/v3/service_credential_bindings/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/service_credential_bindings/{guid}/details",
            get(handlers::details),
        )
        .route(
            "/v3/service_credential_bindings/{guid}/parameters",
            get(handlers::parameters),
        )
}
