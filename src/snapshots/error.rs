//! Why a snapshot could not be made, found or put back.

use std::io;
use std::path::Path;

use crate::base::QueueError;
use crate::blobs::Digest;
use crate::db::DbError;
use crate::docker::DockerError;

/// Why a snapshot could not be made, found or put back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name.
    #[error(
        "{0:?} is not the name of a snapshot: it has 1 to 63 letters, digits, dots, dashes and underscores, \
         and begins with a letter or a digit"
    )]
    Name(String),
    /// The name is in use.
    #[error(
        "there is a snapshot {0} already: choose another name, or remove it with `cflite snapshot remove {0}`"
    )]
    Exists(String),
    /// No such snapshot.
    #[error("there is no snapshot {0}: `cflite snapshot list` shows those that there are")]
    Missing(String),
    /// Another one is being made.
    #[error("another snapshot is being made: try again when it is done")]
    Busy,
    /// A newer cflite made it.
    #[error(
        "it was made by cflite {version} with schema version {found}, this cflite knows versions up to {known}: \
         use a newer cflite"
    )]
    TooNew {
        /// The cflite that made it.
        version: String,
        /// Its schema.
        found: i64,
        /// The schema of this one.
        known: i64,
    },
    /// Something is not as `snapshot.json` says.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Which file.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {path}: {cause}")]
    Storage {
        /// A verb.
        doing: &'static str,
        /// Which file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Docker failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// Data services did not come to rest.
    #[error("{0}")]
    Services(String),
    /// There is nothing to open a volume with.
    #[error(
        "the Docker daemon has no image at all, and the volume of a data service is opened with one: run \
         `cflite images build`"
    )]
    NoImage,
    /// The work was not done.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Error {
    pub(super) fn storage(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |cause| Self::Storage { doing, path, cause }
    }

    pub(super) fn damaged(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Damaged {
            what: what.into(),
            why: why.into(),
        }
    }

    pub(super) fn changed(what: &str, expected: &Digest, found: &Digest) -> Self {
        Self::damaged(
            what,
            format!("its digest is {found} and should be {expected}"),
        )
    }
}
