//! The embedded image registry on 127.0.0.1: serves stacks, droplets and copies of other registries'
//! images to the Docker daemon, and takes what clients push, as the OCI distribution specification
//! 1.1 has it.
//!
//! Staging produces a layer; [`Registry::append_layer`] appends it to the stack's image and
//! publishes the result in a repository named after the droplet; instances start from it by digest.
//! Stack images are imported with [`Registry::import_saved`]. Content is stored as blobs of
//! [`crate::blobs`]; manifests, repositories and tags are rows.
//!
//! Invariants:
//! - A blob is readable only through a repository that shows it: it was pushed or mounted there, or
//!   the platform published a manifest with it.
//! - Manifests and configurations are served byte for byte as stored.
//! - Layers created here are uncompressed tars: their digest is their diff id, equal layers of many
//!   droplets are one blob, and no time is spent on compression for a daemon on the same machine.
//! - What no tag needs is removed only by a sweep with a grace period, so that a running pull or
//!   push can complete. A manifest is also needed by an index that names it, and by the manifest
//!   that it refers to, in the same repository.
//!
//! Omitted on purpose: TLS (the daemon trusts 127.0.0.0/8 and falls back to plain HTTP if the
//! response to its TLS hello starts with `HTTP/`) and compression of responses.

mod access;
mod api;
mod apps;
mod collect;
mod digest;
mod downloads;
mod held;
mod image;
mod image_config;
mod layout;
mod manifest;
mod mirror;
mod name;
mod proxy;
mod publish;
mod refusal;
mod resolve;
mod saved;
mod store;
mod target;
mod uploads;
pub mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::base::{Clock, Live, Secret, Timestamp};
use crate::blobs::{Blob, BlobError, Blobs, Digest};
use crate::db::{Db, DbError, VaultError};
use crate::docker::{DockerError, Engine, RegistryAuth};
use crate::net::axum_port;
use crate::net::server::ServeError;

pub use access::{Access, Action, Credentials, Denied, PlatformOnly, USER, token};
pub use apps::{AppImage, Apps, NoApps, Starter};
pub use collect::{Collected, Evicted};
pub use digest::AnyDigest;
pub use held::HeldImage;
pub use image::ImageChange;
pub use image_config::ImageConfig;
pub use layout::ExportRequest;
pub use mirror::{MirrorRequest, Mirrored};
pub use name::{Reference, RepositoryName, Tag};
pub use publish::ImageParts;
pub use store::{remove_repository, share_image};

use downloads::Downloads;
use upstream::{ImageReference, Upstreams};

/// How long a manifest is kept after its last tag is gone.
const UNTAGGED_GRACE: Duration = Duration::from_secs(3600);
/// The maximum size of manifests and configurations, which are read into memory.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Why storing or reading an image failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A repository or tag that the distribution specification does not allow.
    #[error("invalid repository or tag name {0:?}")]
    InvalidName(String),
    /// The input is not a usable image.
    #[error("invalid image: {0}")]
    InvalidImage(String),
    /// A kind of manifest that no client of the last ten years needs.
    #[error("manifests of schema 1 are not supported: push the image with a newer client")]
    UnsupportedManifest,
    /// A manifest names blobs that were not pushed before it.
    #[error("the manifest names blobs that are not in the repository: {}", .0.join(", "))]
    MissingParts(Vec<String>),
    /// The bytes are not those that the client named.
    #[error("the content has the digest {found}, not {wanted}")]
    WrongDigest {
        /// What the client said.
        wanted: AnyDigest,
        /// What it is.
        found: AnyDigest,
    },
    /// The upload was completed, cancelled or never begun.
    #[error("there is no such upload in this repository")]
    UnknownUpload,
    /// Another request writes to the upload.
    #[error("another request writes to this upload")]
    UploadBusy,
    /// Uploads that were begun and not ended take up all places.
    #[error("too many uploads have begun and not ended: complete or cancel some")]
    TooManyUploads,
    /// The body ended early or came too slowly.
    #[error("the request body could not be read: {0}")]
    Broken(#[source] std::io::Error),
    /// There is no such image.
    #[error("image {0} is not in the registry")]
    NotFound(Digest),
    /// An image that is wanted as a whole is not here, or only in part.
    #[error(
        "{0} is not in the registry, or only in part: fetch it with `cflite registry prefetch {0}`"
    )]
    NotHere(String),
    /// A bundle is cut off or changed.
    #[error("the bundle is damaged: {0}; nothing was loaded")]
    Damaged(String),
    /// A blob's bytes do not match its row.
    #[error("blob {digest} cannot be read: {reason}")]
    Unreadable {
        /// Which blob.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// Apps cannot be found.
    #[error("cannot find an app: {0}")]
    Apps(String),
    /// The token cannot be read.
    #[error("registry token: {0}")]
    Token(#[from] VaultError),
    /// The Docker daemon, which has the layers of an image, failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
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

/// Settings of the registry.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port of the listener.
    pub port: u16,
    /// From [`token`].
    pub token: Secret<String>,
    /// Whether pulls need no token.
    pub anonymous_pull: bool,
    /// Host names of this registry besides the loopback addresses: `registry.cf.localhost`.
    pub names: Vec<String>,
    /// Where other registries answer, by host; all others answer at `https://HOST`.
    pub upstreams: BTreeMap<String, Url>,
    /// How those are asked.
    pub upstream: upstream::Settings,
    /// The most bytes of copies of their images that are kept, besides what the platform needs.
    pub cache_limit: Live<u64>,
}

/// The names under which clients know this registry: loopback addresses with its port, and host
/// names.
#[derive(Debug, Clone, Default)]
pub struct Names {
    port: u16,
    hosts: Vec<String>,
}

impl Names {
    /// Whether an image is in this registry.
    pub fn is_own(&self, image: &ImageReference) -> bool {
        let (host, port) = match image.host().rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (image.host(), None),
        };
        let loopback = matches!(host, "localhost" | "127.0.0.1");
        let named = self.hosts.iter().any(|name| name == host);
        named || (loopback && port == Some(self.port))
    }
}

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    access: Arc<dyn Access>,
    apps: Arc<dyn Apps>,
    blobs: Blobs,
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Settings,
    upstreams: Upstreams,
    downloads: Downloads,
    /// Has layers of images that are listed here without them.
    daemon: Option<Arc<dyn Engine>>,
    /// Held while layers are read from the daemon.
    restoring: tokio::sync::Mutex<()>,
}

impl Registry {
    /// A registry on top of a blob store, for the platform itself only.
    pub fn new(blobs: Blobs, db: Db, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            upstreams: Upstreams::new(settings.upstreams.clone(), settings.upstream),
            downloads: Downloads::new(blobs.clone(), db.clone(), clock.clone()),
            access: Arc::new(PlatformOnly),
            apps: Arc::new(NoApps),
            blobs,
            db,
            clock,
            settings,
            daemon: None,
            restoring: tokio::sync::Mutex::default(),
        }))
    }

    /// The same registry with a daemon that has layers of its images.
    #[must_use]
    pub fn with_daemon(self, engine: Arc<dyn Engine>) -> Self {
        let (access, apps) = (self.0.access.clone(), self.0.apps.clone());
        self.like(access, apps, Some(engine))
    }

    /// The same registry for more callers, with the images of apps.
    #[must_use]
    pub fn with_access(self, access: Arc<dyn Access>, apps: Arc<dyn Apps>) -> Self {
        let daemon = self.0.daemon.clone();
        self.like(access, apps, daemon)
    }

    fn like(
        &self,
        access: Arc<dyn Access>,
        apps: Arc<dyn Apps>,
        daemon: Option<Arc<dyn Engine>>,
    ) -> Self {
        Self(Arc::new(Inner {
            access,
            apps,
            daemon,
            blobs: self.0.blobs.clone(),
            db: self.0.db.clone(),
            clock: self.0.clock.clone(),
            settings: self.0.settings.clone(),
            upstreams: self.0.upstreams.clone(),
            downloads: self.0.downloads.clone(),
            restoring: tokio::sync::Mutex::default(),
        }))
    }

    /// Changes the most bytes of copies; what is beyond is evicted by the next sweep.
    pub fn set_cache_limit(&self, limit: u64) {
        self.0.settings.cache_limit.set(limit);
    }

    fn cache_limit(&self) -> u64 {
        *self.0.settings.cache_limit.get()
    }

    /// Whether a caller may do this.
    async fn authorize(
        &self,
        credentials: &Credentials,
        repository: Option<&RepositoryName>,
        action: Action,
    ) -> Result<(), Denied> {
        let Settings {
            token,
            anonymous_pull,
            ..
        } = &self.0.settings;
        let anonymous = *anonymous_pull && action == Action::Pull;
        if anonymous || credentials.are_the_platforms(token) {
            return Ok(());
        }
        let access = &self.0.access;
        access.authorize(credentials, repository, action).await
    }

    /// Whether a caller may operate the registry.
    async fn authorize_operator(&self, credentials: &Credentials) -> Result<(), Denied> {
        if credentials.are_the_platforms(&self.0.settings.token) {
            return Ok(());
        }
        self.0.access.operate(credentials).await
    }

    /// The routes of its port.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// Serves `listener` until `token` is cancelled and the pending requests are done.
    pub async fn serve(
        &self,
        listener: TcpListener,
        token: CancellationToken,
    ) -> Result<(), ServeError> {
        axum_port::serve(self.router(), listener, token).await
    }

    /// Routes that only operators may use, wherever they are served.
    pub fn for_operators(&self, routes: axum::Router) -> axum::Router {
        api::for_operators(self, routes)
    }

    /// The same with further routes that only operators may use.
    pub async fn serve_with(
        &self,
        listener: TcpListener,
        further: axum::Router,
        token: CancellationToken,
    ) -> Result<(), ServeError> {
        let router = self.router().merge(self.for_operators(further));
        axum_port::serve(router, listener, token).await
    }

    /// The same for a mirror of Docker Hub, which everybody may read.
    pub async fn serve_mirror(
        &self,
        listener: TcpListener,
        token: CancellationToken,
    ) -> Result<(), ServeError> {
        axum_port::serve(api::mirror_router(self.clone()), listener, token).await
    }

    /// `127.0.0.1:PORT/repository@sha256:…`, as the daemon pulls it.
    pub fn reference(&self, repository: &str, digest: &Digest) -> String {
        format!("127.0.0.1:{}/{repository}@{digest}", self.0.settings.port)
    }

    /// What all references of this registry begin with, as the daemon pulls them.
    pub fn reference_prefix(&self) -> String {
        format!("127.0.0.1:{}/", self.0.settings.port)
    }

    /// The daemon's credentials for pulls.
    pub fn auth(&self) -> RegistryAuth {
        RegistryAuth {
            username: USER.to_owned(),
            password: self.0.settings.token.clone(),
        }
    }

    /// The manifest under a tag or digest of a repository.
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

    /// Removes a repository; see [`remove_repository`] for use in a transaction.
    pub async fn remove_repository(&self, repository: &str) -> Result<(), RegistryError> {
        let repository = repository.to_owned();
        self.0
            .db
            .write(move |tx| remove_repository(tx, &repository))
            .await?;
        Ok(())
    }

    /// Whether an image is in this registry itself.
    pub fn is_own(&self, image: &ImageReference) -> bool {
        self.names().is_own(image)
    }

    /// Its names.
    pub fn names(&self) -> Names {
        Names {
            port: self.0.settings.port,
            hosts: self.0.settings.names.clone(),
        }
    }

    fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    fn downloads(&self) -> &Downloads {
        &self.0.downloads
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Opens the file of a listed blob and checks its size: clients would treat a short response as
    /// a network error and retry forever.
    async fn open_checked(&self, blob: &Blob) -> Result<tokio::fs::File, RegistryError> {
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

#[cfg(test)]
mod tests;
