//! Data services: databases, caches and queues that run as containers of this machine, behind a broker
//! of their own.
//!
//! The marketplace knows this module only as a broker of the Open Service Broker API 2.17
//! ([`DataServices::router`]); what is offered is written in YAML ([`catalog`]). An accepted operation is
//! a row, which the worker carries out and begins again after `kill -9`: every step looks at what is
//! there first.
//!
//! Invariants:
//! - One container writes a volume. Its name is that of the instance, so that the daemon refuses a
//!   second one; before a start all other containers that have the volume are ended ([`fence`]); and the
//!   process in the container holds a lock on the folder, which the kernel releases with it. An image
//!   that a user chose is started as it is, so its processes hold none.
//! - One operation at a time changes an instance, and the supervisor waits for it ([`locks`]).
//! - What was never ready is made from the beginning again; what was ready once keeps its volume until
//!   the instance is deleted.
//! - Secrets are random, encrypted in the database, and reach a container as files that only root reads:
//!   no label, environment of a container or word of a command holds one, and texts of errors lose them.
//! - Every user of a service is made for one binding and ends with it.

mod backup;
mod bind;
mod broker;
pub mod catalog;
mod container;
mod dependents;
mod failure;
mod fence;
mod hold;
mod hooks;
mod image;
mod locks;
mod measure;
mod operator;
mod own_image;
mod ports;
mod provision;
mod random;
mod ready;
mod redact;
mod removal;
mod schedule;
mod store;
mod supervise;
mod template;
mod update;
mod variables;
mod worker;

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::base::{Clock, GuidSource, Timestamp};
use crate::blobs::Blobs;
use crate::db::{Db, DbError, ReadTx, Vault, WriteTx};
use crate::docker::trust::Authority;
use crate::docker::{DockerError, Engine, Progress};

pub use container::{container_name, instances_with_volume, labels_of, volume_name};
pub use failure::Failure;
pub use hold::Held;
pub use measure::{Meter, ServiceUsage};
pub use removal::{remove_images, remove_volumes};
pub use store::{Credentials, Embedded, ensure_credentials, set_broker};

use catalog::{Catalog, Offering, Plan};
use locks::Locks;
use measure::Disks;
use store::{Instance, Store};

/// The longest that an operation takes; a first one builds the image.
pub const LONGEST_OPERATION: Duration = Duration::from_secs(1800);
/// Value of [`crate::docker::LABEL_KIND`] on containers of services.
pub const KIND: &str = "service";
/// Label with the guid of the service instance, on containers and volumes.
pub const LABEL_INSTANCE: &str = "cflite.service_instance";

/// What the platform gives to services.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// The network of apps, and a free address on it.
    async fn address(&self) -> Result<(String, Ipv4Addr), DockerError>;

    /// The reference of the Debian image that images are built on; it is built where it is missing.
    async fn base_image(&self, progress: &Progress) -> Result<String, String>;

    /// The authorities of this machine, which images are built with.
    fn authorities(&self) -> Vec<Authority>;

    /// Tells people of trouble, or that it is over.
    fn trouble(&self, trouble: &Trouble<'_>);

    /// Gets an image onto the Docker daemon, unless it has it; whether it was got.
    async fn pull(&self, reference: &str, progress: Progress) -> Result<bool, DockerError>;
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// The guid and the name of the service instance; `None` = it is about all.
    pub instance: Option<(&'a str, &'a str)>,
    /// What kind: `down`, `full` or `meltdown`.
    pub kind: &'static str,
    /// What is wrong; `None` = nothing any more.
    pub fault: Option<String>,
}

/// Settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The platform.
    pub platform_id: String,
    /// What is offered.
    pub catalog: Arc<Catalog>,
    /// Nothing is built, since that needs a network.
    pub offline: bool,
    /// How long backups of deleted services are kept.
    pub retained: Duration,
}

/// How long backups of deleted services are kept.
pub const RETAINED: Duration = Duration::from_secs(5 * 24 * 3600);

/// What data services work with.
pub struct Parts {
    /// Database.
    pub db: Db,
    /// Encrypts secrets.
    pub vault: Vault,
    /// Keeps dumps.
    pub blobs: Blobs,
    /// Docker.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Guids.
    pub guids: GuidSource,
    /// The platform.
    pub host: Arc<dyn Host>,
    /// Takes measurements.
    pub meter: Arc<dyn Meter>,
    /// Settings.
    pub settings: Settings,
}

/// The data services; cheap to clone.
#[derive(Clone)]
pub struct DataServices(Arc<Inner>);

struct Inner {
    db: Db,
    store: Store,
    blobs: Blobs,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    guids: GuidSource,
    host: Arc<dyn Host>,
    meter: Arc<dyn Meter>,
    settings: Settings,
    locks: Locks,
    /// Shared by those who run a command in a service without its lock, exclusive while all are held.
    quiet: Arc<tokio::sync::RwLock<()>>,
    disks: Disks,
    /// One image is built at a time.
    building: tokio::sync::Mutex<()>,
}

/// An instance with what its plan says.
pub(in crate::data_services) struct Service<'a> {
    pub(super) instance: &'a Instance,
    pub(super) offering: &'a Offering,
    /// With what the instance's parameters choose.
    pub(super) plan: Cow<'a, Plan>,
}

impl DataServices {
    /// Data services that are not started yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            store: Store { vault: parts.vault },
            db: parts.db,
            blobs: parts.blobs,
            engine: parts.engine,
            clock: parts.clock,
            guids: parts.guids,
            host: parts.host,
            meter: parts.meter,
            settings: parts.settings,
            locks: Locks::default(),
            quiet: Arc::default(),
            disks: Disks::default(),
            building: tokio::sync::Mutex::default(),
        }))
    }

    /// The catalog as the Open Service Broker API has it.
    pub fn catalog(&self) -> serde_json::Value {
        self.0.settings.catalog.as_osb()
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn service<'a>(&'a self, instance: &'a Instance) -> Result<Service<'a>, Failure> {
        self.service_of(instance, &instance.plan_id)
    }

    fn service_of<'a>(
        &'a self,
        instance: &'a Instance,
        plan: &str,
    ) -> Result<Service<'a>, Failure> {
        let found = self.settings.catalog.plan(&instance.offering_id, plan);
        let (offering, plan) = found.ok_or_else(|| {
            Failure::new(format!(
                "the catalog has no plan {plan} of the offering {} any more",
                instance.offering_id
            ))
        })?;
        Ok(Service {
            instance,
            offering,
            plan: plan.chosen(&instance.parameters).map_err(Failure::new)?,
        })
    }

    async fn find(&self, guid: &str) -> Result<Option<Instance>, DbError> {
        let (store, guid) = (self.store.clone(), guid.to_owned());
        self.db
            .read(move |tx: &ReadTx<'_>| store.find(tx, &guid))
            .await
    }

    async fn save(&self, instance: &Instance) -> Result<(), DbError> {
        let (store, instance) = (self.store.clone(), instance.clone());
        self.db
            .write(move |tx: &WriteTx<'_>| store.save(tx, &instance))
            .await
    }

    /// Tells the developer what happens.
    async fn note(&self, guid: &str, text: impl Into<String>) -> Result<(), DbError> {
        let (guid, text, now) = (guid.to_owned(), text.into(), self.now());
        tracing::info!(service_instance = guid, "{text}");
        self.db
            .write(move |tx: &WriteTx<'_>| store::note(tx, &guid, &text, now))
            .await
    }

    /// Tells what the operation does now.
    async fn step(&self, guid: &str, text: &str) -> Result<(), DbError> {
        let (guid, text) = (guid.to_owned(), text.to_owned());
        self.db
            .write(move |tx: &WriteTx<'_>| store::describe(tx, &guid, &text))
            .await
    }
}
