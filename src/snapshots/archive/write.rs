//! Writes a backup.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::super::manifest::Manifest;
use super::super::places::Folder;
use super::super::{Error, Name, Places};
use super::CONTENTS;
use super::cipher::Encrypting;
use super::contents::Contents;
use crate::base::{Secret, private_file};

/// Most of a backup is compressed already.
const LEVEL: u32 = 3;

/// A new backup.
pub struct Target<'a> {
    /// The file; it appears when it is complete.
    pub file: &'a Path,
    /// Encrypts it.
    pub passphrase: Option<&'a Secret<String>>,
    /// Gets the bytes that were read so far, and all of them.
    pub progress: &'a dyn Fn(u64, u64),
}

impl Target<'_> {
    /// Writes a snapshot of the platform in `data_dir`.
    pub fn write(&self, data_dir: &Path, snapshot: &Name) -> Result<Contents, Error> {
        let folder = Places::of(data_dir).snapshot(snapshot);
        let manifest = Manifest::read(&folder)?;
        let manifest = manifest.ok_or_else(|| Error::Missing(snapshot.to_string()))?;
        let contents = Contents::of(manifest, data_dir)?;
        let failed = || Error::storage("write", self.file);
        let new = private_file::NewFile::begin(self.file).map_err(failed())?;
        let out = BufWriter::with_capacity(256 * 1024, Sink(new));
        let out = match self.passphrase {
            None => self.pack(out, &contents, (&folder, data_dir))?,
            Some(passphrase) => {
                let out = Encrypting::begin(out, passphrase).map_err(failed())?;
                let out = self.pack(out, &contents, (&folder, data_dir))?;
                out.finish().map_err(failed())?
            }
        };
        let Sink(new) = out
            .into_inner()
            .map_err(|error| failed()(error.into_error()))?;
        new.finish().map_err(failed())?;
        Ok(contents)
    }

    fn pack<W: Write>(
        &self,
        out: W,
        contents: &Contents,
        (folder, data_dir): (&Folder, &Path),
    ) -> Result<W, Error> {
        let failed = || Error::storage("write", self.file);
        let all = contents.size();
        let mut tar = Builder::new(GzEncoder::new(out, Compression::new(LEVEL)));
        let text = serde_json::to_vec_pretty(contents)
            .map_err(|error| Error::damaged(CONTENTS, error.to_string()))?;
        append(&mut tar, CONTENTS, text.len() as u64, &text[..]).map_err(failed())?;
        let mut done = 0;
        for (name, entry) in contents.entries(folder, data_dir) {
            let file = File::open(&entry.path).map_err(Error::storage("read", &entry.path))?;
            let source = Counting {
                file,
                done: &mut done,
                all,
                progress: self.progress,
            };
            // A file that is shorter now than it was ends the backup, a longer one is cut.
            let source = source.take(entry.what.size);
            append(&mut tar, &name, entry.what.size, source)
                .map_err(Error::storage("read", &entry.path))?;
        }
        let gzip = tar.into_inner().map_err(failed())?;
        gzip.finish().map_err(failed())
    }
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    size: u64,
    mut source: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    let mut counted = Exact {
        source: &mut source,
        left: size,
    };
    tar.append_data(&mut header, PathBuf::from(name), &mut counted)
}

/// Fails when there are fewer bytes than the header says.
struct Exact<'a, R: Read> {
    source: &'a mut R,
    left: u64,
}

impl<R: Read> Read for Exact<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        if read == 0 && self.left > 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

struct Counting<'a> {
    file: File,
    done: &'a mut u64,
    all: u64,
    progress: &'a dyn Fn(u64, u64),
}

impl Read for Counting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        *self.done += read as u64;
        (self.progress)(*self.done, self.all);
        Ok(read)
    }
}

struct Sink(private_file::NewFile);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
