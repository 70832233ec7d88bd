//! Builds the final package: the upload, completed with files of earlier pushes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::check::{open, read_checked};
use super::{MatchedFile, ZipEntryKind, ZipError, ZipLimits};
use crate::blobs::draft::Scratch;
use crate::blobs::safe_path::{folders, safe_path};
use crate::blobs::{Blob, BlobError, Blobs, Digest, Sealed};

/// A file to add.
struct Addition {
    source: PathBuf,
    mode: u32,
}

type Additions = BTreeMap<String, Addition>;

impl Blobs {
    /// Builds the package from an uploaded zip (if any) and stored files. A stored file replaces an
    /// uploaded one with the same path.
    ///
    /// Deterministic: the same input gives the same blob. Nothing is kept on failure.
    pub async fn merge_zip(
        &self,
        upload: Option<&Digest>,
        matched: Vec<MatchedFile>,
        limits: ZipLimits,
    ) -> Result<Blob, ZipError> {
        let store = self.clone();
        let upload = upload.map(|digest| self.path(digest));
        let written = self.with_archive(move || write(&store, upload, matched, limits));
        let sealed = written.await?;
        Ok(self.keep(sealed).await?)
    }
}

fn write(
    store: &Blobs,
    upload: Option<PathBuf>,
    matched: Vec<MatchedFile>,
    limits: ZipLimits,
) -> Result<Sealed, ZipError> {
    let (additions, mut size) = additions(store, matched, limits)?;
    let mut package = ZipWriter::new(BufWriter::new(store.scratch()?));
    if let Some(path) = upload {
        size += copy_upload(&mut package, &path, &additions, limits)?;
    }
    if size > limits.unpacked {
        let limit = limits.unpacked;
        return Err(ZipError::TooLarge { limit });
    }
    for (path, addition) in &additions {
        add(&mut package, path, addition)?;
    }
    let scratch = package.finish()?.into_inner().map_err(io::Error::from)?;
    Ok(scratch.seal()?)
}

/// The stored files by path, and their total size.
fn additions(
    store: &Blobs,
    matched: Vec<MatchedFile>,
    limits: ZipLimits,
) -> Result<(Additions, u64), ZipError> {
    if matched.len() > limits.entries {
        let limit = limits.entries;
        return Err(ZipError::TooMany { limit });
    }
    let mut additions = BTreeMap::new();
    let mut size = 0;
    for file in matched {
        let path = safe_path(&file.path).ok_or_else(|| ZipError::UnsafePath(file.path.clone()))?;
        let source = store.path(&file.digest);
        size += match std::fs::metadata(&source) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ZipError::ResourceGone(file.path));
            }
            Err(error) => {
                return Err(BlobError::storage("read the metadata of a blob")(error).into());
            }
        };
        let mode = file.mode & 0o777;
        additions.insert(path, Addition { source, mode });
    }
    for path in additions.keys() {
        if folders(path).any(|folder| additions.contains_key(folder)) {
            return Err(ZipError::Conflict(path.clone()));
        }
    }
    Ok((additions, size))
}

/// Copies the checked entries without repacking and returns their unpacked size.
fn copy_upload(
    package: &mut ZipWriter<BufWriter<Scratch>>,
    path: &std::path::Path,
    additions: &Additions,
    limits: ZipLimits,
) -> Result<u64, ZipError> {
    let mut archive = open(path)?;
    let entries = read_checked(&mut archive, limits)?;
    let mut size = 0;
    for (index, entry) in entries.into_iter().enumerate() {
        if entry.kind == ZipEntryKind::Folder || additions.contains_key(&entry.path) {
            continue;
        }
        let below = |addition: &String| folders(addition).any(|folder| folder == entry.path);
        let next = format!("{}/", entry.path);
        let follower = additions.range(next..).next().map(|(path, _)| path);
        if folders(&entry.path).any(|folder| additions.contains_key(folder))
            || follower.is_some_and(below)
        {
            return Err(ZipError::Conflict(entry.path));
        }
        if let ZipEntryKind::File { size: bytes, .. } = entry.kind {
            size += bytes;
        }
        let file = archive.by_index_raw(index)?;
        if file.name()? == entry.path {
            package.raw_copy_file(file)?;
        } else {
            package.raw_copy_file_rename(file, &entry.path)?;
        }
    }
    Ok(size)
}

/// Stored without compression: it is read once, on this machine, soon after.
fn add(
    package: &mut ZipWriter<BufWriter<Scratch>>,
    path: &str,
    addition: &Addition,
) -> Result<(), ZipError> {
    let mut source = File::open(&addition.source).map_err(BlobError::storage("open a blob"))?;
    let length = source
        .metadata()
        .map_err(BlobError::storage("read the metadata of a blob"))?
        .len();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(addition.mode)
        .large_file(length >= u64::from(u32::MAX));
    package.start_file(path, options)?;
    io::copy(&mut source, package)?;
    Ok(())
}
