//! What can go wrong with a blob.

use std::io;

use crate::base::QueueError;
use crate::db::DbError;

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The caller's limit was passed; nothing was kept.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source of the bytes failed or ended early.
    #[error("the content could not be read: {0}")]
    Source(#[source] io::Error),
    /// The disk failed or is full.
    #[error("blob store: cannot {attempt}: {source}")]
    Storage {
        /// What was tried.
        attempt: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The list of blobs could not be used.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The work was ended from outside: the platform shuts down.
    #[error("blob store: work was interrupted: {0}")]
    Interrupted(String),
    /// Too much waits already, or its turn did not come in time; nothing was done.
    #[error("{0}")]
    Overloaded(QueueError),
}

impl BlobError {
    /// Names what was tried.
    pub(crate) fn storage(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { attempt, source }
    }

    /// Takes a blob error out of the `io::Error` that carried it through a `Read` or `Write`
    /// chain; what was none came from the source.
    pub fn from_io(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Source)
    }
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        Self::other(error)
    }
}
