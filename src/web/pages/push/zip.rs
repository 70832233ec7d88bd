//! The zip of what is pushed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use include_dir::{Dir, DirEntry, include_dir};
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples/static");

/// Parts of files that wait to be written.
const QUEUE: usize = 8;
/// The most files of a folder.
const MOST_FILES: usize = 20_000;

/// A part of a folder on its way.
pub(super) enum Part {
    /// The next file, by its path in the folder.
    File(String),
    /// More of it.
    Data(Bytes),
}

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    /// A file name that would lead elsewhere.
    #[error("{0:?} is not a path inside of a folder")]
    Path(String),
    /// Two files of one name.
    #[error("{0:?} was sent twice")]
    Twice(String),
    /// Too many.
    #[error("the folder has more than {MOST_FILES} files")]
    TooMany,
    /// The disk.
    #[error("the files cannot be stored: {0}")]
    Io(#[from] io::Error),
    /// The zip.
    #[error("the files cannot be packed: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Writes a zip into a nameless file of the folder `spool` while its files arrive. The end of the
/// sender is the end of what is packed.
pub(super) fn pack(
    spool: PathBuf,
) -> (
    mpsc::Sender<Part>,
    tokio::task::JoinHandle<Result<File, PackError>>,
) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (
        sender,
        tokio::task::spawn_blocking(move || write(receiver, &spool)),
    )
}

fn write(mut parts: mpsc::Receiver<Part>, spool: &Path) -> Result<File, PackError> {
    let mut zip = ZipWriter::new(tempfile::tempfile_in(spool)?);
    let mut known = HashSet::new();
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Data(data) => zip.write_all(&data)?,
            Part::File(path) => {
                let path = inside(&path)?;
                if known.len() == MOST_FILES {
                    return Err(PackError::TooMany);
                }
                if known.contains(&path) {
                    return Err(PackError::Twice(path));
                }
                zip.start_file(path.as_str(), options())?;
                known.insert(path);
            }
        }
    }
    finished(zip)
}

/// The sample that everybody has.
pub(super) fn sample(spool: &Path) -> Result<File, PackError> {
    let mut zip = ZipWriter::new(tempfile::tempfile_in(spool)?);
    add(&mut zip, &SAMPLE)?;
    finished(zip)
}

fn add(zip: &mut ZipWriter<File>, folder: &Dir<'_>) -> Result<(), PackError> {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(folder) => add(zip, folder)?,
            DirEntry::File(file) => {
                zip.start_file(file.path().to_string_lossy(), options())?;
                zip.write_all(file.contents())?;
            }
        }
    }
    Ok(())
}

fn options() -> SimpleFileOptions {
    // Browsers do not tell whether a file is a program; scripts of apps are run by name.
    SimpleFileOptions::default().unix_permissions(0o755)
}

fn finished(zip: ZipWriter<File>) -> Result<File, PackError> {
    let mut file = zip.finish()?;
    file.rewind()?;
    Ok(file)
}

/// A path without a way out of the folder.
fn inside(path: &str) -> Result<String, PackError> {
    let plain = path.replace('\\', "/");
    let parts: Vec<&str> = plain.split('/').collect();
    let bad = |part: &&str| part.is_empty() || *part == "." || *part == ".." || part.contains('\0');
    if plain.len() > 1024 || parts.iter().any(bad) {
        return Err(PackError::Path(path.to_owned()));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn a_folder_becomes_a_zip() {
        let (sender, packed) = pack(std::env::temp_dir());
        for part in [
            Part::File("a/index.html".to_owned()),
            Part::Data(Bytes::from_static(b"<h1>")),
            Part::Data(Bytes::from_static(b"</h1>")),
            Part::File("empty".to_owned()),
        ] {
            sender.send(part).await.expect("taken");
        }
        drop(sender);
        let file = packed.await.expect("no panic").expect("a zip");
        let mut zip = zip::ZipArchive::new(file).expect("a zip");
        let mut text = String::new();
        let mut entry = zip.by_name("a/index.html").expect("the file");
        entry.read_to_string(&mut text).expect("text");
        assert_eq!(text, "<h1></h1>");
        drop(entry);
        assert_eq!(zip.len(), 2);
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for fine in ["a", "a/b.c", "a\\b"] {
            assert!(inside(fine).is_ok(), "{fine}");
        }
        for bad in ["", "/a", "a//b", "../a", "a/../b", "a/.", "a\0b", "a/"] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }
}
