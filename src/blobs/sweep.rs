//! Removing what nobody needs.

use std::fs::DirEntry;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::base::Timestamp;
use crate::db::DbError;

use super::{BlobError, Blobs, Digest, resources, store};

/// How long a blob lives without a reference.
const GRACE: Duration = Duration::from_secs(3600);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs nobody referenced.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that no row names: a process died between rename and listing.
    pub unlisted: u64,
}

impl Blobs {
    /// Forgets files of packages that were not used for a month, removes blobs that nobody
    /// references and nobody put for an hour, and files which are not listed. Safe to repeat and safe to die in: rows go first, and what they named is unlisted
    /// then.
    pub async fn sweep(&self) -> Result<Swept, BlobError> {
        let now = self.0.clock.now();
        let before = minus(now, GRACE);
        // Nobody may put a file back between the removal of its row and that of its file.
        let alone = self.0.gate.clone().write_owned().await;
        let removed = self
            .0
            .db
            .write_without_wake(move |tx| {
                resources::forget(tx, minus(now, resources::LIFETIME))?;
                store::remove_unreferenced(tx, before)
            })
            .await?;
        let mut swept = Swept::default();
        for blob in &removed {
            swept.blobs += 1;
            swept.bytes += blob.size;
        }
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
            let _alone = alone;
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
        .map_err(BlobError::storage("look at a file"))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_micros(micros))
}
