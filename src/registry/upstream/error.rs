//! Why an image could not be copied from another registry.

use std::time::Duration;

use crate::blobs::{BlobError, Digest};
use crate::net::outside::Trouble;
use crate::registry::RegistryError;

/// A failure, in the words of the staging log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// The registry has no such image or tag.
    #[error("{image} was not found: its registry knows no such image or tag")]
    NotFound {
        /// The image.
        image: String,
    },
    /// The registry refused the given credentials, or wants some.
    #[error("not authorized to pull {image}: {}", authorization(*with_credentials))]
    Unauthorized {
        /// The image.
        image: String,
        /// Whether credentials were given.
        with_credentials: bool,
    },
    /// The registry answers no more requests for a while.
    #[error("{host} limits the rate of pulls: {detail}")]
    RateLimited {
        /// The registry.
        host: String,
        /// What its headers say.
        detail: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// There is no image for the daemon's platform.
    #[error("no matching manifest for {platform} in the manifest list entries")]
    NoPlatform {
        /// `linux/amd64`.
        platform: String,
    },
    /// The registry does not answer.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// The registry answers with an error.
    #[error("{host} answered {status}: {text}")]
    Failed {
        /// The registry.
        host: String,
        /// HTTP status.
        status: u16,
        /// Its text.
        text: String,
    },
    /// The content is not what its digest says.
    #[error("{host} sent wrong content: expected {expected}, received {received}")]
    WrongContent {
        /// The registry.
        host: String,
        /// The digest that was asked for.
        expected: Digest,
        /// That of what was sent.
        received: String,
    },
    /// A download ended early, each time.
    #[error("{host} ended the download of {digest} after {received} of {size} bytes")]
    Truncated {
        /// The registry.
        host: String,
        /// The blob.
        digest: Digest,
        /// Received bytes.
        received: u64,
        /// Expected bytes.
        size: u64,
    },
    /// The image cannot be used.
    #[error("{image} cannot be used: {reason}")]
    Unsupported {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// The registry or its token service must not be asked.
    #[error("{host} is refused: {reason}")]
    Refused {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The platform asks nobody.
    #[error(
        "{image} is not in the registry, and cflite works offline: fetch it with \
         `cflite registry prefetch {image}` while there is a network, or load it with \
         `cflite bundle load FILE`"
    )]
    Offline {
        /// The image.
        image: String,
    },
    /// Too many downloads are under way.
    #[error("too many downloads from {host} are under way; try again later")]
    Busy {
        /// The registry.
        host: String,
    },
    /// A download takes too long as a whole.
    #[error("{host} sends {digest} too slowly: it did not arrive within {minutes} minutes")]
    TooSlow {
        /// The registry.
        host: String,
        /// The blob.
        digest: Digest,
        /// How long it was waited for.
        minutes: u64,
    },
    /// This registry failed.
    #[error("{0}")]
    Storage(String),
}

impl UpstreamError {
    /// What decides about another try.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(Trouble::Limited {
                retry_after: *retry_after,
            }),
            Self::Failed { status, .. } => Some(Trouble::Status(*status)),
            Self::Unreachable { .. } => Some(Trouble::Unreachable),
            _ => None,
        }
    }

    /// Whether a copy from before may be used instead: the registry did not say that the image is
    /// gone or not for this user.
    pub(crate) fn allows_stale(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unreachable { .. } | Self::Offline { .. } => true,
            Self::Failed { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the daemon's own image of this name may be meant.
    pub fn allows_local(&self) -> bool {
        let hidden = matches!(
            self,
            Self::NotFound { .. }
                | Self::Refused { .. }
                | Self::Unauthorized {
                    with_credentials: false,
                    ..
                }
        );
        hidden || self.allows_stale()
    }
}

impl From<RegistryError> for UpstreamError {
    fn from(error: RegistryError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<BlobError> for UpstreamError {
    fn from(error: BlobError) -> Self {
        Self::Storage(error.to_string())
    }
}

fn authorization(with_credentials: bool) -> &'static str {
    if with_credentials {
        "the registry refuses these credentials"
    } else {
        "the image does not exist or needs credentials \
         (--docker-username with CF_DOCKER_PASSWORD)"
    }
}
