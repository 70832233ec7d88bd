//! Digests as clients name content: SHA-256, under which it is stored, or SHA-512.

use std::fmt;

use crate::blobs::{Digest, InvalidDigest, Sha512Digest};

/// A digest of one of the algorithms that the registry knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyDigest {
    /// The name under which the store keeps the bytes.
    Sha256(Digest),
    /// Another name for them; the table `registry_digests` has the stored one.
    Sha512(Sha512Digest),
}

impl AnyDigest {
    /// Validates `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        match Sha512Digest::parse(text) {
            Ok(digest) => Ok(Self::Sha512(digest)),
            Err(InvalidDigest) => Digest::parse(text).map(Self::Sha256),
        }
    }

    /// With its algorithm.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256(digest) => digest.as_str(),
            Self::Sha512(digest) => digest.as_str(),
        }
    }
}

impl From<Digest> for AnyDigest {
    fn from(digest: Digest) -> Self {
        Self::Sha256(digest)
    }
}

impl fmt::Display for AnyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for AnyDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl rusqlite::ToSql for AnyDigest {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}
