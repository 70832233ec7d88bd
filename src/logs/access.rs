//! Who may read which sources, and what every handler of the Log Cache API works with.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, header};

use super::Logs;

/// Access control for log reads; implemented by the control plane.
#[async_trait]
pub trait LogAccess: Send + Sync + 'static {
    /// Whether the bearer of this `Authorization` header may read the source.
    async fn readable(&self, authorization: Option<&str>, source_id: &str) -> bool;

    /// The apps and service instances of this name that the bearer may read.
    async fn named(&self, authorization: Option<&str>, name: &str) -> Vec<String>;

    /// The sources that the bearer may read.
    async fn all_readable(&self, authorization: Option<&str>) -> Readable;

    /// Whether the bearer may stream all sources at once.
    async fn reads_firehose(&self, authorization: Option<&str>) -> bool {
        self.all_readable(authorization).await == Readable::Everything
    }
}

/// The sources that a caller may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// The token is missing or bad.
    Nothing,
    /// These sources.
    Only(BTreeSet<String>),
    /// All sources.
    Everything,
}

#[derive(Clone)]
pub(super) struct Api {
    pub(super) logs: Logs,
    pub(super) access: Arc<dyn LogAccess>,
}

/// The `Authorization` header.
pub(super) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}
