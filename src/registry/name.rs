//! Names as the distribution specification allows them.
//!
//! Paths of the API have a repository, a tag or a digest of its own in each segment, while the type
//! `Reference` of the crate `oci-spec` parses whole references (`host/repository:tag`) only. It also
//! completes them (`docker.io`, `library/`, `latest`), which would be wrong here.

use std::fmt;

use super::digest::AnyDigest;

const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// A repository: components of `[a-z0-9]+` joined by `.`, `_`, `__` or dashes, separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepositoryName(String);

/// A tag: `[A-Za-z0-9_]`, then up to 127 of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

/// A reference to a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// The manifest itself.
    Digest(AnyDigest),
}

impl RepositoryName {
    /// Validates `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() <= MAX_REPOSITORY && text.split('/').all(is_component);
        valid.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The tag of references without one.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Validates `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let first = *text.as_bytes().first()?;
        let rest = |b: u8| word(b) || b == b'.' || b == b'-';
        let valid = text.len() <= MAX_TAG && word(first) && text.bytes().all(rest);
        valid.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// A digest when there is a `:`, a tag otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return AnyDigest::parse(text).ok().map(Self::Digest);
        }
        Tag::parse(text).map(Self::Tag)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag.as_str()),
            Self::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes
            .split(|b| alphanumeric(b))
            .all(|between| match between {
                [] | [b'.' | b'_'] | [b'_', b'_'] => true,
                dashes => dashes.iter().all(|b| *b == b'-'),
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{Digest, Sha512Digest};

    #[test]
    fn repository_names_follow_the_specification() {
        for good in [
            "a",
            "a/b",
            "a.b_c__d---e/9",
            "droplets/0b5e",
            "blobs/manifests",
        ] {
            assert!(RepositoryName::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "a._b", "a b", "ä",
            "..", &long,
        ] {
            assert!(RepositoryName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tags_and_digests_are_distinguished() {
        let digest = Digest::of(b"x");
        assert_eq!(
            Reference::parse(digest.as_str()),
            Some(Reference::Digest(digest.into()))
        );
        let other = AnyDigest::Sha512(Sha512Digest::of(b"x"));
        let parsed = Reference::parse(other.as_str());
        assert_eq!(parsed, Some(Reference::Digest(other)));
        for good in ["latest", "_", "1.2-3_A", &"t".repeat(128)] {
            assert!(
                matches!(Reference::parse(good), Some(Reference::Tag(_))),
                "{good}"
            );
        }
        for bad in [
            "",
            ".a",
            "-a",
            "a/b",
            "a b",
            "sha256:12",
            "ä",
            &"t".repeat(129),
        ] {
            assert_eq!(Reference::parse(bad), None, "{bad}");
        }
    }
}
