//! Reads a backup: checks it, or unpacks it into a snapshot.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::Archive;

use super::super::places::Folder;
use super::super::{Error, Places};
use super::cipher::{Decrypting, MAGIC};
use super::contents::{Contents, Entry};
use super::{CONTENTS, DATABASE, LONGEST_LIST};
use crate::base::{Secret, private_file};
use crate::blobs::Digest;
use crate::db;

const BUFFER: usize = 256 * 1024;

/// A backup that is there.
pub struct Source<'a> {
    /// The file.
    pub file: &'a Path,
    /// For one that is encrypted.
    pub passphrase: Option<&'a Secret<String>>,
    /// Gets the bytes that were unpacked so far, and all of them.
    pub progress: &'a dyn Fn(u64, u64),
}

/// Whether a file is an encrypted backup.
pub fn is_encrypted(file: &Path) -> Result<bool, Error> {
    let mut begin = Vec::new();
    let length = u64::try_from(MAGIC.len()).unwrap_or(u64::MAX);
    let read = File::open(file).and_then(|file| file.take(length).read_to_end(&mut begin));
    read.map_err(Error::storage("read", file))?;
    Ok(begin == MAGIC)
}

impl Source<'_> {
    /// Reads every byte, and every page of the database.
    pub fn verify(&self) -> Result<Contents, Error> {
        let place = tempfile::tempdir().map_err(Error::storage("write", &std::env::temp_dir()))?;
        let folder = Folder(place.path().to_owned());
        let keep = |name: &str| name == DATABASE;
        let contents = self.unpack(&folder, place.path(), keep)?;
        db::check(&folder.database())?;
        Ok(contents)
    }

    /// Unpacks everything below `data_dir`: files to their places, the rest into the unfinished snapshot.
    pub(in super::super) fn restore(&self, data_dir: &Path) -> Result<Contents, Error> {
        let folder = Places::of(data_dir).unfinished();
        let contents = self.unpack(&folder, data_dir, |_| true)?;
        db::check(&folder.database())?;
        Ok(contents)
    }

    /// What the backup says that it holds; nothing else is read.
    pub fn contents(&self) -> Result<Contents, Error> {
        self.open(|source| {
            let mut archive = Archive::new(source);
            let mut entries = archive
                .entries()
                .map_err(Error::storage("read", self.file))?;
            self.begin(&mut entries)
        })
    }

    fn unpack(
        &self,
        folder: &Folder,
        data_dir: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Contents, Error> {
        self.open(|source| self.read(source, (folder, data_dir), keep))
    }

    /// Reads the tar in the file.
    fn open<T>(&self, read: impl FnOnce(&mut dyn Read) -> Result<T, Error>) -> Result<T, Error> {
        let failed = || Error::storage("read", self.file);
        let file = File::open(self.file).map_err(failed())?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        if !is_encrypted(self.file)? {
            return read(&mut MultiGzDecoder::new(&mut file));
        }
        let Some(passphrase) = self.passphrase else {
            let why = "it is encrypted, and there is no passphrase";
            return Err(Error::damaged(self.file.display().to_string(), why));
        };
        file.seek_relative(i64::try_from(MAGIC.len()).unwrap_or(i64::MAX))
            .map_err(failed())?;
        let plain = Decrypting::begin(file, passphrase).map_err(failed())?;
        let plain = BufReader::with_capacity(BUFFER, plain);
        read(&mut MultiGzDecoder::new(plain))
    }

    /// The first entry.
    fn begin<R: Read>(&self, entries: &mut tar::Entries<'_, R>) -> Result<Contents, Error> {
        match entries.next() {
            Some(first) => first_entry(first.map_err(|error| self.no_backup(&error))?),
            None => Err(Error::damaged(
                self.file.display().to_string(),
                "it is empty",
            )),
        }
    }

    fn read(
        &self,
        source: &mut dyn Read,
        (folder, data_dir): (&Folder, &Path),
        keep: impl Fn(&str) -> bool,
    ) -> Result<Contents, Error> {
        let failed = || Error::storage("read", self.file);
        let own = || self.file.display().to_string();
        let mut archive = Archive::new(source);
        let mut entries = archive.entries().map_err(failed())?;
        let contents = self.begin(&mut entries)?;
        let mut wanted = contents.entries(folder, data_dir);
        let (mut done, all) = (0, contents.size());
        for entry in entries {
            let mut entry = entry.map_err(failed())?;
            let name = entry
                .path()
                .map_err(failed())?
                .to_string_lossy()
                .into_owned();
            let Some(expected) = wanted.remove(&name) else {
                return Err(Error::damaged(
                    own(),
                    format!("it holds {name:?}, which it does not list"),
                ));
            };
            let kept = keep(&name).then_some(expected.path.as_path());
            copy(&mut entry, &name, &expected, kept, &mut |read| {
                done += read;
                (self.progress)(done, all);
            })?;
        }
        missing(&wanted)?;
        Ok(contents)
    }

    fn no_backup(&self, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("decrypted") {
            return Error::damaged(self.file.display().to_string(), error.to_string());
        }
        let why = format!("it is no backup of cflite ({error})");
        Error::damaged(self.file.display().to_string(), why)
    }
}

fn first_entry(mut entry: tar::Entry<'_, impl Read>) -> Result<Contents, Error> {
    let failed = |error: io::Error| Error::damaged(CONTENTS, error.to_string());
    let name = entry.path().map_err(failed)?.to_string_lossy().into_owned();
    if name != CONTENTS || entry.size() > LONGEST_LIST {
        return Err(Error::damaged(
            "the file",
            format!("it does not begin with {CONTENTS}"),
        ));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(failed)?;
    Contents::parse(&text)
}

fn missing(wanted: &BTreeMap<String, Entry>) -> Result<(), Error> {
    match wanted.keys().next() {
        None => Ok(()),
        Some(name) => Err(Error::damaged(name, "it is missing in the backup")),
    }
}

/// Reads an entry to its end, into a file if it is kept, and compares it with what is listed.
fn copy(
    entry: &mut impl Read,
    name: &str,
    expected: &Entry,
    kept: Option<&Path>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let mut file = match kept {
        None => None,
        Some(path) => {
            let folder = path.parent().unwrap_or(path);
            private_file::create_folder(folder).map_err(Error::storage("create", folder))?;
            Some(private_file::NewFile::begin(path).map_err(Error::storage("write", path))?)
        }
    };
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; BUFFER];
    loop {
        let read = entry
            .read(&mut chunk)
            .map_err(|error| Error::damaged(name, error.to_string()))?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        size += read as u64;
        if size > expected.what.size {
            break;
        }
        if let (Some(file), Some(path)) = (&mut file, kept) {
            file.append(&chunk[..read])
                .map_err(Error::storage("write", path))?;
        }
        progress(read as u64);
    }
    let found = format!("sha256:{}", hex::encode(hasher.finalize()));
    let found = Digest::parse(&found).map_err(|error| Error::damaged(name, error.to_string()))?;
    if size != expected.what.size || found != expected.what.digest {
        return Err(Error::changed(name, &expected.what.digest, &found));
    }
    if let (Some(file), Some(path)) = (file, kept) {
        file.finish().map_err(Error::storage("write", path))?;
    }
    Ok(())
}
