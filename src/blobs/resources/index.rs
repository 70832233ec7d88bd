//! Indexes the files of packages.

use std::io;

use crate::blobs::zip::{Archive, ZipEntryKind, ZipError, ZipLimits, open, read_checked};
use crate::blobs::{Blobs, Digest, Sealed};
use crate::db::DbError;

use super::{FileKey, Sha1Writer, is_matched_size, store};

impl Blobs {
    /// Indexes the files of a finished package for later pushes and returns their number. Runs in
    /// the background after the package is ready; idempotent.
    pub async fn index_package(
        &self,
        package: &Digest,
        limits: ZipLimits,
    ) -> Result<usize, ZipError> {
        let path = self.path(package);
        let work = move || {
            let mut archive = open(&path)?;
            let files = candidates(&mut archive, limits)?;
            Ok::<_, ZipError>((archive, files))
        };
        let (archive, files) = self.with_archive(work).await?;
        let keys: Vec<FileKey> = files.iter().map(|(_, key)| key.clone()).collect();
        let known = self
            .db()
            .read({
                let keys = keys.clone();
                move |tx| store::match_resources(tx, &keys)
            })
            .await?;
        let new: Vec<(usize, FileKey)> = files
            .into_iter()
            .zip(known)
            .filter_map(|(file, known)| known.is_none().then_some(file))
            .collect();
        let blobs = self.clone();
        let unpacked = self.with_archive(move || unpack(&blobs, archive, new));
        let unpacked = unpacked.await?;
        let mut stored = Vec::with_capacity(unpacked.len());
        for (key, sealed) in unpacked {
            stored.push((key, self.keep(sealed).await?.digest));
        }
        let now = self.now();
        let count = keys.len();
        self.db()
            .write_without_wake(move |tx| {
                store::touch(tx, &keys, now)?;
                for (key, digest) in &stored {
                    store::insert(tx, key, digest, now)?;
                }
                Ok::<_, DbError>(())
            })
            .await?;
        Ok(count)
    }
}

/// The files to index with their index in the zip, each content once.
fn candidates(archive: &mut Archive, limits: ZipLimits) -> Result<Vec<(usize, FileKey)>, ZipError> {
    let mut files: Vec<(usize, FileKey)> = Vec::new();
    for (index, entry) in read_checked(archive, limits)?.into_iter().enumerate() {
        if let ZipEntryKind::File { size, sha1 } = entry.kind
            && is_matched_size(size)
        {
            files.push((index, FileKey { sha1, size }));
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    files.dedup_by(|a, b| a.1 == b.1);
    Ok(files)
}

fn unpack(
    blobs: &Blobs,
    mut archive: Archive,
    files: Vec<(usize, FileKey)>,
) -> Result<Vec<(FileKey, Sealed)>, ZipError> {
    let mut unpacked = Vec::with_capacity(files.len());
    for (index, key) in files {
        let mut draft = Sha1Writer::new(blobs.draft(Some(key.size))?);
        io::copy(&mut archive.by_index(index)?, &mut draft)?;
        let (draft, sha1) = draft.finish();
        if sha1 == key.sha1 {
            unpacked.push((key, draft.seal()?));
        }
    }
    Ok(unpacked)
}
