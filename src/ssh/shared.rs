//! What all connections share.

use std::sync::Arc;

use super::{Authorizer, Observer, Settings};
use crate::base::Supervisor;
use crate::docker::Engine;

/// What a connection works with.
pub(super) struct Shared {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) authorizer: Arc<dyn Authorizer>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) settings: Settings,
    pub(super) supervisor: Supervisor,
}
