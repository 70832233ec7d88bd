//! The content-addressed store of everything large: packages, droplets, buildpacks, build caches
//! and the layers of the registry.
//!
//! A blob lives under `sha256/<2 digits>/<64 digits>` of the store's folder and never changes. It
//! is written to a temporary file while it is hashed, synced, renamed into place and then listed
//! in the table `blobs`. Rows elsewhere that need a blob say so in `blob_references`
//! ([`store::reference`]), in their own transaction.
//!
//! Invariants:
//! - A listed blob is whole on disk. Dying before the rename leaves a temporary file, which the
//!   next [`Blobs::open`] removes; dying before the listing leaves a file that [`Blobs::sweep`]
//!   finds.
//! - A blob that was just put is safe for an hour without a reference, so that the caller can
//!   write its row; putting the same bytes again starts that hour anew.
//! - Sweeping never takes a file away from under a put: putting in place and sweeping exclude one
//!   another. Readers that have a file open keep it.
//!
//! Decisions: hashing and writing run on blocking threads, a chunk at a time, so memory is flat, the
//! async threads only move bytes, and no thread waits for the other end of a network: a client
//! that stalls holds a temporary file and nothing else. The same goes for archives that are made
//! while a client reads them ([`spool`]). Sources and sinks on this machine (Docker, files) may
//! hold a thread ([`Blobs::consume`], [`Blobs::produce`]). Blocking work waits in three queues
//! ([`work`]) by what it costs, so that neither large archives nor streams keep short work from its
//! turn.

mod digest;
mod draft;
mod droplet;
mod error;
mod pipe;
pub mod resources;
mod safe_path;
mod sha1;
mod spool;
pub mod store;
mod sweep;
mod work;
pub mod zip;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::sync::RwLock;

use crate::base::{Clock, Timestamp};
use crate::db::Db;

pub use digest::{Digest, InvalidDigest};
pub use draft::{Draft, Sealed};
pub use droplet::LayerError;
pub use error::BlobError;
pub use pipe::{PipeReader, PipeWriter};
pub use sweep::Swept;

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    db: Db,
    clock: Arc<dyn Clock>,
    /// Shared by those who put blobs in place, exclusive to the sweep.
    gate: Arc<RwLock<()>>,
    queues: work::Queues,
}

impl Blobs {
    /// Opens (and makes) the store in the folder `root`, of which this process is the only user,
    /// and removes what an earlier process left half-written.
    pub fn open(root: &Path, db: Db, clock: Arc<dyn Clock>) -> Result<Self, BlobError> {
        let store = Self(Arc::new(Inner {
            root: root.to_owned(),
            db,
            clock,
            gate: Arc::new(RwLock::new(())),
            queues: work::Queues::new(),
        }));
        for folder in [store.content_folder(), store.temporary_folder()] {
            std::fs::create_dir_all(folder).map_err(BlobError::storage("make a folder"))?;
        }
        store.remove_temporary_files()?;
        Ok(store)
    }

    /// Stores all bytes of `reader`, at most `limit`. Bytes that are stored already are stored
    /// once.
    pub async fn put(
        &self,
        reader: impl AsyncRead + Send,
        limit: Option<u64>,
    ) -> Result<Blob, BlobError> {
        let store = self.clone();
        let draft = self.with_files(move || store.draft(limit)).await?;
        let draft = self.fill(draft, reader).await?;
        let sealed = self.with_files(move || draft.seal()).await?;
        self.keep(sealed).await
    }

    /// Stores a few bytes.
    pub async fn put_bytes(&self, bytes: impl Into<bytes::Bytes>) -> Result<Blob, BlobError> {
        self.put(std::io::Cursor::new(bytes.into()), None).await
    }

    /// Starts a blob that a blocking thread writes; [`Blobs::keep`] ends it.
    pub fn draft(&self, limit: Option<u64>) -> Result<Draft, BlobError> {
        Draft::create(&self.temporary_folder(), limit)
    }

    /// Starts a blob that is written out of order.
    fn scratch(&self) -> Result<draft::Scratch, BlobError> {
        draft::Scratch::create(&self.temporary_folder())
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Puts a sealed draft in place and lists it.
    pub async fn keep(&self, sealed: Sealed) -> Result<Blob, BlobError> {
        let place = self.0.gate.clone().read_owned().await;
        let target = self.path(&sealed.blob().digest);
        let moved = self.with_files(move || Ok::<_, BlobError>((sealed.move_to(&target)?, place)));
        let (blob, place) = moved.await?;
        let now = self.now();
        let listed = blob.clone();
        let write = move |tx: &crate::db::WriteTx<'_>| {
            store::insert(tx, &listed, now)?;
            drop(place);
            Ok::<_, BlobError>(())
        };
        self.0.db.write_without_wake(write).await?;
        Ok(blob)
    }

    /// The blob's bytes, when it is there.
    pub async fn read(&self, digest: &Digest) -> Result<Option<tokio::fs::File>, BlobError> {
        match tokio::fs::File::open(self.path(digest)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::storage("open a blob")(error)),
        }
    }

    /// Where the blob is or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.content_folder().join(&hex[..2]).join(hex)
    }

    /// The listed blob of this name.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Blob>, BlobError> {
        let digest = digest.clone();
        let found = self.0.db.read(move |tx| store::find(tx, &digest)).await?;
        Ok(found)
    }

    /// Appends all bytes of `reader`; the next chunk is read while the one before is written.
    async fn fill(&self, draft: Draft, reader: impl AsyncRead + Send) -> Result<Draft, BlobError> {
        let mut reader = pin!(reader);
        let mut draft = draft;
        let mut chunk = pipe::next_chunk(&mut reader)
            .await
            .map_err(BlobError::Source)?;
        while !chunk.is_empty() {
            let written = self.with_files(move || {
                draft.append(&chunk)?;
                Ok::<_, BlobError>(draft)
            });
            let (written, next) = tokio::join!(written, pipe::next_chunk(&mut reader));
            draft = written?;
            chunk = next.map_err(BlobError::Source)?;
        }
        Ok(draft)
    }

    fn content_folder(&self) -> PathBuf {
        self.0.root.join("sha256")
    }

    fn temporary_folder(&self) -> PathBuf {
        self.0.root.join("tmp")
    }
}

#[cfg(test)]
mod tests;
