//! Pull-through: the repositories `proxy/HOST/…` are those of other registries. What is read there
//! is kept in `cache/HOST/…`, and read from there when its registry cannot be asked.
//!
//! Nobody's credentials are used, so that everything in a cache is public. Clients see the first
//! bytes of a blob as soon as they arrive; what has been asked for is kept also when the client goes
//! away.

use std::sync::Arc;
use std::time::Duration;

use crate::blobs::{Blob, Digest};
use crate::db::DbError;

use super::digest::AnyDigest;
use super::downloads::{Growing, Wish};
use super::mirror::BlobsOf;
use super::name::{Reference, RepositoryName};
use super::resolve::Wanted;
use super::store::{self, PartsOf};
use super::upstream::{ImageReference, UpstreamError};
use super::{Names, Registry, RegistryError};

/// What the names of other registries' repositories begin with.
const PREFIX: &str = "proxy/";
/// The registries that are read through this one, besides those that the configuration names. Others
/// could make this one fetch anything of any size.
const PUBLIC: [&str; 3] = ["docker.io", "ghcr.io", "quay.io"];
/// How often it is noted that a copy is used.
const NOTED: Duration = Duration::from_secs(60);

/// A repository of another registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxied {
    host: String,
    repository: String,
}

impl Proxied {
    /// `proxy/HOST/…`, where a port is written as `HOST__PORT`. `None` for a repository of this
    /// registry.
    pub(super) fn of(name: &RepositoryName) -> Option<Self> {
        let rest = name.as_str().strip_prefix(PREFIX)?;
        let (host, repository) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self {
            host: host.replace("__", ":"),
            repository: repository.to_owned(),
        })
    }

    /// A repository of the registry that a mirror stands for.
    pub(super) fn at(host: &str, name: &RepositoryName) -> Self {
        Self {
            host: host.to_owned(),
            repository: name.to_string(),
        }
    }

    /// An image in it. SHA-512 names nothing that other registries have.
    pub(super) fn image(&self, reference: &Reference) -> Option<ImageReference> {
        let separator = match reference {
            Reference::Tag(_) => ':',
            Reference::Digest(AnyDigest::Sha256(_)) => '@',
            Reference::Digest(AnyDigest::Sha512(_)) => return None,
        };
        let text = format!("{}/{}{separator}{reference}", self.host, self.repository);
        let image = ImageReference::parse(&text).ok();
        image.filter(|image| image.host() == self.host)
    }
}

/// A copy of another registry's manifest.
pub(super) struct CopiedManifest {
    pub(super) cache: RepositoryName,
    pub(super) digest: Digest,
    /// Why it may be an old one.
    pub(super) stale: Option<UpstreamError>,
}

/// A blob of another registry.
pub(super) enum CopiedBlob {
    /// It is in this cache.
    Stored(RepositoryName),
    /// It is there.
    Known(Blob),
    /// It is on its way.
    Growing(Blob, Growing),
}

impl Names {
    /// The image that a name of this registry stands for: `localhost:5000/proxy/ghcr.io/me/app` is
    /// `ghcr.io/me/app`.
    pub fn origin_of(&self, image: ImageReference) -> ImageReference {
        let name = RepositoryName::parse(image.repository()).filter(|_| self.is_own(&image));
        let upstream = name.as_ref().and_then(Proxied::of);
        match upstream.and_then(|upstream| upstream.image(&image.target())) {
            // Each name is shorter than the one around it.
            Some(origin) => self.origin_of(origin),
            None => image,
        }
    }
}

impl Registry {
    /// The cache of an image's repository.
    fn cache_of(&self, image: &ImageReference) -> Result<RepositoryName, UpstreamError> {
        let refused = |reason: &str| UpstreamError::Refused {
            host: image.host().to_owned(),
            reason: reason.to_owned(),
        };
        if self.is_own(image) {
            return Err(refused("this is a name of the registry itself"));
        }
        let configured = self.0.settings.upstreams.contains_key(image.host());
        if !configured && !PUBLIC.contains(&image.host()) {
            return Err(refused(
                "it is not among the registries that are read through this one; the option \
                 registry-upstream adds it",
            ));
        }
        image
            .cache_repository()
            .ok_or_else(|| refused("the name of the repository is too long"))
    }

    /// Copies a manifest, if the copy from before is not the right one any more.
    pub(super) async fn copy_manifest(
        &self,
        image: &ImageReference,
    ) -> Result<CopiedManifest, UpstreamError> {
        let cache = self.cache_of(image)?;
        let wanted = Wanted {
            image,
            credentials: None,
            previous: None,
        };
        let resolved = self.resolve(&wanted).await?;
        let target = image.target();
        let known = self.find(cache.as_str(), &target.to_string()).await?;
        let digest = resolved.found.digest.clone();
        if known.as_ref() == Some(&digest) {
            self.note_use(&cache, &digest).await?;
        } else {
            let tag = match &target {
                Reference::Tag(tag) => Some(tag),
                Reference::Digest(_) => None,
            };
            let kept = self.cache(&cache, tag, &resolved.found, PartsOf::Upstream);
            kept.await.map_err(|error| match error {
                RegistryError::InvalidImage(_)
                | RegistryError::UnsupportedManifest
                | RegistryError::MissingParts(_) => UpstreamError::Unsupported {
                    image: image.to_string(),
                    reason: error.to_string(),
                },
                error => error.into(),
            })?;
        }
        Ok(CopiedManifest {
            cache,
            digest,
            stale: resolved.stale,
        })
    }

    /// Copies a blob of an image's repository; only asks for it if `wanted` is false.
    pub(super) async fn copy_blob(
        &self,
        image: &ImageReference,
        digest: &Digest,
        wanted: bool,
    ) -> Result<CopiedBlob, UpstreamError> {
        let cache = self.cache_of(image)?;
        let (name, asked) = (cache.clone(), digest.clone());
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let stored = store::find_blob(tx, name.as_str(), &asked.clone().into())?;
            Ok::<_, DbError>((stored, store::find_awaited(tx, &name, &asked)?))
        };
        let (stored, awaited) = self.db().read(read).await.map_err(RegistryError::from)?;
        if stored.is_some() {
            return Ok(CopiedBlob::Stored(cache));
        }
        let session = self.upstreams().session(image, None)?;
        let from = BlobsOf {
            session: Some(&session),
            ..BlobsOf::default()
        };
        if self.may_use(digest, from).await? {
            self.show_copied(&cache, digest).await?;
            return Ok(CopiedBlob::Stored(cache));
        }
        let blob = match awaited {
            Some(blob) => blob,
            None => {
                let size = session.blob_size(digest).await?;
                let size = size.ok_or_else(|| session.lacks(digest))?;
                Blob {
                    digest: digest.clone(),
                    size,
                }
            }
        };
        let limit = self.cache_limit();
        if blob.size > limit {
            return Err(UpstreamError::Unsupported {
                image: image.to_string(),
                reason: format!("a blob of {} bytes is larger than the cache", blob.size),
            });
        }
        if !wanted {
            return Ok(CopiedBlob::Known(blob));
        }
        let download = Wish {
            session: &session,
            blob: blob.clone(),
            keep_in: Some(cache),
        };
        let growing = self.downloads().start(&download, Arc::default())?;
        Ok(CopiedBlob::Growing(blob, growing))
    }

    async fn show_copied(
        &self,
        cache: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), UpstreamError> {
        let (cache, blob, now) = (cache.clone(), digest.clone(), self.now());
        let shown = self
            .db()
            .write_without_wake(move |tx| store::arrive(tx, &cache, &blob, now));
        shown.await.map_err(RegistryError::from)?;
        Ok(())
    }

    /// Notes that a copy is used, now and then.
    async fn note_use(&self, cache: &RepositoryName, digest: &Digest) -> Result<(), RegistryError> {
        let (name, copy) = (cache.clone(), digest.clone());
        let read = move |tx: &crate::db::ReadTx<'_>| store::used_at(tx, &name, &copy);
        let noted = self.db().read(read).await?;
        if noted.is_some_and(|noted| noted > self.now().minus(NOTED)) {
            return Ok(());
        }
        self.use_copy(cache, digest).await
    }

    /// Notes that a copy is used.
    pub(super) async fn use_copy(
        &self,
        cache: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let (cache, digest, now) = (cache.clone(), digest.clone(), self.now());
        let used = self
            .db()
            .write_without_wake(move |tx| store::use_copy(tx, &cache, &digest, now));
        Ok(used.await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_registry_and_repository() {
        for (name, reference, image) in [
            (
                "proxy/docker.io/nginx",
                "1",
                Some("docker.io/library/nginx:1"),
            ),
            ("proxy/docker.io/me/app", "1", Some("docker.io/me/app:1")),
            ("proxy/ghcr.io/a/b/c", "x", Some("ghcr.io/a/b/c:x")),
            (
                "proxy/localhost__5001/a",
                "latest",
                Some("localhost:5001/a:latest"),
            ),
            ("proxy/docker.io", "1", None),
            ("proxy/me/app", "1", None),
            ("proxy/index.docker.io/nginx", "1", None),
        ] {
            let name = RepositoryName::parse(name).expect(name);
            let reference = Reference::parse(reference).expect(reference);
            let found = Proxied::of(&name).expect("another registry's");
            let found = found.image(&reference).map(|image| image.to_string());
            assert_eq!(found.as_deref(), image, "{name}");
        }
        let own = RepositoryName::parse("proxyx/docker.io/nginx").expect("a name");
        assert_eq!(Proxied::of(&own), None);
    }
}
