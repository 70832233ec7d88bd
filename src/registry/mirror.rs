//! Copies an image from another registry: the manifest for the daemon's platform and all its blobs,
//! so that everything that starts later needs only this registry.
//!
//! A copy is published in two places: in the repository of whoever asked, and, if it was fetched
//! without credentials, in a cache repository named after its origin, where later requests find it.
//! An image that needed credentials is in no cache: nobody else may read it through this registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::base;
use crate::blobs::{Blob, Digest};

use super::downloads::Wish;
use super::image_config::ImageConfig;
use super::name::{Reference, RepositoryName, Tag};
use super::resolve::Wanted;
use super::store::PartsOf;
use super::upstream::{Credentials, Found, ImageReference, Session, UpstreamError};
use super::{Registry, RegistryError, store};

/// Blobs of one image that are downloaded at once.
const AT_ONCE: usize = 3;
/// How often a long download reports its progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// How often the parts of an image are kept from the sweep while others are downloaded.
const RENEWAL: Duration = Duration::from_secs(600);

/// Where the blobs of an image may come from, besides the caches, which are for everybody.
#[derive(Clone, Copy, Default)]
pub(super) struct BlobsOf<'a> {
    /// The image's registry.
    pub(super) session: Option<&'a Session>,
    /// The repository of this registry that the image is in.
    pub(super) own: Option<&'a RepositoryName>,
    /// A copy from before that the same owner has.
    pub(super) previous: Option<&'a Digest>,
}

/// What to copy, for whom.
#[derive(Debug)]
pub struct MirrorRequest {
    /// The image.
    pub image: ImageReference,
    /// Used for this copy only.
    pub credentials: Option<Credentials>,
    /// `linux/amd64`.
    pub platform: String,
    /// Where the copy is published, with the tag `latest`, besides the cache.
    pub repository: Option<String>,
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

impl Registry {
    /// Copies an image; texts about what happens go to `progress`.
    pub async fn mirror(
        &self,
        request: &MirrorRequest,
        progress: &UnboundedSender<String>,
    ) -> Result<Mirrored, UpstreamError> {
        let wanted = Wanted {
            image: &request.image,
            credentials: request.credentials.as_ref(),
            previous: request.previous.as_ref(),
        };
        let resolved = self.resolve(&wanted).await?;
        if let Some(error) = &resolved.stale {
            let text = format!("Warning: {error}; using the copy of this image from before");
            drop(progress.send(text));
        }
        let (top, session) = (resolved.found, resolved.session.as_ref());
        let manifest = if is_index(&top) {
            let child = choose(&top, &request.platform)?;
            self.child(&child, session, request).await?
        } else {
            top.clone()
        };
        let parsed = parse(&manifest, request)?;
        let parts = parts(&parsed, request)?;
        // Whether the image can be used is known before its layers are downloaded.
        let (first, layers) = parts.split_at(1);
        let from = BlobsOf {
            session,
            own: resolved.own.as_ref(),
            previous: request.previous.as_ref(),
        };
        let fetch = |some| self.fetch((some, &parts), from, (request, progress));
        let mut fetched = fetch(first).await?;
        let config = self.read_config(&first[0], request).await?;
        fetched += fetch(layers).await?;
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

    /// Downloads the blobs of `parts` that are missing; returns how many bytes that were. All others
    /// of the image are kept meanwhile.
    async fn fetch(
        &self,
        (parts, all): (&[Blob], &[Blob]),
        from: BlobsOf<'_>,
        (request, progress): (&MirrorRequest, &UnboundedSender<String>),
    ) -> Result<u64, UpstreamError> {
        let mut missing: Vec<Blob> = Vec::new();
        for blob in parts {
            if !missing.contains(blob) && !self.may_use(&blob.digest, from).await? {
                missing.push(blob.clone());
            }
        }
        let total: u64 = missing.iter().map(|blob| blob.size).sum();
        if missing.is_empty() {
            return Ok(0);
        }
        let Some(session) = from.session else {
            return Err(UpstreamError::Unsupported {
                image: request.image.to_string(),
                reason: "its copy is not complete, and its registry is not asked".to_owned(),
            });
        };
        let received = Arc::new(AtomicU64::new(0));
        let download = |blob| {
            let wish = Wish {
                session,
                blob,
                keep_in: None,
            };
            self.downloads().fetch(wish, received.clone())
        };
        let mut downloads = stream::iter(missing)
            .map(download)
            .buffer_unordered(AT_ONCE);
        let mut ticks = tokio::time::interval(PROGRESS);
        ticks.tick().await;
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                done = downloads.next() => match done {
                    Some(done) => done?,
                    None => return Ok(total),
                },
                _ = ticks.tick() => {
                    let so_far = short(received.load(Ordering::Relaxed));
                    drop(progress.send(format!("Downloaded {so_far} of {}", short(total))));
                    if renewed.elapsed() > RENEWAL {
                        renewed = Instant::now();
                        self.renew(all).await?;
                    }
                }
            }
        }
    }

    /// Keeps the parts that are here: no manifest names them before all of them are.
    async fn renew(&self, parts: &[Blob]) -> Result<(), UpstreamError> {
        for blob in parts {
            let renewed = self.blobs().renew(&blob.digest).await;
            renewed.map_err(RegistryError::from)?;
        }
        Ok(())
    }

    /// Whether a blob is in the store and the image may have it. A manifest may name what its author
    /// cannot read, and another registry may say that it has what it has not, so knowing a digest is
    /// not enough.
    pub(super) async fn may_use(
        &self,
        digest: &Digest,
        from: BlobsOf<'_>,
    ) -> Result<bool, UpstreamError> {
        let known = self.blobs().renew(digest).await;
        if known.map_err(RegistryError::from)?.is_none() {
            return Ok(false);
        }
        let downloaded = |session| self.downloads().came_from(session, digest);
        if from.session.is_some_and(downloaded) {
            return Ok(true);
        }
        let (blob, own, previous) = (digest.clone(), from.own.cloned(), from.previous.cloned());
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let wanted = blob.clone().into();
            let cached = store::find_cached(tx, &wanted)?.is_some();
            let own = match &own {
                Some(own) => store::find_blob(tx, own.as_str(), &wanted)?.is_some(),
                None => false,
            };
            let previous = match &previous {
                Some(manifest) => store::names_part(tx, manifest, &blob)?,
                None => false,
            };
            Ok::<_, RegistryError>(cached || own || previous)
        };
        Ok(self.db().read(read).await?)
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
        let cache = request.image.cache_repository().filter(|_| public);
        if let Some(cache) = &cache {
            let tag = request.image.tag().cloned();
            let tag = tag.filter(|_| matches!(request.image.target(), Reference::Tag(_)));
            self.cache(cache, tag.as_ref(), top, PartsOf::Store).await?;
            if is_index(top) {
                self.cache(cache, None, manifest, PartsOf::Store).await?;
            }
        }
        if let Some(name) = &request.repository {
            let invalid = || RegistryError::InvalidName(name.clone());
            let own = RepositoryName::parse(name).ok_or_else(invalid)?;
            let (kind, bytes) = (&manifest.media_type, manifest.bytes.clone());
            self.publish_manifest(&own, Some(&Tag::latest()), kind, bytes)
                .await?;
        }
        Ok(())
    }

    /// Keeps a copy of another registry's manifest.
    pub(super) async fn cache(
        &self,
        cache: &RepositoryName,
        tag: Option<&Tag>,
        found: &Found,
        parts_of: PartsOf,
    ) -> Result<(), RegistryError> {
        let tags: Vec<Tag> = tag.cloned().into_iter().collect();
        let given = (found.media_type.as_str(), found.bytes.clone());
        self.store_manifest(cache, &tags, given, parts_of).await?;
        self.use_copy(cache, &found.digest).await
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
