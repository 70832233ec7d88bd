//! Parses paths under `/v2/`.
//!
//! Repository names contain slashes and may contain any word of the API, so the *last* known
//! segments decide.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::digest::AnyDigest;
use super::name::{Reference, RepositoryName};
use super::refusal::Refusal;

/// A resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `/v2/`
    Base,
    /// `/v2/N/manifests/TAG|DIGEST`
    Manifest(RepositoryName, Reference),
    /// `/v2/N/blobs/DIGEST`
    Blob(RepositoryName, AnyDigest),
    /// `/v2/N/tags/list`
    Tags(RepositoryName),
    /// `/v2/N/referrers/DIGEST`
    Referrers(RepositoryName, AnyDigest),
    /// `/v2/N/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/N/blobs/uploads/ID`
    Upload(RepositoryName, String),
}

impl Target {
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let Some(rest) = path.strip_prefix("/v2") else {
            return Err(Refusal::not_found());
        };
        if rest.is_empty() || rest == "/" {
            return Ok(Self::Base);
        }
        let rest = rest.strip_prefix('/').ok_or_else(Refusal::not_found)?;
        let segments: Vec<Cow<'_, str>> = rest
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let words: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match words.as_slice() {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(repository(name)?, (*id).to_owned()))
            }
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "manifests", reference] => {
                let name = repository(name)?;
                let parsed = Reference::parse(reference).ok_or_else(|| {
                    if reference.contains(':') {
                        Refusal::invalid_digest()
                    } else {
                        Refusal::unknown_manifest(reference)
                    }
                })?;
                Ok(Self::Manifest(name, parsed))
            }
            [name @ .., "blobs", text] => Ok(Self::Blob(repository(name)?, digest(text)?)),
            [name @ .., "referrers", text] => Ok(Self::Referrers(repository(name)?, digest(text)?)),
            _ => Err(Refusal::not_found()),
        }
    }
}

impl Target {
    /// The repository it is in.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base => None,
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _) => Some(name),
        }
    }
}

fn repository(segments: &[&str]) -> Result<RepositoryName, Refusal> {
    let name = segments.join("/");
    RepositoryName::parse(&name).ok_or_else(|| Refusal::invalid_name(&name))
}

fn digest(text: &str) -> Result<AnyDigest, Refusal> {
    AnyDigest::parse(text).map_err(|_| Refusal::invalid_digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Digest;

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).expect("name")
    }

    #[test]
    fn the_last_known_segment_decides() {
        let digest = Digest::of(b"x");
        let escaped = digest.as_str().replace(':', "%3A");
        let latest = Reference::parse("latest").expect("tag");
        let cases = [
            ("/v2".to_owned(), Target::Base),
            ("/v2/".to_owned(), Target::Base),
            (
                "/v2/a/b/manifests/latest".to_owned(),
                Target::Manifest(name("a/b"), latest.clone()),
            ),
            (
                "/v2/a/manifests/blobs/manifests/latest".to_owned(),
                Target::Manifest(name("a/manifests/blobs"), latest),
            ),
            (
                format!("/v2/a/manifests/{escaped}"),
                Target::Manifest(name("a"), Reference::Digest(digest.clone().into())),
            ),
            (
                format!("/v2/tags/list/blobs/{digest}"),
                Target::Blob(name("tags/list"), digest.clone().into()),
            ),
            ("/v2/a/b/tags/list".to_owned(), Target::Tags(name("a/b"))),
            (
                format!("/v2/a/referrers/{escaped}"),
                Target::Referrers(name("a"), digest.into()),
            ),
            (
                "/v2/a/blobs/uploads/".to_owned(),
                Target::Uploads(name("a")),
            ),
            (
                "/v2/a/b/blobs/uploads".to_owned(),
                Target::Uploads(name("a/b")),
            ),
            (
                "/v2/a/blobs/uploads/12".to_owned(),
                Target::Upload(name("a"), "12".to_owned()),
            ),
        ];
        for (path, target) in cases {
            assert_eq!(Target::parse(&path), Ok(target), "{path}");
        }
    }

    #[test]
    fn bad_names_and_digests_have_their_own_codes() {
        for (path, code) in [
            ("/v2/A/tags/list", "NAME_INVALID"),
            ("/v2/../x/tags/list", "NAME_INVALID"),
            ("/v2/manifests/latest", "NAME_INVALID"),
            ("/v2/a/blobs/sha256:baddigeststring", "DIGEST_INVALID"),
            ("/v2/a/blobs/latest", "DIGEST_INVALID"),
            ("/v2/a/referrers/x", "DIGEST_INVALID"),
            ("/v2/a/manifests/sha256:12", "DIGEST_INVALID"),
            ("/v2/a/manifests/.x", "MANIFEST_UNKNOWN"),
            ("/v2/a/other", "NOT_FOUND"),
            ("/v3/", "NOT_FOUND"),
            ("/v2x", "NOT_FOUND"),
        ] {
            let refusal = Target::parse(path).expect_err(path);
            assert_eq!(refusal.code(), code, "{path}");
        }
    }
}
