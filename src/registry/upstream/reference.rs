//! References to images as people write them.

use std::fmt;

use oci_spec::distribution;

use crate::blobs::Digest;
use crate::registry::name::{Reference, RepositoryName, Tag};

/// The registry of references without one.
const DOCKER_HUB: &str = "docker.io";
/// Where its API answers.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// An image in a registry. A reference without a registry means Docker Hub, one without tag and
/// digest the tag `latest`; official images on Docker Hub are in `library/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    host: String,
    repository: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Parses `text`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse::<distribution::Reference>();
        let parsed = parse(text).map_err(|error| {
            // The crate notices this only in some places.
            if parse(&text.to_lowercase()).is_ok() {
                "repository name must be lowercase".to_owned()
            } else {
                error.to_string()
            }
        })?;
        let digest = match parsed.digest() {
            Some(digest) => Some(Digest::parse(digest).map_err(|error| error.to_string())?),
            None => None,
        };
        let tag = match parsed.tag() {
            Some(tag) => Some(Tag::parse(tag).ok_or("invalid tag")?),
            None => None,
        };
        let host = match parsed.registry() {
            "index.docker.io" | DOCKER_HUB_API => DOCKER_HUB,
            host => host,
        };
        Ok(Self {
            host: host.to_owned(),
            repository: parsed.repository().to_owned(),
            tag,
            digest,
        })
    }

    /// The registry as it is named: `docker.io`, `ghcr.io`, `localhost:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host and port of its API.
    pub fn api_host(&self) -> &str {
        if self.host == DOCKER_HUB {
            DOCKER_HUB_API
        } else {
            &self.host
        }
    }

    /// The repository in its registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// What to ask the registry for: the digest if there is one, else the tag.
    pub fn target(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(digest.clone().into()),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => Reference::Tag(Tag::latest()),
        }
    }

    /// The tag, also beside a digest.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The repository of this registry that holds copies of it; `None` if the name gets too long.
    pub fn cache_repository(&self) -> Option<RepositoryName> {
        let host = self.host.replace(':', "__").to_ascii_lowercase();
        RepositoryName::parse(&format!("cache/{host}/{}", self.repository))
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{}", tag.as_str())?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_docker_hub() {
        let digest = Digest::of(b"x");
        let table = [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("me/app:1", "docker.io/me/app:1".to_owned()),
            ("index.docker.io/me/app:1", "docker.io/me/app:1".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c".to_owned()),
            ("ghcr.io/me/app:1.2", "ghcr.io/me/app:1.2".to_owned()),
            (
                &format!("nginx:1@{digest}"),
                format!("docker.io/library/nginx:1@{digest}"),
            ),
            (
                &format!("quay.io/a/b@{digest}"),
                format!("quay.io/a/b@{digest}"),
            ),
        ];
        for (text, expected) in table {
            let parsed = ImageReference::parse(text).expect(text);
            assert_eq!(parsed.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_digest_wins_over_the_tag() {
        let digest = Digest::of(b"x");
        let parsed = ImageReference::parse(&format!("nginx:1@{digest}")).expect("parsed");
        assert_eq!(parsed.target(), Reference::Digest(digest.into()));
        assert_eq!(parsed.api_host(), "registry-1.docker.io");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "Nginx",
            "http://nginx",
            "a b",
            "nginx:",
            "nginx@sha256:12",
            "-/x:y",
        ] {
            assert!(ImageReference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn copies_have_a_repository_that_names_the_registry() {
        let cached = |text| ImageReference::parse(text).expect(text).cache_repository();
        let name = |text: &str| RepositoryName::parse(text);
        assert_eq!(cached("nginx"), name("cache/docker.io/library/nginx"));
        assert_eq!(cached("localhost:5001/a"), name("cache/localhost__5001/a"));
    }
}
