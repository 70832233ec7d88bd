//! SHA-1, which clients use to identify files.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1 as Hasher};

/// A SHA-1 as clients send it: 40 hexadecimal digits, kept in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Sha1(String);

impl Sha1 {
    /// Validates `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The SHA-1 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Hasher::digest(bytes)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sha1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("not a SHA-1"))
    }
}

impl rusqlite::ToSql for Sha1 {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.0.as_str().into())
    }
}

/// Hashes everything written to `inner`.
pub(super) struct Sha1Writer<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Sha1Writer<W> {
    pub(super) fn new(inner: W) -> Self {
        let hasher = Hasher::new();
        Self { inner, hasher }
    }

    pub(super) fn finish(self) -> (W, Sha1) {
        (self.inner, Sha1(hex::encode(self.hasher.finalize())))
    }
}

impl<W: Write> Write for Sha1Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
