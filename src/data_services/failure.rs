//! Why something could not be done.

use crate::blobs::BlobError;
use crate::db::DbError;
use crate::docker::DockerError;

/// A failure in the words of the developer who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    is_passing: bool,
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_passing: false,
        }
    }

    /// Whether the same may succeed a moment later: a busy daemon did not answer in time.
    pub(super) fn is_passing(&self) -> bool {
        self.is_passing
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<DockerError> for Failure {
    fn from(error: DockerError) -> Self {
        Self {
            is_passing: matches!(error, DockerError::Unreachable(_)),
            ..Self::new(error.to_string())
        }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
