//! Images that the Docker daemon has, known here without the bytes of their layers.
//!
//! A daemon that knows a layer by its digest does not ask for it, whichever image names it. So an
//! image that came to a machine with its daemon, as in a box, is listed by its configuration and the
//! sizes of its layers, at no cost; droplets are composed on it. Its manifest waits for the layers
//! as a copy of another registry's image does, and the daemon gives them when somebody reads one:
//! another daemon, a client or a bundle.
//!
//! The id of an image in a daemon is the digest of its configuration: that is how it is found again.

use bytes::Bytes;

use crate::blobs::{Blob, Digest};
use crate::db::DbError;
use crate::docker::Engine;

use super::image::{self, Manifest};
use super::name::{RepositoryName, Tag};
use super::store::{self, PartsOf};
use super::{Registry, RegistryError, saved};

/// An image of the daemon.
#[derive(Debug, Clone)]
pub struct HeldImage {
    /// Its configuration, byte for byte: the image's id is its digest.
    pub config: Vec<u8>,
    /// Digests and sizes of its uncompressed layers, base first.
    pub layers: Vec<Blob>,
}

impl HeldImage {
    /// The image's id in the daemon.
    pub fn id(&self) -> Digest {
        Digest::of(&self.config)
    }
}

impl Registry {
    /// Lists an image of the daemon as `repository:tag`.
    pub async fn adopt(
        &self,
        repository: &str,
        tag: &str,
        held: HeldImage,
    ) -> Result<Digest, RegistryError> {
        let name = RepositoryName::parse(repository).zip(Tag::parse(tag));
        let (name, tag) = name.ok_or_else(|| RegistryError::InvalidName(repository.to_owned()))?;
        let listed: Vec<&Digest> = held.layers.iter().map(|layer| &layer.digest).collect();
        if !image::diff_ids(&held.config)?.iter().eq(listed) {
            let why = "the list of layers is not that of the configuration";
            return Err(RegistryError::InvalidImage(why.to_owned()));
        }
        let config = self.blobs().put_bytes(held.config).await?;
        let manifest = Manifest::docker(&config, &held.layers);
        let given = (manifest.media_type(), Bytes::from(manifest.to_bytes()));
        let tags = [tag];
        let stored = self.store_manifest(&name, &tags, given, PartsOf::Daemon);
        Ok(stored.await?.digest)
    }

    /// Gets a layer that a manifest of the repository waits for from the daemon, together with the
    /// others of its image; false if there is no such layer, or the daemon has not the image any more.
    pub(super) async fn restore(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let Some(engine) = &self.0.daemon else {
            return Ok(false);
        };
        // Those who ask meanwhile find it here.
        let _one = self.0.restoring.lock().await;
        let (name, wanted) = (repository.clone(), digest.clone());
        let read = move |tx: &crate::db::ReadTx<'_>| {
            if store::find_awaited(tx, &name, &wanted)?.is_none() {
                return Ok::<_, DbError>(Vec::new());
            }
            store::held_in_daemon(tx, &wanted)
        };
        for manifest in self.db().read(read).await? {
            let bytes = self.document(&manifest).await?;
            let id = Manifest::parse(&bytes)?.config.digest.to_string();
            if self.restore_image(&**engine, repository, &id).await? {
                return Ok(true);
            }
        }
        // Another request may have been first.
        Ok(self.blobs().find(digest).await?.is_some())
    }

    /// The same for all layers of an image in a repository.
    pub(super) async fn restore_all(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
    ) -> Result<(), RegistryError> {
        let wanted = manifest.clone();
        let read = move |tx: &crate::db::ReadTx<'_>| store::awaited_by(tx, &wanted);
        if let Some(first) = self.db().read(read).await?.first() {
            self.restore(repository, first).await?;
        }
        Ok(())
    }

    async fn restore_image(
        &self,
        engine: &dyn Engine,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<bool, RegistryError> {
        if engine.image(id).await?.is_none() {
            return Ok(false);
        }
        tracing::info!(
            image = id,
            "reading the layers of an image from the Docker daemon"
        );
        let saved = engine.save(id).await?;
        let blobs = self.blobs().clone();
        let work = move |source| saved::read(&blobs, source);
        let image = self.blobs().consume(saved, work).await??;
        let (name, now) = (repository.clone(), self.now());
        let mut arrived = Vec::new();
        for (digest, sealed) in image.layers {
            if let Some(sealed) = sealed {
                self.blobs().keep(sealed).await?;
            }
            arrived.push(digest);
        }
        let write = move |tx: &crate::db::WriteTx<'_>| {
            for digest in &arrived {
                store::arrive(tx, &name, digest, now)?;
            }
            Ok::<_, DbError>(())
        };
        self.db().write_without_wake(write).await?;
        Ok(true)
    }
}
