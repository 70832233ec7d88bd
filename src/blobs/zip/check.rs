//! Validates zips.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use ::zip::ZipArchive;
use ::zip::read::ZipFile;

use super::{ZipEntry, ZipEntryKind, ZipError, ZipLimits};
use crate::blobs::safe_path::{folders, safe_path};
use crate::blobs::sha1::Sha1Writer;
use crate::blobs::{BlobError, Blobs, Digest};

/// The maximum compression ratio. Deflate reaches 1032 on zeros; real packages stay below 20.
const MAX_RATIO: u64 = 200;
/// Below this size the ratio is not checked.
const MIN_BOMB_SIZE: u64 = 64 * 1024 * 1024;
const MAX_LINK: u64 = 4096;

const TYPE: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

pub(in crate::blobs) type Archive = ZipArchive<BufReader<File>>;

impl Blobs {
    /// The entries of a stored zip, after reading and validating all of it.
    pub async fn zip_entries(
        &self,
        zip: &Digest,
        limits: ZipLimits,
    ) -> Result<Vec<ZipEntry>, ZipError> {
        let path = self.path(zip);
        self.with_archive(move || read_checked(&mut open(&path)?, limits))
            .await
    }
}

/// Opens a zip file.
pub(in crate::blobs) fn open(path: &std::path::Path) -> Result<Archive, ZipError> {
    let file = File::open(path).map_err(BlobError::storage("open a package"))?;
    Ok(ZipArchive::new(BufReader::new(file))?)
}

/// Reads all entries, in the zip's order.
pub(in crate::blobs) fn read_checked(
    archive: &mut Archive,
    limits: ZipLimits,
) -> Result<Vec<ZipEntry>, ZipError> {
    if archive.len() > limits.entries {
        let limit = limits.entries;
        return Err(ZipError::TooMany { limit });
    }
    if archive.has_duplicate_names() || archive.has_overlapping_files()? {
        let reason = "entries with the same name or the same bytes";
        return Err(ZipError::Invalid(reason.to_owned()));
    }
    let mut entries = Vec::with_capacity(archive.len());
    let mut unpacked = 0;
    let mut packed = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        packed += file.compressed_size();
        let entry = read_entry(&mut file, limits.unpacked - unpacked, limits)?;
        if let ZipEntryKind::File { size, .. } = entry.kind {
            unpacked += size;
        }
        if is_bomb(packed, unpacked) {
            let limit = MAX_RATIO;
            return Err(ZipError::Bomb { limit });
        }
        entries.push(entry);
    }
    find_conflict(&entries)?;
    Ok(entries)
}

fn is_bomb(packed: u64, unpacked: u64) -> bool {
    unpacked > MIN_BOMB_SIZE && unpacked / MAX_RATIO > packed
}

fn read_entry(
    file: &mut ZipFile<'_, impl Read>,
    remaining: u64,
    limits: ZipLimits,
) -> Result<ZipEntry, ZipError> {
    let name = file.name()?.into_owned();
    let path = safe_path(&name).ok_or_else(|| ZipError::UnsafePath(name.clone()))?;
    let folder = file.is_dir();
    let mode = file.unix_mode().filter(|mode| *mode != 0);
    let mode = mode.unwrap_or(if folder { FOLDER | 0o755 } else { FILE | 0o644 });
    let kind = match mode & TYPE {
        _ if folder => ZipEntryKind::Folder,
        FOLDER => ZipEntryKind::Folder,
        LINK => ZipEntryKind::Link {
            target: link_target(file, &path)?,
        },
        FILE | 0 => {
            let limit = limits.unpacked;
            if file.size() > remaining {
                return Err(ZipError::TooLarge { limit });
            }
            content(file, &path)?
        }
        _ => return Err(ZipError::SpecialFile(path)),
    };
    let mode = mode & 0o777;
    Ok(ZipEntry { path, kind, mode })
}

/// Reads the whole file, which checks its size and checksum.
fn content(file: &mut ZipFile<'_, impl Read>, path: &str) -> Result<ZipEntryKind, ZipError> {
    let size = file.size();
    let mut sha1 = Sha1Writer::new(io::sink());
    let count = io::copy(&mut file.take(size.saturating_add(1)), &mut sha1)?;
    sha1.flush()?;
    if count != size {
        return Err(ZipError::Invalid(format!(
            "'{path}' has another size than it says"
        )));
    }
    let sha1 = sha1.finish().1;
    Ok(ZipEntryKind::File { size, sha1 })
}

fn link_target(file: &mut ZipFile<'_, impl Read>, path: &str) -> Result<String, ZipError> {
    let mut target = Vec::new();
    file.take(MAX_LINK + 1).read_to_end(&mut target)?;
    match String::from_utf8(target) {
        Ok(target) if !target.is_empty() && target.len() as u64 <= MAX_LINK => Ok(target),
        _ => Err(ZipError::Invalid(format!("'{path}' is a broken link"))),
    }
}

/// Checks for duplicate paths, and for entries below a file or link.
fn find_conflict(entries: &[ZipEntry]) -> Result<(), ZipError> {
    let mut places = HashMap::with_capacity(entries.len());
    for entry in entries {
        if places.insert(entry.path.as_str(), &entry.kind).is_some() {
            return Err(ZipError::Conflict(entry.path.clone()));
        }
    }
    for entry in entries {
        let blocked = folders(&entry.path)
            .filter_map(|folder| places.get(folder))
            .any(|kind| !matches!(kind, ZipEntryKind::Folder));
        if blocked {
            return Err(ZipError::Conflict(entry.path.clone()));
        }
    }
    Ok(())
}

/// Whether any folder among the entries is empty.
pub fn has_empty_folders(entries: &[ZipEntry]) -> bool {
    let used: HashSet<&str> = entries
        .iter()
        .flat_map(|entry| folders(&entry.path))
        .collect();
    let mut all = entries
        .iter()
        .filter(|entry| entry.kind == ZipEntryKind::Folder);
    all.any(|folder| !used.contains(folder.path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_entries_are_empty() {
        let entry = |path: &str, kind: ZipEntryKind| ZipEntry {
            path: path.to_owned(),
            kind,
            mode: 0o755,
        };
        let link = || ZipEntryKind::Link {
            target: "x".to_owned(),
        };
        let mut entries = vec![entry("a", ZipEntryKind::Folder), entry("a/b", link())];
        assert!(!has_empty_folders(&entries));
        entries.push(entry("a/c", ZipEntryKind::Folder));
        assert!(has_empty_folders(&entries));
    }

    #[test]
    fn only_large_zips_with_a_high_ratio_are_bombs() {
        const MIB: u64 = 1024 * 1024;
        for (packed, unpacked, bomb) in [
            (0, 0, false),
            (1, 64 * MIB, false),
            (1, 65 * MIB, true),
            (65 * MIB / 199, 65 * MIB, false),
            (65 * MIB / 201, 65 * MIB, true),
            (MIB, 1024 * MIB, true),
            (300 * MIB, 1024 * MIB, false),
        ] {
            assert_eq!(is_bomb(packed, unpacked), bomb, "{packed} -> {unpacked}");
        }
    }
}
