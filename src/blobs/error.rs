//! Errors of the blob store.

use std::io;

use crate::base::QueueError;
use crate::db::DbError;

use super::Digest;

/// Why storing or reading a blob failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The caller's limit was exceeded; nothing was kept.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The content is not what the caller expected; nothing was kept.
    #[error("the content has the digest {received} instead of {expected}")]
    WrongDigest {
        /// The expected digest.
        expected: Digest,
        /// The digest of what was read.
        received: Digest,
    },
    /// The source of the bytes failed or ended early.
    #[error("the content could not be read: {0}")]
    Source(#[source] io::Error),
    /// The disk failed or is full.
    #[error("blob store: cannot {attempt}: {source}")]
    Storage {
        /// The attempted operation.
        attempt: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The work was interrupted: the platform shuts down.
    #[error("blob store: work was interrupted: {0}")]
    Interrupted(String),
    /// The queue is full, or the work did not start in time; nothing was done.
    #[error("{0}")]
    Overloaded(QueueError),
}

impl BlobError {
    /// Adds the attempted operation.
    pub(crate) fn storage(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { attempt, source }
    }

    /// Unwraps a blob error from the `io::Error` that carried it through a `Read` or `Write` chain;
    /// any other error came from the source.
    pub fn from_io(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Source)
    }
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        Self::other(error)
    }
}
