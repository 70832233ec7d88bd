//! Downloads of blobs, one at a time for each digest: whoever needs the same blob meanwhile waits
//! for it instead of asking the other registry again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_util::io::StreamReader;

use crate::blobs::{Blob, Blobs, Digest};

use super::upstream::{Session, UpstreamError};

type Outcome = Option<Result<(), UpstreamError>>;

/// The downloads that are under way; cheap to clone.
#[derive(Clone)]
pub(super) struct Downloads {
    blobs: Blobs,
    running: Arc<Mutex<BTreeMap<Digest, watch::Receiver<Outcome>>>>,
}

impl Downloads {
    pub(super) fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            running: Arc::default(),
        }
    }

    /// Downloads a blob, or waits for the download of another one. `received` counts the bytes of
    /// an own download.
    pub(super) async fn fetch(
        &self,
        session: &Session,
        blob: Blob,
        received: Arc<AtomicU64>,
    ) -> Result<(), UpstreamError> {
        let other = self.running().get(&blob.digest).cloned();
        // Another one may fail for a reason of its own, such as its credentials.
        if let Some(other) = other
            && let Ok(()) = outcome(other).await
        {
            return Ok(());
        }
        let own = self.start(session, blob, received);
        outcome(own).await
    }

    /// The download ends also when nobody waits for it any more: others will need the blob.
    fn start(
        &self,
        session: &Session,
        blob: Blob,
        received: Arc<AtomicU64>,
    ) -> watch::Receiver<Outcome> {
        let mut running = self.running();
        if let Some(other) = running.get(&blob.digest) {
            return other.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(blob.digest.clone(), receiver.clone());
        let (downloads, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            let done = Done {
                downloads,
                digest: blob.digest.clone(),
            };
            let result = download(&done.downloads.blobs, &session, &blob, &received).await;
            drop(done);
            sender.send_replace(Some(result));
        });
        receiver
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Digest, watch::Receiver<Outcome>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes an ended download, also after a panic.
struct Done {
    downloads: Downloads,
    digest: Digest,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.downloads.running().remove(&self.digest);
    }
}

async fn download(
    blobs: &Blobs,
    session: &Session,
    blob: &Blob,
    received: &AtomicU64,
) -> Result<(), UpstreamError> {
    let bytes = session.download(blob).inspect(|chunk| {
        if let Ok(chunk) = chunk {
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    });
    let reader = StreamReader::new(Box::pin(bytes));
    let stored = blobs.put_expected(reader, blob).await;
    stored.map_err(|error| session.download_error(error))
}

async fn outcome(mut receiver: watch::Receiver<Outcome>) -> Result<(), UpstreamError> {
    let ended = receiver.wait_for(Option::is_some).await;
    match ended.as_deref() {
        Ok(Some(result)) => result.clone(),
        _ => Err(UpstreamError::Storage(
            "the download was interrupted".to_owned(),
        )),
    }
}
