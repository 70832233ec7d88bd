//! A blob being written: a temporary file and the hash of its content.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::claim::Claim;
use super::{Blob, BlobError, Digest};

/// A blob being written by a synchronous writer. Dropping it removes its file; sealing it and
/// passing it to [`super::Blobs::keep`] stores the blob.
pub struct Draft {
    file: File,
    temporary: Temporary,
    hasher: Sha256,
    size: u64,
    limit: Option<u64>,
}

/// A complete, synced draft that is not in the store yet.
pub struct Sealed {
    blob: Blob,
    temporary: Temporary,
    /// Nobody else may write to the file until it was moved or removed.
    _claim: Option<Box<Claim>>,
}

/// A blob being written out of order, such as a zip file: it is hashed at the end.
pub(super) struct Scratch {
    file: File,
    temporary: Temporary,
}

/// A file that is removed unless it was moved away.
pub(super) struct Temporary(Option<PathBuf>);

impl Temporary {
    pub(super) fn create(folder: &Path) -> Result<(File, Self), BlobError> {
        let path = folder.join(format!("{:032x}", rand::random::<u128>()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(BlobError::storage("create a temporary file"))?;
        Ok((file, Self(Some(path))))
    }

    /// Opens the file for reading from its start.
    pub(super) fn open(&self) -> Result<File, BlobError> {
        let path = self.0.as_deref().unwrap_or(Path::new(""));
        File::open(path).map_err(BlobError::storage("read a temporary file"))
    }
}

impl Draft {
    pub(super) fn create(folder: &Path, limit: Option<u64>) -> Result<Self, BlobError> {
        let (file, temporary) = Temporary::create(folder)?;
        Ok(Self {
            file,
            temporary,
            hasher: Sha256::new(),
            size: 0,
            limit,
        })
    }

    /// Adds bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let size = self.size + bytes.len() as u64;
        if let Some(limit) = self.limit.filter(|limit| size > *limit) {
            return Err(BlobError::TooLarge { limit });
        }
        self.file
            .write_all(bytes)
            .map_err(BlobError::storage("write a temporary file"))?;
        self.hasher.update(bytes);
        self.size = size;
        Ok(())
    }

    /// The bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The file, for readers of what is written so far.
    pub(super) fn share(&self) -> Result<File, BlobError> {
        self.file
            .try_clone()
            .map_err(BlobError::storage("read a temporary file"))
    }

    /// Finishes writing: all bytes are synced to disk.
    pub fn seal(self) -> Result<Sealed, BlobError> {
        self.file
            .sync_all()
            .map_err(BlobError::storage("sync a temporary file"))?;
        Ok(Sealed {
            blob: Blob {
                digest: Digest::finish(self.hasher),
                size: self.size,
            },
            temporary: self.temporary,
            _claim: None,
        })
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scratch {
    pub(super) fn create(folder: &Path) -> Result<Self, BlobError> {
        let (file, temporary) = Temporary::create(folder)?;
        Ok(Self { file, temporary })
    }

    /// Finishes writing; see [`Draft::seal`].
    pub(super) fn seal(mut self) -> Result<Sealed, BlobError> {
        let read = BlobError::storage("read a temporary file");
        let mut hasher = Sha256::new();
        let size = self
            .file
            .rewind()
            .and_then(|()| io::copy(&mut self.file, &mut HashWriter(&mut hasher)))
            .map_err(read)?;
        self.file
            .sync_all()
            .map_err(BlobError::storage("sync a temporary file"))?;
        let digest = Digest::finish(hasher);
        Ok(Sealed {
            blob: Blob { digest, size },
            temporary: self.temporary,
            _claim: None,
        })
    }
}

/// Wraps disk errors, so that they are recognized behind the zip writer.
fn with_context<T>(result: io::Result<T>) -> io::Result<T> {
    Ok(result.map_err(BlobError::storage("write a temporary file"))?)
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        with_context(self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        with_context(self.file.flush())
    }
}

impl Seek for Scratch {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        with_context(self.file.seek(to))
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sealed {
    /// A complete upload.
    pub(super) fn of_upload(blob: Blob, path: PathBuf, claim: Option<Claim>) -> Self {
        Self {
            blob,
            temporary: Temporary(Some(path)),
            _claim: claim.map(Box::new),
        }
    }

    /// The resulting blob.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Opens the bytes for reading, before or instead of keeping them.
    pub fn open(&self) -> Result<File, BlobError> {
        self.temporary.open()
    }

    /// Moves the file to its place; durable after the folder was synced too.
    pub(super) fn move_to(mut self, target: &Path) -> Result<Blob, BlobError> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let created = !folder.exists();
        std::fs::create_dir_all(folder).map_err(BlobError::storage("create a folder"))?;
        if created && let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        if let Some(path) = &self.temporary.0 {
            std::fs::rename(path, target).map_err(BlobError::storage("rename a file"))?;
        }
        self.temporary.0 = None;
        sync_folder(folder)?;
        Ok(self.blob.clone())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "removing temporary file failed; it stays until the next start");
        }
    }
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BlobError::storage("sync a folder"))
}
