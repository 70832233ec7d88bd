//! Audit events: who did what to which resource, written in the same transaction as the change.
//!
//! They only ever grow at the end, so their ids order them as their times do. They are kept for
//! 31 days.

mod handlers;
mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/audit_events`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/audit_events", get(handlers::list))
        .route("/v3/audit_events/{guid}", get(handlers::show))
}
