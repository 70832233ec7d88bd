//! Who writes to an upload, and the hash of its bytes so far.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::Digest;

/// Hashes of waiting uploads that are kept in memory, about 150 bytes each.
const MAX_WAITING: usize = 1024;
const CHUNK: usize = 128 * 1024;

/// The name of an upload: 32 hexadecimal digits that nobody can guess.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadId(String);

/// The hash of the first bytes of an upload.
#[derive(Clone)]
pub(super) struct Hashes {
    sha256: Sha256,
    pub(super) size: u64,
}

enum State {
    Busy,
    Waiting(Box<Hashes>),
}

/// The uploads that are written to, and the hashes of those that wait.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<UploadId, State>>);

/// The right to write to an upload.
pub(super) struct Claim {
    uploads: Arc<Uploads>,
    id: UploadId,
    /// What to remember when it ends.
    pub(super) hashes: Option<Hashes>,
}

impl UploadId {
    /// A new one.
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// Validates `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = text.len() == 32 && text.bytes().all(is_hex);
        valid.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self {
            sha256: Sha256::new(),
            size: 0,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Of all bytes of a file.
    pub(super) fn of(file: &mut File) -> io::Result<Self> {
        file.rewind()?;
        let mut hashes = Self::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(hashes),
                count => hashes.update(&chunk[..count]),
            }
        }
    }

    /// The digest of these bytes.
    pub(super) fn finish(self) -> Digest {
        Digest::finish(self.sha256)
    }
}

impl Uploads {
    /// The right to write to an upload, unless somebody has it.
    pub(super) fn claim(self: &Arc<Self>, id: &UploadId) -> Option<Claim> {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hashes = match states.insert(id.clone(), State::Busy) {
            Some(State::Busy) => return None,
            Some(State::Waiting(hashes)) => Some(*hashes),
            None => None,
        };
        Some(Claim {
            uploads: self.clone(),
            id: id.clone(),
            hashes,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let states = &self.uploads.0;
        let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
        states.remove(&self.id);
        if let Some(hashes) = self.hashes.take()
            && states.len() < MAX_WAITING
        {
            states.insert(self.id.clone(), State::Waiting(Box::new(hashes)));
        }
    }
}
