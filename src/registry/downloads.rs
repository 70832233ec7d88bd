//! Downloads of blobs: who needs a blob that is on its way from the same repository, with the same
//! credentials, waits for it instead of asking again. Nobody waits for the registry of someone else,
//! which may be slow, lie, or refuse those credentials.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_util::io::StreamReader;
use tokio_util::task::TaskTracker;

use crate::blobs::{Blob, Blobs, Digest};

use super::RegistryError;
use super::upstream::{Session, UpstreamError};

type Outcome = Option<Result<(), UpstreamError>>;

/// The downloads that are under way; cheap to clone.
#[derive(Clone)]
pub(super) struct Downloads {
    blobs: Blobs,
    running: Arc<Mutex<Vec<Running>>>,
    tasks: TaskTracker,
}

struct Running {
    digest: Digest,
    session: Session,
    outcome: watch::Receiver<Outcome>,
}

impl Running {
    fn is(&self, digest: &Digest, session: &Session) -> bool {
        self.digest == *digest && self.session.asks_like(session)
    }
}

impl Downloads {
    pub(super) fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            running: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Downloads a blob, or waits for the same download. `received` counts the bytes of an own one.
    pub(super) async fn fetch(
        &self,
        session: &Session,
        blob: Blob,
        received: Arc<AtomicU64>,
    ) -> Result<(), UpstreamError> {
        outcome(self.start(session, blob, received)).await
    }

    /// The download ends also when nobody waits for it any more: others will need the blob.
    fn start(
        &self,
        session: &Session,
        blob: Blob,
        received: Arc<AtomicU64>,
    ) -> watch::Receiver<Outcome> {
        let mut running = self.running();
        if let Some(same) = running.iter().find(|one| one.is(&blob.digest, session)) {
            return same.outcome.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.push(Running {
            digest: blob.digest.clone(),
            session: session.clone(),
            outcome: receiver.clone(),
        });
        let done = Done {
            downloads: self.clone(),
            digest: blob.digest.clone(),
            session: session.clone(),
        };
        self.tasks.spawn(async move {
            let result = download(&done.downloads.blobs, &done.session, &blob, &received).await;
            drop(done);
            sender.send_replace(Some(result));
        });
        receiver
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes an ended download, also after a panic.
struct Done {
    downloads: Downloads,
    digest: Digest,
    session: Session,
}

impl Drop for Done {
    fn drop(&mut self) {
        let mut running = self.downloads.running();
        running.retain(|one| !one.is(&self.digest, &self.session));
    }
}

async fn download(
    blobs: &Blobs,
    session: &Session,
    blob: &Blob,
    received: &AtomicU64,
) -> Result<(), UpstreamError> {
    // Another download may have ended since the caller looked.
    let known = blobs.renew(&blob.digest).await;
    if known.map_err(RegistryError::from)?.is_some() {
        return Ok(());
    }
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
