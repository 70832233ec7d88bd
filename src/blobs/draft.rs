//! A blob that is being written: a temporary file and the hash of what went into it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Blob, BlobError, Digest};

/// A growing blob for synchronous writers. Dropped, it leaves nothing behind; sealed and given to
/// [`super::Blobs::keep`], it becomes a blob.
pub struct Draft {
    file: File,
    temporary: Temporary,
    hasher: Sha256,
    size: u64,
    limit: Option<u64>,
}

/// A whole, synced draft that is not in the store yet.
pub struct Sealed {
    blob: Blob,
    temporary: Temporary,
}

/// A growing blob that is written out of order, as zip files are: it is hashed at the end.
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
            .map_err(BlobError::storage("make a temporary file"))?;
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

    /// Ends the writing: all bytes are on disk after this.
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

    /// Ends the writing; see [`Draft::seal`].
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
        })
    }
}

/// Faults of the disk keep their name on the way through the zip writer.
fn named<T>(result: io::Result<T>) -> io::Result<T> {
    Ok(result.map_err(BlobError::storage("write a temporary file"))?)
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        named(self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        named(self.file.flush())
    }
}

impl Seek for Scratch {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        named(self.file.seek(to))
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
    /// What the blob will be.
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
        let made = !folder.exists();
        std::fs::create_dir_all(folder).map_err(BlobError::storage("make a folder"))?;
        if made && let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        if let Some(path) = &self.temporary.0 {
            std::fs::rename(path, target).map_err(BlobError::storage("put a file in place"))?;
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
            tracing::warn!(path = %path.display(), %error, "a temporary file stays until the next start");
        }
    }
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(BlobError::storage("sync a folder"))
}
