//! Package zips uploaded by users: validated before they are unpacked, and completed with files of
//! earlier pushes.
//!
//! Nothing is unpacked to disk. Every entry is decompressed once to check that it is complete and
//! has its declared size; the final zip is rebuilt from the checked entries, which drops any data
//! that a crafted upload hid between them.
//!
//! As with Cloud Controller, the final package has no entries for folders: an empty folder does not
//! survive a push. Symbolic links are kept, wherever they point (apps link their logs to
//! `/dev/stdout`); but no entry may be below a link.

mod check;
mod merge;
mod peek;
#[cfg(test)]
mod tests;

use std::io;

use crate::db::DbError;

use super::sha1::Sha1;
use super::{BlobError, Digest};

pub use check::has_empty_folders;
pub(super) use check::{Archive, open, read_checked};

/// Limits of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZipLimits {
    /// Bytes of all files together, unpacked.
    pub unpacked: u64,
    /// Number of entries.
    pub entries: usize,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self {
            unpacked: 1024 * 1024 * 1024,
            entries: 250_000,
        }
    }
}

/// An entry of a checked zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipEntry {
    /// Relative path that stays inside.
    pub path: String,
    /// Its kind.
    pub kind: ZipEntryKind,
    /// Permission bits.
    pub mode: u32,
}

/// The kind of a zip entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZipEntryKind {
    /// A file.
    File {
        /// Unpacked bytes.
        size: u64,
        /// Of the content.
        sha1: Sha1,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// Where it points.
        target: String,
    },
}

/// A file of an earlier push to add to a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedFile {
    /// Its path.
    pub path: String,
    /// Its content, from [`super::resources::match_resources`].
    pub digest: Digest,
    /// Permission bits.
    pub mode: u32,
}

/// Why a package is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Not a zip, or a broken one.
    #[error("Invalid zip archive: {0}")]
    Invalid(String),
    /// A path that leaves the package.
    #[error("File path '{0}' is not safe.")]
    UnsafePath(String),
    /// Two entries have the same path, or one is below a file or link.
    #[error("Invalid zip archive: '{0}' is there twice, or below a file or link")]
    Conflict(String),
    /// A device, pipe or socket.
    #[error("Invalid zip archive: '{0}' is neither file nor folder nor link")]
    SpecialFile(String),
    /// Too many bytes when unpacked.
    #[error("Package may not be larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Too many entries.
    #[error("Package may not hold more than {limit} files")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The compression ratio is too high.
    #[error("Invalid zip archive: it unpacks to more than {limit} times its size")]
    Bomb {
        /// The limit.
        limit: u64,
    },
    /// A file of an earlier push is no longer stored: the client has to upload it.
    #[error("'{0}' is not stored here any more: push again")]
    ResourceGone(String),
    /// The store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl From<DbError> for ZipError {
    fn from(error: DbError) -> Self {
        Self::Blob(error.into())
    }
}

impl From<::zip::result::ZipError> for ZipError {
    fn from(error: ::zip::result::ZipError) -> Self {
        match error {
            ::zip::result::ZipError::Io(error) => error.into(),
            other => Self::Invalid(other.to_string()),
        }
    }
}

/// The zip crate also reports broken content as I/O errors; errors of our disk carry a
/// [`BlobError`].
impl From<io::Error> for ZipError {
    fn from(error: io::Error) -> Self {
        match BlobError::from_io(error) {
            BlobError::Source(error) => Self::Invalid(error.to_string()),
            other => Self::Blob(other),
        }
    }
}
