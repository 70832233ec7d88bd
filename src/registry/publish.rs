//! Publishing images: those that the platform composes, and manifests as they came.

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use crate::blobs::{Blob, Digest, Sha512Digest};
use crate::docker::ByteReader;

use super::digest::AnyDigest;
use super::image::{self, ImageChange, Manifest};
use super::manifest::{Contents, bare_type};
use super::name::{RepositoryName, Tag};
use super::store::{self, NewManifest, PartsOf};
use super::{MAX_DOCUMENT, Registry, RegistryError, saved};

/// A stored manifest.
pub(super) struct Published {
    pub(super) digest: Digest,
    /// The manifest it refers to.
    pub(super) subject: Option<AnyDigest>,
}

/// What an image consists of.
#[derive(Debug, Clone)]
pub struct ImageParts {
    /// Its manifest as stored.
    pub manifest: Vec<u8>,
    /// Configuration and layers, each once.
    pub blobs: Vec<Blob>,
}

impl Registry {
    /// Publishes a manifest whose blobs are in the store: image, index or artifact. It is stored
    /// byte for byte as given. Without a tag it is kept for an hour, or as long as another manifest
    /// of the repository needs it.
    pub async fn publish_manifest(
        &self,
        repository: &RepositoryName,
        tag: Option<&Tag>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, RegistryError> {
        let tags: Vec<Tag> = tag.cloned().into_iter().collect();
        let given = (media_type, bytes);
        let stored = self.store_manifest(repository, &tags, given, PartsOf::Store);
        Ok(stored.await?.digest)
    }

    /// Stores a manifest, given as media type and bytes, and moves the tags to it.
    pub(super) async fn store_manifest(
        &self,
        repository: &RepositoryName,
        tags: &[Tag],
        (media_type, bytes): (&str, Bytes),
        parts_of: PartsOf,
    ) -> Result<Published, RegistryError> {
        let media_type = bare_type(media_type);
        let contents = Contents::parse(media_type, &bytes)?;
        let alias = Sha512Digest::of(&bytes);
        let blob = self.0.blobs.put_bytes(bytes).await?;
        let subject = contents.subject.clone();
        let new = NewManifest {
            repository: repository.to_string(),
            tags: tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            digest: blob.digest.clone(),
            alias,
            media_type: media_type.to_owned(),
            contents,
        };
        let now = self.0.clock.now();
        self.0
            .db
            .write(move |tx| store::record(tx, &new, parts_of, now))
            .await?;
        let digest = blob.digest;
        Ok(Published { digest, subject })
    }

    /// Imports the single image of a `docker save` stream as `repository:tag`.
    pub async fn import_saved(
        &self,
        repository: &str,
        tag: &str,
        docker_save_tar: ByteReader,
    ) -> Result<Digest, RegistryError> {
        let names = names(repository, tag)?;
        let blobs = self.0.blobs.clone();
        let work = move |source| saved::read(&blobs, source);
        let image = self.0.blobs.consume(docker_save_tar, work).await??;
        let config = self.0.blobs.keep(image.config).await?;
        let mut layers: Vec<Blob> = Vec::new();
        for (digest, sealed) in image.layers {
            let known = layers.iter().find(|layer| layer.digest == digest).cloned();
            match (sealed, known) {
                (Some(sealed), _) => layers.push(self.0.blobs.keep(sealed).await?),
                (None, Some(same)) => layers.push(same),
                (None, None) => return Err(RegistryError::NotFound(digest)),
            }
        }
        self.publish(names, &Manifest::docker(&config, &layers))
            .await
    }

    /// Creates a new image: `base` with one more layer, an uncompressed tar. It is published as
    /// `target_repository:target_tag`; `base` is unchanged.
    pub async fn append_layer(
        &self,
        base: &Digest,
        layer: &Blob,
        target_repository: &str,
        target_tag: &str,
        change: ImageChange,
    ) -> Result<Digest, RegistryError> {
        let names = names(target_repository, target_tag)?;
        let manifest = Manifest::parse(&self.manifest_bytes(base).await?)?;
        let config = self.document(&manifest.config.digest).await?;
        let now = self.0.clock.now();
        let config = image::append_to_config(&config, &layer.digest, &change, now)?;
        let config = self.0.blobs.put_bytes(config).await?;
        self.publish(names, &manifest.with_layer(&config, layer))
            .await
    }

    /// The files of an image whose manifest is in the registry.
    pub async fn parts(&self, manifest: &Digest) -> Result<ImageParts, RegistryError> {
        let bytes = self.manifest_bytes(manifest).await?;
        let parsed = Manifest::parse(&bytes)?;
        let all = std::iter::once(&parsed.config).chain(&parsed.layers);
        let mut blobs: Vec<Blob> = all.map(image::Descriptor::blob).collect();
        blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
        blobs.dedup();
        Ok(ImageParts {
            manifest: bytes,
            blobs,
        })
    }

    /// Publishes an image that is in the registry under one more name.
    pub async fn share(
        &self,
        image: &Digest,
        repository: &str,
        tag: &str,
    ) -> Result<(), RegistryError> {
        let (repository, tag) = names(repository, tag)?;
        let (image, now) = (image.clone(), self.0.clock.now());
        let shared = self.0.db.write({
            let image = image.clone();
            move |tx| store::share_image(tx, &image, repository.as_str(), tag.as_str(), now)
        });
        if shared.await? {
            Ok(())
        } else {
            Err(RegistryError::NotFound(image))
        }
    }

    async fn publish(
        &self,
        (repository, tag): (RepositoryName, Tag),
        manifest: &Manifest,
    ) -> Result<Digest, RegistryError> {
        let bytes = Bytes::from(manifest.to_bytes());
        self.publish_manifest(&repository, Some(&tag), manifest.media_type(), bytes)
            .await
    }

    async fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let wanted = digest.clone();
        let found = self
            .0
            .db
            .read(move |tx| store::find_by_digest(tx, &wanted))
            .await?;
        match found {
            Some(found) => self.document(&found.blob.digest).await,
            None => Err(RegistryError::NotFound(digest.clone())),
        }
    }

    /// Reads a small blob into memory.
    pub(super) async fn document(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let found = self.0.blobs.find(digest).await?;
        let blob = found.ok_or_else(|| RegistryError::NotFound(digest.clone()))?;
        if blob.size > MAX_DOCUMENT {
            return Err(RegistryError::unreadable(digest, &"too large"));
        }
        let mut bytes = Vec::new();
        self.open_checked(&blob)
            .await?
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| RegistryError::unreadable(digest, &error))?;
        Ok(bytes)
    }
}

fn names(repository: &str, tag: &str) -> Result<(RepositoryName, Tag), RegistryError> {
    let name = RepositoryName::parse(repository)
        .ok_or_else(|| RegistryError::InvalidName(repository.to_owned()))?;
    let tag = Tag::parse(tag).ok_or_else(|| RegistryError::InvalidName(tag.to_owned()))?;
    Ok((name, tag))
}
