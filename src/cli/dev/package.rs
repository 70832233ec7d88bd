//! What distinguishes a folder from the package that a droplet was staged from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};

use super::super::app_folder::{AppFolder, Entry, Files, Kind};

/// The folder's files as the package has them: [`Changes::between`] this list and the folder's tells
/// what the droplet lacks.
///
/// [`Changes::between`]: super::super::app_folder::Changes::between
pub(super) fn files(package: File, folder: &AppFolder, files: &Files) -> anyhow::Result<Files> {
    let mut packed = BTreeMap::new();
    let mut zip = zip::ZipArchive::new(package)?;
    for at in 0..zip.len() {
        let entry = zip.by_index_raw(at)?;
        let name = entry.name()?;
        let name = name.trim_start_matches("./").trim_end_matches('/');
        packed.insert(name.to_owned(), (entry.size(), entry.crc32()));
    }
    let mut known = Files::new();
    for (path, (size, checksum)) in packed {
        if path.is_empty() {
            continue;
        }
        let same = match files.get(&path) {
            Some(entry) if is_same(folder, &path, entry, size, checksum) => entry.clone(),
            // Differs from whatever the folder has.
            _ => Entry {
                kind: Kind::Link("/".into()),
                mode: 0,
            },
        };
        known.insert(path, same);
    }
    // Packages need not list folders.
    for (path, entry) in files {
        let below = format!("{path}/");
        if entry.kind == Kind::Folder
            && known
                .range(below.clone()..)
                .next()
                .is_some_and(|(next, _)| next.starts_with(&below))
        {
            known.insert(path.clone(), entry.clone());
        }
    }
    Ok(known)
}

fn is_same(folder: &AppFolder, path: &str, entry: &Entry, size: u64, checksum: u32) -> bool {
    match &entry.kind {
        Kind::Folder => true,
        Kind::Link(target) => {
            target.as_os_str().len() as u64 == size
                && crc32(target.to_string_lossy().as_bytes()) == Some(checksum)
        }
        Kind::File { size: now, .. } => {
            *now == size
                && File::open(folder.root().join(path))
                    .is_ok_and(|file| crc32(file) == Some(checksum))
        }
    }
}

/// The checksum of zips.
fn crc32(mut content: impl Read) -> Option<u32> {
    let mut crc = flate2::CrcWriter::new(io::sink());
    io::copy(&mut content, &mut crc).ok()?;
    crc.flush().ok()?;
    Some(crc.crc().sum())
}

#[cfg(test)]
mod tests {
    use super::super::super::app_folder::Changes;
    use super::*;

    #[test]
    fn only_what_differs_from_the_package_is_a_change() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write =
            |path: &str, text: &str| std::fs::write(dir.path().join(path), text).expect("written");
        std::fs::create_dir(dir.path().join("sub")).expect("created");
        write("sub/same", "1");
        write("other", "1");
        write("gone", "1");
        let folder = AppFolder::open(dir.path()).expect("opened");
        let mut package = tempfile::tempfile().expect("temporary file");
        let pushed = folder.files().expect("listed");
        folder.write_zip(&pushed, &mut package).expect("written");
        write("other", "2");
        write("new", "1");
        std::fs::remove_file(dir.path().join("gone")).expect("removed");
        // The same content with another time.
        write("sub/same", "1");
        let now = folder.files().expect("listed");
        let known = files(package, &folder, &now).expect("a package");
        let changes = Changes::between(&known, &now);
        assert_eq!(changes.changed, ["new", "other"]);
        assert_eq!(changes.deleted, ["gone"]);
    }
}
