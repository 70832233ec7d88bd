//! An uploaded buildpack's zip as tar entries.
//!
//! Names are checked: nothing leaves the buildpack's folder. Declared sizes are not trusted: an
//! entry that is shorter or longer than declared is an error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType};
use zip::ZipArchive;

use super::bundle::{add_folder, header};

/// The maximum unpacked size of a buildpack; offline buildpacks include their dependencies.
const MAX_UNPACKED: u64 = 8 << 30;
const MAX_ENTRIES: usize = 300_000;

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// Adds all entries of the zip at `path` below `folder`.
pub(super) fn add_zip(tar: &mut Builder<impl Write>, folder: &str, path: &Path) -> io::Result<()> {
    let mut zip = ZipArchive::new(File::open(path)?).map_err(io::Error::other)?;
    if zip.len() > MAX_ENTRIES {
        return Err(invalid("the buildpack has too many files"));
    }
    add_folder(tar, folder)?;
    let mut total = 0_u64;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(io::Error::other)?;
        let Some(name) = entry.enclosed_name() else {
            return Err(invalid("the buildpack has a file outside of its folder"));
        };
        let name = format!("{folder}/{}", name.display());
        total = total.saturating_add(entry.size());
        if total > MAX_UNPACKED {
            return Err(invalid("the buildpack is too large"));
        }
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o777;
        if entry.is_dir() {
            add_folder(tar, &name)?;
        } else if entry.is_symlink() {
            let mut target = String::new();
            entry.by_ref().take(4096).read_to_string(&mut target)?;
            let mut header = header(EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut header, &name, &target)?;
        } else {
            let size = entry.size();
            let mut header = header(EntryType::Regular, mode, size);
            let content = ExactSize {
                inner: entry,
                remaining: size,
            };
            tar.append_data(&mut header, &name, content)?;
        }
    }
    Ok(())
}

/// Fails if there are fewer or more bytes than declared.
struct ExactSize<R> {
    inner: R,
    remaining: u64,
}

impl<R: Read> Read for ExactSize<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let wrong = || invalid("a file of the zip does not have its declared size");
        if count == 0 && self.remaining > 0 && !into.is_empty() {
            return Err(wrong());
        }
        self.remaining = self.remaining.checked_sub(count as u64).ok_or_else(wrong)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(write: impl FnOnce(&mut zip::ZipWriter<File>)) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut writer = zip::ZipWriter::new(file.reopen().expect("the file"));
        write(&mut writer);
        writer.finish().expect("a zip");
        file
    }

    #[test]
    fn modes_links_and_folders_survive() {
        let file = zip_of(|zip| {
            let executable = SimpleFileOptions::default().unix_permissions(0o755);
            zip.add_directory("bin", executable).expect("a folder");
            zip.start_file("bin/detect", executable).expect("a file");
            zip.write_all(b"#!/bin/sh\n").expect("content");
            zip.add_symlink("bin/link", "detect", executable)
                .expect("a link");
        });
        let mut tar = Builder::new(Vec::new());
        add_zip(&mut tar, "buildpacks/abc", file.path()).expect("a tar");
        let tar = tar.into_inner().expect("a tar");
        let mut archive = tar::Archive::new(&tar[..]);
        let shown: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let link = entry.link_name().expect("a name");
                format!(
                    "{} {:o} {}",
                    entry.path().expect("a path").display(),
                    entry.header().mode().expect("a mode"),
                    link.map(|l| l.display().to_string()).unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "buildpacks/abc/ 755 ",
                "buildpacks/abc/bin/ 755 ",
                "buildpacks/abc/bin/detect 755 ",
                "buildpacks/abc/bin/link 777 detect",
            ]
        );
    }

    #[test]
    fn names_outside_the_folder_are_rejected() {
        for name in ["../evil", "a/../../evil"] {
            let file = zip_of(|zip| {
                zip.start_file(name, SimpleFileOptions::default())
                    .expect("a file");
            });
            let mut tar = Builder::new(Vec::new());
            assert!(
                add_zip(&mut tar, "buildpacks/abc", file.path()).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_wrong_size_is_an_error() {
        for declared in [2, 4] {
            let mut reader = ExactSize {
                inner: &b"abc"[..],
                remaining: declared,
            };
            assert!(
                io::copy(&mut reader, &mut io::sink()).is_err(),
                "{declared}"
            );
        }
        let mut reader = ExactSize {
            inner: &b"abc"[..],
            remaining: 3,
        };
        assert_eq!(io::copy(&mut reader, &mut io::sink()).expect("all"), 3);
    }
}
