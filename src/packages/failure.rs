//! Why something cannot be had, in one line: package managers and buildpacks show it.

use http::StatusCode;

use crate::blobs::BlobError;
use crate::db::DbError;
use crate::net::outside::Trouble;

/// Why there is no answer with a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not a path of a registry, or one that a client must not use.
    #[error("{0}")]
    NoSuchPath(String),
    /// Only reading is possible.
    #[error("the package cache only reads: use GET or HEAD")]
    ReadOnly,
    /// Nobody is asked, and there is no copy.
    #[error(
        "cflite works offline and has no copy of {package}: run \"cflite packages prefetch \
         {package}\" with a network"
    )]
    Offline {
        /// `pypi:flask`.
        package: String,
    },
    /// The registry does not have it.
    #[error("{host} has no {path} ({package})")]
    Missing {
        /// The registry's server.
        host: String,
        /// What was asked for.
        path: String,
        /// `pypi:flask`.
        package: String,
    },
    /// The registry does not answer.
    #[error("{host} cannot be reached and there is no copy of {package}: {reason}")]
    Unreachable {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// Why.
        reason: String,
    },
    /// The registry answers with an error.
    #[error("{host} answers {status} for {package}")]
    Status {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// HTTP status.
        status: u16,
        /// When it wants to be asked again, in seconds.
        retry_after: Option<u64>,
    },
    /// A redirect leads where it must not.
    #[error("{host} is not followed for {package}: {reason}")]
    Refused {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// Why.
        reason: String,
    },
    /// A body ended early.
    #[error("{host} ended the download of {package} early, after {received} bytes")]
    Truncated {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// Received bytes.
        received: u64,
    },
    /// The content is not what the registry's index says.
    #[error("{host} sent wrong content for {package}: its index says {expected}, it is {received}")]
    WrongContent {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// The digest in the index.
        expected: String,
        /// That of what came.
        received: String,
    },
    /// It is too large to be kept.
    #[error("{package} is larger than the package cache ({limit} bytes)")]
    TooLarge {
        /// `pypi:flask`.
        package: String,
        /// The most bytes.
        limit: u64,
    },
    /// A download takes too long as a whole.
    #[error("{host} sends {package} too slowly: it did not arrive within {minutes} minutes")]
    TooSlow {
        /// The registry's server.
        host: String,
        /// `pypi:flask`.
        package: String,
        /// How long it was waited for.
        minutes: u64,
    },
    /// Too many downloads are under way.
    #[error("too many downloads are under way; try again later")]
    Busy,
    /// The cache itself failed.
    #[error("the package cache failed: {0}")]
    Storage(String),
}

impl Failure {
    /// The status of the response.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPath(_) | Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::Offline { .. }
            | Self::Unreachable { .. }
            | Self::Truncated { .. }
            | Self::TooSlow { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Status { status, .. } if *status >= 500 || *status == 429 => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Status { .. }
            | Self::Refused { .. }
            | Self::WrongContent { .. }
            | Self::TooLarge { .. } => StatusCode::BAD_GATEWAY,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a copy from before may be used instead: the registry did not say that it is gone.
    pub(super) fn allows_stale(&self) -> bool {
        matches!(
            self,
            Self::Offline { .. }
                | Self::Unreachable { .. }
                | Self::Truncated { .. }
                | Self::TooSlow { .. }
                | Self::Busy
        ) || matches!(self, Self::Status { status, .. } if *status >= 500 || *status == 429)
    }

    /// What decides about another try.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Status {
                status: 429 | 503,
                retry_after: Some(seconds),
                ..
            } => Some(Trouble::Limited {
                retry_after: Some(std::time::Duration::from_secs(*seconds)),
            }),
            Self::Status { status, .. } => Some(Trouble::Status(*status)),
            Self::Unreachable { .. } => Some(Trouble::Unreachable),
            _ => None,
        }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            // Failures travel through readers.
            BlobError::Source(error) => match error.downcast::<Self>() {
                Ok(failure) => failure,
                Err(error) => Self::Storage(error.to_string()),
            },
            BlobError::Overloaded(_) => Self::Busy,
            other => Self::Storage(other.to_string()),
        }
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Storage(error.to_string())
    }
}
