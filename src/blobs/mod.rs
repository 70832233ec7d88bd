//! The content-addressed store of large files: packages, droplets, buildpacks, build caches and the
//! layers of the registry.
//!
//! A blob is stored at `sha256/<2 digits>/<64 digits>` in the store's folder and is immutable. It
//! is written to a temporary file while it is hashed, synced, renamed into place and then listed in
//! the table `blobs`. Rows that need a blob add a row to `blob_references` ([`reference()`])
//! in the same transaction.
//!
//! Invariants:
//! - A listed blob is complete on disk. A crash before the rename leaves a temporary file, which
//!   the next [`Blobs::open`] removes; a crash before the listing leaves a file that
//!   [`Blobs::sweep`] removes.
//! - A new blob is kept for an hour without a reference, so that the caller can write its row;
//!   putting the same bytes again restarts that hour.
//! - A sweep never removes a file during a put: they exclude each other. Readers keep files they
//!   have open.
//!
//! Decisions: hashing and writing run on blocking threads, one chunk at a time, so memory use is
//! constant, async threads only move bytes, and no thread waits for the network: a stalled client
//! holds a temporary file and nothing else. Uploads that a client sends in pieces outlive their
//! connections and the process ([`upload`]). The same holds for archives created while a client
//! reads them ([`spool`]). Sources and sinks on this machine (Docker, files) may hold a thread
//! ([`Blobs::consume`], [`Blobs::produce`]). Blocking work is queued in three queues ([`work`]) by
//! cost, so that neither large archives nor streams delay short work.

mod claim;
mod digest;
mod draft;
mod droplet;
mod error;
mod growing;
mod pipe;
pub mod resources;
mod safe_path;
mod sha1;
mod sha512;
mod spool;
mod store;
mod sweep;
mod upload;
mod work;
pub mod zip;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio::sync::RwLock;

use crate::base::{Clock, Timestamp};
use crate::db::Db;

pub use claim::UploadId;
pub use digest::{Digest, InvalidDigest};
pub use draft::{Draft, Sealed};
pub use droplet::LayerError;
pub use error::BlobError;
pub use growing::{Grower, Growing};
pub use pipe::{PipeReader, PipeWriter};
pub use sha512::Sha512Digest;
pub use store::{
    keep_referenced, reference, referenced, release, release_kind, release_one, touch,
};
pub use sweep::{Collected, Swept};
pub use upload::{Piece, ResumeError, Upload};

/// The folder of blobs in a store.
const CONTENT: &str = "sha256";

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    db: Db,
    clock: Arc<dyn Clock>,
    /// Held shared while storing blobs, exclusively by the sweep.
    sweep_lock: Arc<RwLock<()>>,
    queues: work::Queues,
    uploads: Arc<claim::Uploads>,
}

impl Blobs {
    /// Opens or creates the store in the folder `root`, which this process must own exclusively,
    /// and removes temporary files of an earlier process.
    pub fn open(root: &Path, db: Db, clock: Arc<dyn Clock>) -> Result<Self, BlobError> {
        let store = Self(Arc::new(Inner {
            root: root.to_owned(),
            db,
            clock,
            sweep_lock: Arc::new(RwLock::new(())),
            queues: work::Queues::new(),
            uploads: Arc::default(),
        }));
        let folders = [
            store.content_folder(),
            store.temporary_folder(),
            store.uploads_folder(),
        ];
        for folder in folders {
            std::fs::create_dir_all(folder).map_err(BlobError::storage("create a folder"))?;
        }
        store.remove_temporary_files()?;
        Ok(store)
    }

    /// Stores all bytes of `reader`, at most `limit`. Equal content is stored once.
    pub async fn put(
        &self,
        reader: impl AsyncRead + Send,
        limit: Option<u64>,
    ) -> Result<Blob, BlobError> {
        let store = self.clone();
        let draft = self.with_files(move || store.draft(limit)).await?;
        let draft = self.fill(draft, reader, |_| ()).await?;
        let sealed = self.with_files(move || draft.seal()).await?;
        self.keep(sealed).await
    }

    /// Stores the bytes of `reader` if they are the blob that is expected. `grown` gets the file and
    /// the number of its bytes whenever it grows; it is read with [`Blobs::read_part`].
    pub async fn put_expected(
        &self,
        reader: impl AsyncRead + Send,
        expected: &Blob,
        grown: impl Fn(&Arc<File>, u64) + Send + Sync,
    ) -> Result<(), BlobError> {
        let blob = expected.clone();
        let check = move |sealed: &Sealed| match sealed.blob() {
            found if *found == blob => Ok(()),
            found => Err(BlobError::WrongDigest {
                expected: blob.digest,
                received: found.digest.clone(),
            }),
        };
        let stored = self.put_checked(reader, expected.size, grown, check);
        stored.await.map(drop)
    }

    /// Stores the bytes of `reader`, at most `limit`, if they pass a check.
    pub async fn put_checked(
        &self,
        reader: impl AsyncRead + Send,
        limit: u64,
        grown: impl Fn(&Arc<File>, u64) + Send + Sync,
        check: impl FnOnce(&Sealed) -> Result<(), BlobError> + Send + 'static,
    ) -> Result<Blob, BlobError> {
        let store = self.clone();
        let draft = self.with_files(move || store.draft(Some(limit))).await?;
        let file = Arc::new(draft.share()?);
        let draft = self.fill(draft, reader, |size| grown(&file, size)).await?;
        let sealed = self.with_files(move || {
            let sealed = draft.seal()?;
            check(&sealed)?;
            Ok::<_, BlobError>(sealed)
        });
        self.keep(sealed.await?).await
    }

    /// Stores bytes from memory.
    pub async fn put_bytes(&self, bytes: impl Into<Bytes>) -> Result<Blob, BlobError> {
        self.put(std::io::Cursor::new(bytes.into()), None).await
    }

    /// Starts a blob that a blocking thread writes; [`Blobs::keep`] stores it.
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

    /// Moves a sealed draft into the store and lists it.
    pub async fn keep(&self, sealed: Sealed) -> Result<Blob, BlobError> {
        let permit = self.0.sweep_lock.clone().read_owned().await;
        let target = self.path(&sealed.blob().digest);
        let moved = self.with_files(move || Ok::<_, BlobError>((sealed.move_to(&target)?, permit)));
        let (blob, permit) = moved.await?;
        let now = self.now();
        let listed = blob.clone();
        let write = move |tx: &crate::db::WriteTx<'_>| {
            store::insert(tx, &listed, now)?;
            drop(permit);
            Ok::<_, BlobError>(())
        };
        self.0.db.write_without_wake(write).await?;
        Ok(blob)
    }

    /// Opens the blob's file, if it exists.
    pub async fn read(&self, digest: &Digest) -> Result<Option<tokio::fs::File>, BlobError> {
        match tokio::fs::File::open(self.path(digest)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::storage("open a blob")(error)),
        }
    }

    /// Bytes of a file that is still written to; they must have been written.
    pub async fn read_part(
        &self,
        file: Arc<File>,
        first: u64,
        length: usize,
    ) -> Result<Bytes, BlobError> {
        self.with_files(move || {
            let mut part = BytesMut::zeroed(length);
            file.read_exact_at(&mut part, first)
                .map_err(BlobError::storage("read a temporary file"))?;
            Ok(part.freeze())
        })
        .await
    }

    /// The path of the blob, which may not exist.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        path_in(&self.0.root, digest)
    }

    /// The listed blob with this digest.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Blob>, BlobError> {
        let digest = digest.clone();
        let found = self.0.db.read(move |tx| store::find(tx, &digest)).await?;
        Ok(found)
    }

    /// The listed blob with this digest; it is kept for another hour without a reference.
    pub async fn renew(&self, digest: &Digest) -> Result<Option<Blob>, BlobError> {
        let (digest, now) = (digest.clone(), self.now());
        let write = move |tx: &crate::db::WriteTx<'_>| store::renew(tx, &digest, now);
        Ok(self.0.db.write_without_wake(write).await?)
    }

    /// Appends all bytes of `reader`; the next chunk is read while the previous one is written.
    async fn fill(
        &self,
        draft: Draft,
        reader: impl AsyncRead + Send,
        grown: impl Fn(u64) + Send + Sync,
    ) -> Result<Draft, BlobError> {
        let mut reader = pin!(reader);
        let mut draft = draft;
        let mut chunk = pipe::next_chunk(&mut reader)
            .await
            .map_err(BlobError::Source)?;
        while !chunk.is_empty() {
            let written = async {
                let draft = self.with_files(move || {
                    draft.append(&chunk)?;
                    Ok::<_, BlobError>(draft)
                });
                let draft = draft.await?;
                // Readers need not wait for the next chunk.
                grown(draft.size());
                Ok::<_, BlobError>(draft)
            };
            let (written, next) = tokio::join!(written, pipe::next_chunk(&mut reader));
            draft = written?;
            chunk = next.map_err(BlobError::Source)?;
        }
        Ok(draft)
    }

    fn content_folder(&self) -> PathBuf {
        self.0.root.join(CONTENT)
    }

    fn uploads_folder(&self) -> PathBuf {
        self.0.root.join("uploads")
    }

    fn upload_path(&self, id: &UploadId) -> PathBuf {
        self.uploads_folder().join(id.as_str())
    }

    fn temporary_folder(&self) -> PathBuf {
        self.0.root.join("tmp")
    }
}

/// The path of a blob in the store at `root`, which may not have it.
pub fn path_in(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    root.join(CONTENT).join(&hex[..2]).join(hex)
}

#[cfg(test)]
mod tests;
