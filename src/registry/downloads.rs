//! Downloads of blobs: who needs a blob that is on its way from the same repository, with the same
//! credentials, waits for it instead of asking again. Nobody waits for the registry of someone else,
//! which may be slow, lie, or refuse those credentials.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio_util::io::StreamReader;
use tokio_util::task::TaskTracker;

use crate::base::Clock;
use crate::blobs::{self, Blob, Blobs, Digest, Grower};
use crate::db::Db;

use super::name::RepositoryName;
use super::upstream::{Identity, Session, UpstreamError};
use super::{RegistryError, store};

/// The most downloads at once, and of them from one host; each may have many readers.
const MOST: usize = 256;
const MOST_OF_A_HOST: usize = 32;
/// How many of them are left to builds, which nobody who only reads can take.
const RESERVED: usize = 8;
/// How often a build looks whether there is room.
const AGAIN: Duration = Duration::from_millis(500);
/// A download may take so long, and longer the more bytes it has.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes per second that are not too slow.
const SLOWEST: u64 = 64 * 1024;
/// Ended downloads that are remembered, and for how long.
const REMEMBERED: usize = 1024;
const MEMORY: Duration = Duration::from_secs(600);

type Outcome = Result<(), UpstreamError>;

/// A blob that is on its way; cheap to clone.
pub(super) type Growing = blobs::Growing<UpstreamError>;

/// What to download.
pub(super) struct Wish<'a> {
    pub(super) session: &'a Session,
    pub(super) blob: Blob,
    /// The cache that shows it then.
    pub(super) keep_in: Option<RepositoryName>,
}

/// The downloads that are under way; cheap to clone.
#[derive(Clone)]
pub(super) struct Downloads {
    blobs: Blobs,
    db: Db,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<Known>>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Known {
    running: Vec<Running>,
    /// Until the image is published, only this says that its registry gave the blob.
    ended: VecDeque<(Identity, Digest, Instant)>,
}

struct Running {
    identity: Identity,
    host: String,
    digest: Digest,
    growing: Growing,
    keep_in: Option<RepositoryName>,
}

impl Running {
    fn is(&self, digest: &Digest, identity: Identity) -> bool {
        self.digest == *digest && self.identity == identity
    }
}

impl Downloads {
    pub(super) fn new(blobs: Blobs, db: Db, clock: Arc<dyn Clock>) -> Self {
        Self {
            blobs,
            db,
            clock,
            known: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Downloads a blob, or waits for the same download. `received` counts the bytes of an own one.
    /// When too many are under way, it waits for a while until some have ended.
    pub(super) async fn fetch(&self, wish: Wish<'_>, received: Arc<AtomicU64>) -> Outcome {
        let begun = Instant::now();
        loop {
            match self.start(&wish, received.clone()) {
                Err(UpstreamError::Busy { .. }) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(AGAIN).await;
                }
                started => return started?.ended().await.map(drop),
            }
        }
    }

    /// The download of a blob, or the same one that is under way. It ends also when nobody waits for
    /// it any more: others will need the blob.
    pub(super) fn start(
        &self,
        wish: &Wish<'_>,
        received: Arc<AtomicU64>,
    ) -> Result<Growing, UpstreamError> {
        let (blob, identity) = (wish.blob.clone(), wish.session.identity());
        let mut known = self.known();
        let mut running = known.running.iter_mut();
        if let Some(same) = running.find(|one| one.is(&blob.digest, identity)) {
            same.keep_in = same.keep_in.take().or_else(|| wish.keep_in.clone());
            return Ok(same.growing.clone());
        }
        let host = wish.session.host();
        let of_host = known.running.iter().filter(|one| one.host == host).count();
        let kept_free = if wish.keep_in.is_some() { RESERVED } else { 0 };
        if known.running.len() + kept_free >= MOST || of_host + kept_free >= MOST_OF_A_HOST {
            return Err(UpstreamError::Busy { host });
        }
        let (grower, growing) = self.blobs.growing(Some(blob.size));
        known.running.push(Running {
            identity,
            host,
            digest: blob.digest.clone(),
            growing: growing.clone(),
            keep_in: wish.keep_in.clone(),
        });
        drop(known);
        let download = Download {
            downloads: self.clone(),
            session: wish.session.clone(),
            identity,
            blob,
            received,
            listed: true,
        };
        self.tasks.spawn(async move {
            let blob = download.blob.clone();
            let outcome = download.run(&grower).await;
            grower.end(outcome.map(|()| blob));
        });
        Ok(growing)
    }

    /// Whether this repository, asked by the same user, gave the blob a moment ago.
    pub(super) fn came_from(&self, session: &Session, digest: &Digest) -> bool {
        let identity = session.identity();
        let known = self.known();
        let mut ended = known.ended.iter();
        ended.any(|(from, blob, at)| *from == identity && blob == digest && at.elapsed() < MEMORY)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, identity: Identity, digest: &Digest) {
        let mut known = self.known();
        let entry = (identity, digest.clone(), Instant::now());
        known.ended.push_back(entry);
        if known.ended.len() > REMEMBERED {
            known.ended.pop_front();
        }
    }
}

/// A download under way. It leaves the list when it is dropped, also after a panic.
struct Download {
    downloads: Downloads,
    session: Session,
    identity: Identity,
    blob: Blob,
    received: Arc<AtomicU64>,
    listed: bool,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Download {
    /// Leaves the list, so that nobody can join any more; gives the cache that shows the blob.
    fn leave(&mut self) -> Option<RepositoryName> {
        if !std::mem::take(&mut self.listed) {
            return None;
        }
        let (mut known, digest) = (self.downloads.known(), &self.blob.digest);
        let mut running = known.running.iter();
        let at = running.position(|one| one.is(digest, self.identity))?;
        known.running.swap_remove(at).keep_in
    }

    async fn run(mut self, grower: &Grower<UpstreamError>) -> Outcome {
        let limit = PATIENCE + Duration::from_secs(self.blob.size / SLOWEST);
        let stored = tokio::time::timeout(limit, self.store(grower)).await;
        stored.map_err(|_| UpstreamError::TooSlow {
            host: self.session.host(),
            digest: self.blob.digest.clone(),
            minutes: limit.as_secs() / 60,
        })??;
        self.downloads.remember(self.identity, &self.blob.digest);
        if let Some(cache) = self.leave() {
            let (digest, now) = (self.blob.digest.clone(), self.downloads.clock.now());
            let shown = self
                .downloads
                .db
                .write_without_wake(move |tx| store::arrive(tx, &cache, &digest, now));
            shown.await.map_err(RegistryError::from)?;
        }
        Ok(())
    }

    async fn store(&self, grower: &Grower<UpstreamError>) -> Outcome {
        let blobs = &self.downloads.blobs;
        // The same download may have ended since the caller looked.
        if self.downloads.came_from(&self.session, &self.blob.digest) {
            let known = blobs.renew(&self.blob.digest).await;
            if known.map_err(RegistryError::from)?.is_some() {
                return Ok(());
            }
        }
        let bytes = self.session.download(&self.blob).inspect(|chunk| {
            if let Ok(chunk) = chunk {
                let length = chunk.len() as u64;
                self.received.fetch_add(length, Ordering::Relaxed);
            }
        });
        let written = |file: &Arc<File>, size| grower.grown(file, size);
        let reader = StreamReader::new(Box::pin(bytes));
        let stored = blobs.put_expected(reader, &self.blob, written).await;
        stored.map_err(|error| self.session.download_error(error))
    }
}
