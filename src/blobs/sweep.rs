//! Garbage collection of blobs.

use std::fs::DirEntry;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::base::Timestamp;
use crate::db::{DbError, WriteTx};

use super::{Blob, BlobError, Blobs, Digest, UploadId, resources, store};

/// How long an unreferenced blob is kept.
const GRACE: Duration = Duration::from_secs(3600);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Unreferenced blobs.
    pub blobs: u64,
    /// Their total bytes.
    pub bytes: u64,
    /// Files without a row: a process died between rename and listing.
    pub unlisted: u64,
}

/// What a collection of a cache removed: copies that went because all of them took up too much
/// space, and blobs that nothing needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Collected<C> {
    /// The copies.
    pub evicted: Vec<C>,
    /// Blobs whose bytes went.
    pub blobs: u64,
    /// How many bytes that were.
    pub bytes: u64,
}

impl<C> Collected<C> {
    fn new(evicted: Vec<C>, swept: Swept) -> Self {
        Self {
            evicted,
            blobs: swept.blobs,
            bytes: swept.bytes,
        }
    }
}

/// Ends the transaction of a preview.
enum Stop<C> {
    Preview(Collected<C>),
    Failed(DbError),
}

impl<C> From<DbError> for Stop<C> {
    fn from(error: DbError) -> Self {
        Self::Failed(error)
    }
}

/// What [`Blobs::sweep`] would remove at `now`. It removes their rows: the transaction must be
/// undone.
fn unneeded(tx: &WriteTx<'_>, now: Timestamp) -> Result<Swept, DbError> {
    resources::forget(tx, minus(now, resources::LIFETIME))?;
    let removed = store::remove_unreferenced(tx, minus(now, GRACE))?;
    Ok(swept(&removed))
}

fn swept(removed: &[Blob]) -> Swept {
    Swept {
        blobs: removed.len() as u64,
        bytes: removed.iter().map(|blob| blob.size).sum(),
        unlisted: 0,
    }
}

impl Blobs {
    /// Sweeps after copies were evicted.
    pub async fn collect<C>(&self, evicted: Vec<C>) -> Result<Collected<C>, BlobError> {
        let swept = self.sweep().await?;
        Ok(Collected::new(evicted, swept))
    }

    /// What the eviction of copies and a sweep after it would remove now; nothing is removed.
    pub async fn preview<C: Send + 'static>(
        &self,
        evict: impl FnOnce(&WriteTx<'_>) -> Result<Vec<C>, DbError> + Send + 'static,
    ) -> Result<Collected<C>, DbError> {
        let now = self.0.clock.now();
        let preview = self.0.db.write_without_wake(move |tx| {
            let evicted = evict(tx)?;
            let swept = unneeded(tx, now)?;
            // The error undoes everything.
            Err::<(), _>(Stop::Preview(Collected::new(evicted, swept)))
        });
        match preview.await {
            Ok(()) => Ok(Collected::new(Vec::new(), Swept::default())),
            Err(Stop::Preview(collected)) => Ok(collected),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Forgets package files that were not used for a month, removes blobs without a reference or
    /// put for an hour, and unlisted files. Idempotent and crash-safe: rows are deleted first,
    /// which makes their files unlisted.
    pub async fn sweep(&self) -> Result<Swept, BlobError> {
        let now = self.0.clock.now();
        let before = minus(now, GRACE);
        // No put may store a file between the removal of its row and of its file.
        let exclusive = self.0.sweep_lock.clone().write_owned().await;
        let removed = self
            .0
            .db
            .write_without_wake(move |tx| {
                resources::forget(tx, minus(now, resources::LIFETIME))?;
                store::remove_unreferenced(tx, before)
            })
            .await?;
        let mut swept = swept(&removed);
        let paths: Vec<_> = removed.iter().map(|blob| self.path(&blob.digest)).collect();
        let blobs = self.clone();
        let listed = self.with_files(move || {
            for path in paths {
                remove(&path)?;
            }
            blobs.files_older_than(before)
        });
        let candidates = listed.await?;
        let unlisted = self
            .0
            .db
            .read(move |tx| {
                let mut unlisted = Vec::new();
                for digest in candidates {
                    if store::find(tx, &digest)?.is_none() {
                        unlisted.push(digest);
                    }
                }
                Ok::<_, DbError>(unlisted)
            })
            .await?;
        swept.unlisted = unlisted.len() as u64;
        let blobs = self.clone();
        self.with_files(move || {
            let _exclusive = exclusive;
            unlisted
                .iter()
                .try_for_each(|digest| remove(&blobs.path(digest)))
        })
        .await?;
        Ok(swept)
    }

    pub(super) fn remove_temporary_files(&self) -> Result<(), BlobError> {
        for entry in list(&self.temporary_folder())? {
            remove(&entry.path())?;
        }
        Ok(())
    }

    fn files_older_than(&self, before: Timestamp) -> Result<Vec<Digest>, BlobError> {
        let mut found = Vec::new();
        for folder in list(&self.content_folder())? {
            for file in list(&folder.path())? {
                let name = format!("sha256:{}", file.file_name().to_string_lossy());
                if let Ok(digest) = Digest::parse(&name)
                    && written_at(&file)? < before
                {
                    found.push(digest);
                }
            }
        }
        Ok(found)
    }
}

impl Blobs {
    /// Uploads without a write since `before`.
    pub async fn uploads_older_than(&self, before: Timestamp) -> Result<Vec<UploadId>, BlobError> {
        let folder = self.uploads_folder();
        self.with_files(move || {
            let mut found = Vec::new();
            for file in list(&folder)? {
                if let Some(id) = UploadId::parse(&file.file_name().to_string_lossy())
                    && written_at(&file)? < before
                {
                    found.push(id);
                }
            }
            Ok(found)
        })
        .await
    }
}

fn minus(now: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

fn list(folder: &Path) -> Result<Vec<DirEntry>, BlobError> {
    std::fs::read_dir(folder)
        .and_then(Iterator::collect)
        .map_err(BlobError::storage("list a folder"))
}

fn remove(path: &Path) -> Result<(), BlobError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BlobError::storage("remove a file")(error))
        }
        _ => Ok(()),
    }
}

fn written_at(file: &DirEntry) -> Result<Timestamp, BlobError> {
    let modified = file
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(BlobError::storage("read the metadata of a file"))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_micros(micros))
}
