//! The APIs that stream new envelopes.

use std::sync::Arc;

use axum::Router;

use super::access::LogAccess;
use super::{Logs, doppler, gateway};

impl Logs {
    /// The gateway of log streams, and the websockets of older clients.
    pub fn stream_router(&self, access: Arc<dyn LogAccess>) -> Router {
        gateway::routes(self, access.clone()).merge(doppler::routes(self, access))
    }
}
