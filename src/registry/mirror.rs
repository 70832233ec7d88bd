//! Copies an image from another registry: the manifest for the daemon's platform and all its blobs,
//! so that everything that starts later needs only this registry.
//!
//! A copy is published in two places: in the repository of whoever asked, and, if it was fetched
//! without credentials, in a cache repository named after its origin, where later requests find it.
//! An image that needed credentials is in no cache: nobody else may read it through this registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::base;
use crate::blobs::{Blob, Digest};

use super::image_config::ImageConfig;
use super::name::{Reference, RepositoryName, Tag};
use super::upstream::{Credentials, Found, ImageReference, Session, UpstreamError};
use super::{Registry, RegistryError, store};

/// Blobs of one image that are downloaded at once.
const AT_ONCE: usize = 3;
/// How often a long download reports its progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// What to copy, for whom.
#[derive(Debug)]
pub struct MirrorRequest {
    /// The image.
    pub image: ImageReference,
    /// Used for this copy only.
    pub credentials: Option<Credentials>,
    /// `linux/amd64`.
    pub platform: String,
    /// Where the copy is published, with the tag `latest`.
    pub repository: String,
    /// The newest copy of the same image that the same owner has.
    pub previous: Option<Digest>,
}

/// A copy.
#[derive(Debug)]
pub struct Mirrored {
    /// Its manifest, which is for one platform.
    pub digest: Digest,
    /// What it runs.
    pub config: ImageConfig,
    /// Bytes of its layers as they are transferred.
    pub size: u64,
}

/// The manifest or index that a reference stands for.
struct Resolved {
    found: Found,
    /// Asks the image's registry for what is missing; `None` when it is not to be asked.
    session: Option<Session>,
}

impl Registry {
    /// Copies an image; texts about what happens go to `progress`.
    pub async fn mirror(
        &self,
        request: &MirrorRequest,
        progress: &UnboundedSender<String>,
    ) -> Result<Mirrored, UpstreamError> {
        let resolved = self.resolve(request, progress).await?;
        let (top, session) = (resolved.found, resolved.session);
        let manifest = if is_index(&top) {
            let child = choose(&top, &request.platform)?;
            self.child(&child, session.as_ref(), request).await?
        } else {
            top.clone()
        };
        let parsed = parse(&manifest, request)?;
        let parts = parts(&parsed, request)?;
        // Whether the image can be used is known before its layers are downloaded.
        let (first, layers) = parts.split_at(1);
        let mut fetched = self.fetch(first, session.as_ref(), progress).await?;
        let config = self.read_config(&first[0], request).await?;
        fetched += self.fetch(layers, session.as_ref(), progress).await?;
        let size: u64 = layers.iter().map(|layer| layer.size).sum();
        // What its registry just gave to someone without credentials is for everyone; a copy from
        // before may have needed some.
        let public = request.credentials.is_none() && session.is_some();
        self.publish_copy(request, (&top, &manifest), public)
            .await?;
        let say = |text: String| drop(progress.send(text));
        say(format!("Digest: {}", manifest.digest));
        say(format!(
            "{} layers ({}), {} downloaded",
            layers.len(),
            short(size),
            short(fetched)
        ));
        tell_move(request, &manifest.digest, progress);
        Ok(Mirrored {
            digest: manifest.digest,
            config,
            size,
        })
    }

    /// Asks the image's registry, or takes the copy from before when that is allowed.
    async fn resolve(
        &self,
        request: &MirrorRequest,
        progress: &UnboundedSender<String>,
    ) -> Result<Resolved, UpstreamError> {
        let (image, target) = (&request.image, request.image.target());
        if self.is_own(image) {
            return self.resolve_own(image, &target).await;
        }
        let cached = match image.cache_repository() {
            Some(cache) => self.local(&cache, &target).await?,
            None => None,
        };
        let session = self.upstreams().session(image, request.credentials.clone());
        let cached = match (&target, cached) {
            // What a digest stands for never changes.
            (Reference::Digest(_), Some(found)) => {
                return Ok(Resolved {
                    found,
                    session: session.ok(),
                });
            }
            (_, cached) => cached,
        };
        let session = session?;
        let error = match self.ask(&session, &target, cached.as_ref()).await {
            Ok(found) => {
                let session = Some(session);
                return Ok(Resolved { found, session });
            }
            Err(error) => error,
        };
        let denied = matches!(
            error,
            UpstreamError::Unauthorized {
                with_credentials: false,
                ..
            }
        );
        let previous = match &request.previous {
            Some(digest) if denied || error.allows_stale() => self.any(digest).await?,
            _ => None,
        };
        let cached = cached.filter(|_| error.allows_stale());
        // The owner's own copy comes first: it may be one that needs credentials.
        let Some(found) = previous.or(cached) else {
            return Err(error);
        };
        let text = format!("{error}; using the copy of this image from before");
        drop(progress.send(format!("Warning: {text}")));
        Ok(Resolved {
            found,
            session: None,
        })
    }

    /// An image that was pushed to this registry.
    async fn resolve_own(
        &self,
        image: &ImageReference,
        target: &Reference,
    ) -> Result<Resolved, UpstreamError> {
        let found = match RepositoryName::parse(image.repository()) {
            Some(repository) => self.local(&repository, target).await?,
            None => None,
        };
        let found = found.ok_or_else(|| UpstreamError::NotFound {
            image: image.to_string(),
        })?;
        Ok(Resolved {
            found,
            session: None,
        })
    }

    /// The manifest from the image's registry; not sent again when it is known.
    async fn ask(
        &self,
        session: &Session,
        target: &Reference,
        cached: Option<&Found>,
    ) -> Result<Found, UpstreamError> {
        if let Some(cached) = cached
            && session.head(target).await? == Some(cached.digest.clone())
        {
            return Ok(cached.clone());
        }
        session.manifest(target).await
    }

    /// The manifest of an index's entry. Who knows its digest may still not be allowed to read it,
    /// so copies for others do not count.
    async fn child(
        &self,
        digest: &Digest,
        session: Option<&Session>,
        request: &MirrorRequest,
    ) -> Result<Found, UpstreamError> {
        let target = Reference::Digest(digest.clone().into());
        let shown = if self.is_own(&request.image) {
            RepositoryName::parse(request.image.repository())
        } else {
            request.image.cache_repository()
        };
        if let Some(repository) = shown
            && let Some(found) = self.local(&repository, &target).await?
        {
            return Ok(found);
        }
        match session {
            Some(session) => session.manifest(&target).await,
            None => Err(UpstreamError::Unsupported {
                image: request.image.to_string(),
                reason: format!("its copy lacks the manifest for {}", request.platform),
            }),
        }
    }

    /// Downloads the blobs that are missing; returns how many bytes that were.
    async fn fetch(
        &self,
        parts: &[Blob],
        session: Option<&Session>,
        progress: &UnboundedSender<String>,
    ) -> Result<u64, UpstreamError> {
        let mut missing: Vec<Blob> = Vec::new();
        for blob in parts {
            let known = self.blobs().renew(&blob.digest).await;
            let known = known.map_err(RegistryError::from)?;
            if known.is_none() && !missing.contains(blob) {
                missing.push(blob.clone());
            }
        }
        let total: u64 = missing.iter().map(|blob| blob.size).sum();
        let Some(first) = missing.first() else {
            return Ok(0);
        };
        let Some(session) = session else {
            return Err(RegistryError::NotFound(first.digest.clone()).into());
        };
        let received = Arc::new(AtomicU64::new(0));
        let mut downloads = stream::iter(missing)
            .map(|blob| self.downloads().fetch(session, blob, received.clone()))
            .buffer_unordered(AT_ONCE);
        let mut ticks = tokio::time::interval(PROGRESS);
        ticks.tick().await;
        loop {
            tokio::select! {
                done = downloads.next() => match done {
                    Some(done) => done?,
                    None => return Ok(total),
                },
                _ = ticks.tick() => {
                    let so_far = short(received.load(Ordering::Relaxed));
                    drop(progress.send(format!("Downloaded {so_far} of {}", short(total))));
                }
            }
        }
    }

    async fn read_config(
        &self,
        config: &Blob,
        request: &MirrorRequest,
    ) -> Result<ImageConfig, UpstreamError> {
        let unsupported = |reason: String| UpstreamError::Unsupported {
            image: request.image.to_string(),
            reason,
        };
        let bytes = self.document(&config.digest).await?;
        let config = ImageConfig::parse(&bytes).map_err(unsupported)?;
        if !config.runs_on(&request.platform) {
            let (is, wanted) = (&config.platform, &request.platform);
            return Err(unsupported(format!(
                "it is for {is}, and this machine runs {wanted}"
            )));
        }
        Ok(config)
    }

    async fn publish_copy(
        &self,
        request: &MirrorRequest,
        (top, manifest): (&Found, &Found),
        public: bool,
    ) -> Result<(), UpstreamError> {
        let invalid = || RegistryError::InvalidName(request.repository.clone());
        let own = RepositoryName::parse(&request.repository).ok_or_else(invalid)?;
        let publish = |repository: RepositoryName, tag: Option<Tag>, found: &Found| {
            let found = found.clone();
            async move {
                self.publish_manifest(&repository, tag.as_ref(), &found.media_type, found.bytes)
                    .await
            }
        };
        if let Some(cache) = request.image.cache_repository().filter(|_| public) {
            let tag = request.image.tag().cloned();
            let tag = tag.filter(|_| matches!(request.image.target(), Reference::Tag(_)));
            if is_index(top) {
                publish(cache.clone(), None, manifest).await?;
            }
            publish(cache, tag, top).await?;
        }
        publish(own, Some(Tag::latest()), manifest).await?;
        Ok(())
    }

    /// A manifest in a repository of this registry.
    async fn local(
        &self,
        repository: &RepositoryName,
        target: &Reference,
    ) -> Result<Option<Found>, UpstreamError> {
        let (name, target) = (repository.clone(), target.clone());
        let read = move |tx: &crate::db::ReadTx<'_>| store::find(tx, name.as_str(), &target);
        let found = self.db().read(read).await.map_err(RegistryError::from)?;
        self.with_bytes(found).await
    }

    /// A manifest in any repository of this registry.
    async fn any(&self, digest: &Digest) -> Result<Option<Found>, UpstreamError> {
        let wanted = digest.clone();
        let read = move |tx: &crate::db::ReadTx<'_>| store::find_by_digest(tx, &wanted);
        let found = self.db().read(read).await.map_err(RegistryError::from)?;
        self.with_bytes(found).await
    }

    async fn with_bytes(
        &self,
        found: Option<store::StoredManifest>,
    ) -> Result<Option<Found>, UpstreamError> {
        let Some(found) = found else { return Ok(None) };
        let bytes = self.document(&found.blob.digest).await?;
        Ok(Some(Found {
            digest: found.blob.digest,
            media_type: found.media_type,
            bytes: Bytes::from(bytes),
        }))
    }
}

fn tell_move(request: &MirrorRequest, now: &Digest, progress: &UnboundedSender<String>) {
    if let (Some(before), Reference::Tag(tag)) = (&request.previous, request.image.target())
        && before != now
    {
        let tag = tag.as_str();
        let text = format!("The tag {tag} has moved: it was {before}, it is now {now}");
        drop(progress.send(text));
    }
}

fn is_index(found: &Found) -> bool {
    found.media_type.ends_with("image.index.v1+json")
        || found.media_type.ends_with("manifest.list.v2+json")
}

/// The entry of an index for a platform. Attestations are for `unknown/unknown`.
fn choose(index: &Found, platform: &str) -> Result<Digest, UpstreamError> {
    let none = || UpstreamError::NoPlatform {
        platform: platform.to_owned(),
    };
    let parsed = ImageIndex::from_reader(&index.bytes[..]).map_err(|_| none())?;
    let matching = |descriptor: &&Descriptor| {
        descriptor.platform().as_ref().is_some_and(|entry| {
            let name = format!("{}/{}", entry.os(), entry.architecture());
            let variant = entry.variant().as_deref().unwrap_or_default();
            name == platform || format!("{name}/{variant}") == platform
        })
    };
    let entry = parsed.manifests().iter().find(matching).ok_or_else(none)?;
    Digest::parse(entry.digest().as_ref()).map_err(|_| none())
}

fn parse(manifest: &Found, request: &MirrorRequest) -> Result<ImageManifest, UpstreamError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        schema_version: u32,
    }
    let unsupported = |reason: String| UpstreamError::Unsupported {
        image: request.image.to_string(),
        reason,
    };
    let version: Result<Version, _> = serde_json::from_slice(&manifest.bytes);
    if let Ok(Version { schema_version: 1 }) = version {
        let reason = "its manifest is of schema 1, which is no longer supported";
        return Err(unsupported(reason.to_owned()));
    }
    ImageManifest::from_reader(&manifest.bytes[..])
        .map_err(|error| unsupported(format!("its manifest: {error}")))
}

/// Configuration and layers.
fn parts(manifest: &ImageManifest, request: &MirrorRequest) -> Result<Vec<Blob>, UpstreamError> {
    let unsupported = |reason: String| UpstreamError::Unsupported {
        image: request.image.to_string(),
        reason,
    };
    let all = std::iter::once(manifest.config()).chain(manifest.layers());
    let blob = |descriptor: &Descriptor| {
        let kind = descriptor.media_type().to_string();
        if kind.contains("foreign") || kind.contains("nondistributable") {
            return Err(unsupported(
                "it has layers that must not be copied".to_owned(),
            ));
        }
        let digest = Digest::parse(descriptor.digest().as_ref())
            .map_err(|error| unsupported(error.to_string()))?;
        Ok(Blob {
            digest,
            size: descriptor.size(),
        })
    };
    let parts: Vec<Blob> = all.map(blob).collect::<Result<_, _>>()?;
    let mut sizes = parts.iter().map(|part| part.size);
    let total = sizes.try_fold(0_u64, |total, size| total.checked_add(size));
    match total.map(i64::try_from) {
        Some(Ok(_)) => Ok(parts),
        _ => Err(unsupported("its sizes are impossible".to_owned())),
    }
}

fn short(bytes: u64) -> String {
    base::Bytes(i64::try_from(bytes).unwrap_or(i64::MAX)).to_short()
}
