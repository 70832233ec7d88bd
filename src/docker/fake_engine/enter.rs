//! What every method begins with, and what several return.

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::{FakeEngine, Verb};
use crate::docker::{ByteReader, DockerError};

impl FakeEngine {
    /// Called first by every method: applies stalls, failures and an unreachable daemon.
    pub(super) async fn enter(&self, verb: Verb) -> Result<(), DockerError> {
        let mut ticks = self.tick.subscribe();
        while self.state().stalled.contains(&verb) {
            if ticks.changed().await.is_err() {
                break;
            }
        }
        let mut state = self.state();
        if state.away {
            return Err(DockerError::Unreachable("the daemon is down".into()));
        }
        if let Some(errors) = state.fail_once.get_mut(&verb).filter(|e| !e.is_empty()) {
            return Err(errors.remove(0));
        }
        state.fail_always.get(&verb).cloned().map_or(Ok(()), Err)
    }

    pub(super) async fn read(mut tar: ByteReader) -> Result<Bytes, DockerError> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)
            .await
            .map_err(|e| DockerError::Failed(e.to_string()))?;
        Ok(bytes.into())
    }
}

pub(super) fn no_container(id: &str) -> DockerError {
    DockerError::NotFound(format!("container {id}"))
}

pub(super) fn no_image(reference: &str) -> DockerError {
    DockerError::NotFound(format!("image {reference}"))
}
