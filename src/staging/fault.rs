//! How a staging ends without a droplet.

use super::failure::Reason;
use crate::docker::DockerError;

/// How an attempt ended without a droplet.
#[derive(Debug)]
pub(super) enum Fault {
    /// Not worth a retry.
    Failed(Reason),
    /// The daemon is unreachable or the container was removed: worth a retry.
    Interrupted(String),
    /// The build is no longer wanted, or the platform shuts down.
    Cancelled,
}

impl From<DockerError> for Fault {
    fn from(error: DockerError) -> Self {
        match error {
            DockerError::Unreachable(_) | DockerError::NotFound(_) => {
                Self::Interrupted(error.to_string())
            }
            other => Self::Failed(Reason::Other(other.to_string())),
        }
    }
}
