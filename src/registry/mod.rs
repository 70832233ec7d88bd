//! The embedded registry: stacks and droplets as images that the Docker daemon pulls from
//! 127.0.0.1.
//!
//! Staging ends with a layer; [`Registry::append_layer`] puts it on the stack's image and shows the
//! result in a repository named after the droplet, and instances start from it by digest. Stack
//! images come in through [`Registry::import_saved`]. Bytes are blobs of [`crate::blobs`];
//! manifests, repositories and tags are rows.
//!
//! Invariants:
//! - A blob is readable only through a repository that shows a manifest which needs it.
//! - Manifests and configurations are answered byte for byte as stored.
//! - Layers made here are uncompressed tars: their digest is their diff id, equal layers of many
//!   droplets are one blob, and nothing is spent on compressing for a daemon on the same machine.
//! - A manifest without tag or repository loses its blobs only to a sweep with a time of grace, so
//!   that a pull under way ends well.
//!
//! What is absent on purpose: TLS (the daemon takes 127.0.0.0/8 for trusted and falls back to plain
//! HTTP when the port answers its hello with bytes that start `HTTP/`) and compression of answers.

mod access;
mod api;
mod image;
mod name;
mod range;
mod refusal;
mod saved;
mod serve;
pub mod store;
mod target;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Secret, Timestamp};
use crate::blobs::{Blob, BlobError, Blobs, Digest};
use crate::db::{Db, DbError, VaultError};
use crate::docker::{ByteReader, RegistryAuth};
use crate::net::server::{Listener, ServeError, Server};

pub use access::{USER, token};
pub use image::ImageChange;
pub use name::{Reference, RepositoryName, Tag};

use image::Manifest;

/// How long a manifest outlives its last tag.
const UNTAGGED_GRACE: Duration = Duration::from_secs(3600);
/// Manifests and configurations are read into memory; images made here stay far below.
const LARGEST_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Why an image could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A repository or tag that the distribution specification does not allow.
    #[error("{0:?} is no valid name of a repository or tag")]
    InvalidName(String),
    /// What came in is no image that can be used.
    #[error("invalid image: {0}")]
    InvalidImage(String),
    /// There is no such image.
    #[error("the registry holds no image {0}")]
    NotFound(Digest),
    /// A blob's bytes do not match its row.
    #[error("blob {digest} cannot be read: {reason}")]
    Unreadable {
        /// Which blob.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// The token cannot be read.
    #[error("the registry's token: {0}")]
    Token(#[from] VaultError),
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl RegistryError {
    fn unreadable(digest: &Digest, reason: &impl ToString) -> Self {
        Self::Unreadable {
            digest: digest.clone(),
            reason: reason.to_string(),
        }
    }
}

/// How the registry is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port the listener got.
    pub port: u16,
    /// From [`token`].
    pub token: Secret<String>,
    /// Whether everybody who reaches the port may pull.
    pub anonymous_pull: bool,
}

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    blobs: Blobs,
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl Registry {
    /// A registry over these blobs.
    pub fn new(blobs: Blobs, db: Db, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            blobs,
            db,
            clock,
            settings,
        }))
    }

    /// Everything under `/v2/`.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// Answers on `listener` until `token` is cancelled and the requests under way are done.
    pub async fn serve(
        &self,
        listener: TcpListener,
        token: CancellationToken,
    ) -> Result<(), ServeError> {
        let front = serve::Front {
            router: self.router(),
            runtime: Handle::current(),
        };
        let listeners = vec![Listener::plain(listener.into_std()?)];
        let server = Server::new(listeners, front, serve::limits());
        Arc::new(server).run(token).await
    }

    /// `127.0.0.1:PORT/repository@sha256:…`, as the daemon pulls it.
    pub fn reference(&self, repository: &str, digest: &Digest) -> String {
        format!("127.0.0.1:{}/{repository}@{digest}", self.0.settings.port)
    }

    /// What the daemon shows to pull.
    pub fn auth(&self) -> RegistryAuth {
        RegistryAuth {
            username: USER.to_owned(),
            password: self.0.settings.token.clone(),
        }
    }

    /// The manifest a repository shows under a tag or digest.
    pub async fn find(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Option<Digest>, RegistryError> {
        let invalid = || RegistryError::InvalidName(format!("{repository}:{reference}"));
        let parsed = Reference::parse(reference).ok_or_else(invalid)?;
        let name = RepositoryName::parse(repository).ok_or_else(invalid)?;
        let found = self
            .0
            .db
            .read(move |tx| store::find(tx, name.as_str(), &parsed))
            .await?;
        Ok(found.map(|manifest| manifest.blob.digest))
    }

    /// Takes in the one image of a `docker save` stream and shows it under `repository:tag`.
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
        self.show(names, &Manifest::docker(&config, &layers)).await
    }

    /// Makes a new image: `base` with one more layer, an uncompressed tar. It is shown under
    /// `target_repository:target_tag`; `base` stays as it is.
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
        self.show(names, &manifest.with_layer(&config, layer)).await
    }

    /// Removes a repository; see [`store::remove_repository`] for use in a transaction.
    pub async fn remove_repository(&self, repository: &str) -> Result<(), RegistryError> {
        let repository = repository.to_owned();
        self.0
            .db
            .write(move |tx| store::remove_repository(tx, &repository))
            .await?;
        Ok(())
    }

    /// Gives up manifests that lost their last tag a while ago. Run it before
    /// [`Blobs::sweep`], which then removes their bytes.
    pub async fn sweep(&self) -> Result<(), RegistryError> {
        let now = self.0.clock.now().as_micros();
        let grace = i64::try_from(UNTAGGED_GRACE.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(now.saturating_sub(grace));
        self.0
            .db
            .write_without_wake(move |tx| store::remove_untagged(tx, before))
            .await?;
        Ok(())
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    async fn show(
        &self,
        (repository, tag): (String, String),
        manifest: &Manifest,
    ) -> Result<Digest, RegistryError> {
        let blob = self.0.blobs.put_bytes(manifest.to_bytes()).await?;
        let new = store::NewManifest {
            repository,
            tag,
            digest: blob.digest.clone(),
            media_type: manifest.media_type().to_owned(),
            parts: manifest.parts().cloned().collect(),
        };
        let now = self.0.clock.now();
        self.0
            .db
            .write(move |tx| store::record(tx, &new, now))
            .await?;
        Ok(blob.digest)
    }

    async fn manifest_bytes(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let wanted = digest.clone();
        let found = self
            .0
            .db
            .read(move |tx| store::find_anywhere(tx, &wanted))
            .await?;
        match found {
            Some(found) => self.document(&found.blob.digest).await,
            None => Err(RegistryError::NotFound(digest.clone())),
        }
    }

    /// A small blob in memory.
    async fn document(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let found = self.0.blobs.find(digest).await?;
        let blob = found.ok_or_else(|| RegistryError::NotFound(digest.clone()))?;
        if blob.size > LARGEST_DOCUMENT {
            return Err(RegistryError::unreadable(digest, &"too large"));
        }
        let mut bytes = Vec::new();
        self.open_whole(&blob)
            .await?
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| RegistryError::unreadable(digest, &error))?;
        Ok(bytes)
    }

    /// A listed blob's file, after a look at its size: a short answer would pass for a network
    /// fault and be asked for again and again.
    async fn open_whole(&self, blob: &Blob) -> Result<tokio::fs::File, RegistryError> {
        let digest = &blob.digest;
        let file = self.0.blobs.read(digest).await?;
        let file = file.ok_or_else(|| RegistryError::unreadable(digest, &"its file is missing"))?;
        let metadata = file.metadata().await;
        let length = metadata
            .map_err(|error| RegistryError::unreadable(digest, &error))?
            .len();
        if length != blob.size {
            let reason = format!("{length} bytes instead of {}", blob.size);
            return Err(RegistryError::unreadable(digest, &reason));
        }
        Ok(file)
    }
}

fn names(repository: &str, tag: &str) -> Result<(String, String), RegistryError> {
    let repository = RepositoryName::parse(repository)
        .ok_or_else(|| RegistryError::InvalidName(repository.to_owned()))?;
    let tag = Tag::parse(tag).ok_or_else(|| RegistryError::InvalidName(tag.to_owned()))?;
    Ok((repository.to_string(), tag.as_str().to_owned()))
}

#[cfg(test)]
mod tests;
