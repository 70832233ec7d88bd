//! Why something could not be done.

use crate::blobs::BlobError;
use crate::db::DbError;
use crate::docker::DockerError;

/// A failure in the words of the developer who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    cause: Cause,
    is_passing: bool,
}

/// What a failure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// What was asked cannot be done.
    Refused,
    /// There is no such thing.
    Missing,
    /// Docker.
    Docker,
    /// The database or the files of the platform.
    Storage,
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            cause: Cause::Refused,
            is_passing: false,
        }
    }

    /// There is no such thing.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self {
            cause: Cause::Missing,
            ..Self::new(text)
        }
    }

    /// The platform's own data are at fault.
    pub(super) fn of_storage(text: String) -> Self {
        Self {
            cause: Cause::Storage,
            ..Self::new(text)
        }
    }

    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether the same may succeed a moment later: a busy daemon did not answer in time.
    pub(super) fn is_passing(&self) -> bool {
        self.is_passing
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::of_storage(error.to_string())
    }
}

impl From<DockerError> for Failure {
    fn from(error: DockerError) -> Self {
        Self {
            cause: Cause::Docker,
            is_passing: matches!(error, DockerError::Unreachable(_)),
            ..Self::new(error.to_string())
        }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::of_storage(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
