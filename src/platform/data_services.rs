//! Data services as a part of the platform: what they get from it, and how the marketplace gets to
//! know their broker.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::metrics::Measured;
use super::parts::{CoreServices, Parts};
use super::running::Running;
use crate::alerts::{Alert, Alerts, Severity};
use crate::base::Supervisor;
use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::flows::embedded_broker::{self, Known};
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::model::service_brokers::BrokerCredentials;
use crate::data_services::catalog::{BUILT_IN, Catalog};
use crate::data_services::{self, DataServices, Embedded, Host, RETAINED, Settings, Trouble};
use crate::db::WriteTx;
use crate::docker::trust::Authority;
use crate::docker::{DockerError, Engine, Progress};
use crate::marketplace::client;
use crate::scheduler::Network;
use crate::snapshots::{Holder, Nobody};
use crate::staging::images;

/// The catalog of a platform's owner, in its data dir.
const OWN_CATALOG: &str = "services.yml";
/// Where the broker is asked from outside.
const PATH: &str = "/cflite/broker";

/// The data services of a platform; nothing when they are switched off.
#[derive(Default)]
pub(super) struct Part {
    services: Option<DataServices>,
    /// The broker's API below [`PATH`].
    pub(super) router: axum::Router,
    /// The broker as the marketplace has it.
    pub(super) broker: Option<ServiceBrokerGuid>,
    /// Its API for the marketplace.
    pub(super) embedded: Option<client::Embedded>,
}

impl Part {
    /// The routes for operators.
    pub(super) fn operator_routes(&self) -> axum::Router {
        let routes = self.services.as_ref().map(DataServices::operator_routes);
        routes.unwrap_or_default()
    }

    /// Keeps the services as they are while they are copied.
    pub(super) fn holder(&self) -> Arc<dyn Holder> {
        match &self.services {
            Some(services) => Arc::new(services.clone()),
            None => Arc::new(Nobody),
        }
    }

    pub(super) fn start(&self, supervisor: &Supervisor) {
        if let Some(services) = &self.services {
            services.start(supervisor);
        }
    }
}

struct PlatformHost {
    authorities: Vec<Authority>,
    offline: bool,
    alerts: Alerts,
    engine: Arc<dyn Engine>,
    network: Network,
}

#[async_trait]
impl Host for PlatformHost {
    async fn address(&self) -> Result<(String, std::net::Ipv4Addr), DockerError> {
        let seat = self.network.next_address(&*self.engine).await?;
        Ok((self.network.name().to_owned(), seat.address))
    }

    async fn base_image(&self, progress: &Progress) -> Result<String, String> {
        let base = images::debian_base(&*self.engine, progress).await;
        base.map_err(|error| error.to_string())
    }

    fn authorities(&self) -> Vec<Authority> {
        self.authorities.clone()
    }

    fn trouble(&self, trouble: &Trouble<'_>) {
        let kind = trouble.kind;
        let (id, what) = match trouble.instance {
            Some((guid, name)) => (
                format!("data-service/{guid}/{kind}"),
                format!("the data service {name}"),
            ),
            None => (format!("data-services/{kind}"), "data services".to_owned()),
        };
        let Some(fault) = &trouble.fault else {
            return self.alerts.resolve(&id);
        };
        let (severity, state) = match kind {
            "full" => (Severity::Warning, "almost full"),
            "meltdown" => (Severity::Critical, "ending one after the other"),
            _ => (Severity::Critical, "down"),
        };
        self.alerts.raise(Alert {
            id,
            severity,
            source: "data services",
            summary: format!("{what}: {state}"),
            detail: fault.clone(),
        });
    }

    async fn pull(&self, reference: &str, progress: Progress) -> Result<bool, DockerError> {
        if self.engine.image(reference).await?.is_some() {
            return Ok(false);
        }
        if self.offline {
            let text = format!(
                "the image {reference} is not on this Docker daemon, and cflite works offline"
            );
            return Err(DockerError::Failed(text));
        }
        self.engine.pull(reference, None, progress).await?;
        Ok(true)
    }
}

/// The catalog in this binary with that of the platform's owner.
pub fn catalog(data_dir: &Path) -> anyhow::Result<Catalog> {
    let built_in =
        Catalog::read(BUILT_IN).context("the catalog of data services in this binary")?;
    let path = data_dir.join(OWN_CATALOG);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let own = built_in.extended(&text);
            own.with_context(|| format!("{}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(built_in),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Data services, known to the marketplace.
pub(super) async fn open(
    parts: &Parts,
    core: &CoreServices,
    running: &Running,
    measured: &Measured,
) -> anyhow::Result<Part> {
    if !parts.config.data_services {
        return Ok(Part::default());
    }
    let services = DataServices::new(data_services::Parts {
        db: core.db.clone(),
        vault: core.vault.clone(),
        blobs: core.blobs.clone(),
        engine: parts.engine.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        meter: Arc::new(measured.clone()),
        host: Arc::new(PlatformHost {
            authorities: core.authorities.clone(),
            engine: parts.engine.clone(),
            network: core.network.clone(),
            offline: parts.config.offline,
            alerts: core.alerts.clone(),
        }),
        settings: Settings {
            platform_id: core.id.clone(),
            catalog: Arc::new(catalog(&parts.config.data_dir)?),
            offline: parts.config.offline,
            retained: RETAINED,
        },
    });
    let url = format!("{}{PATH}", running.api_url());
    let (embedded, broker) = announce(parts, core, &services, url.clone()).await?;
    let router = services.router(&embedded.credentials);
    Ok(Part {
        router: axum::Router::new().nest(PATH, router.clone()),
        broker,
        embedded: Some(client::Embedded { url, router }),
        services: Some(services),
    })
}

/// Tells the marketplace of the broker and, when it changed, of its catalog.
async fn announce(
    parts: &Parts,
    core: &CoreServices,
    services: &DataServices,
    url: String,
) -> anyhow::Result<(Embedded, Option<ServiceBrokerGuid>)> {
    let catalog = services.catalog();
    let digest = hex::encode(Sha256::digest(catalog.to_string().as_bytes()));
    let catalog: Map<String, Value> = catalog.as_object().cloned().unwrap_or_default();
    let (vault, guids, now) = (core.vault.clone(), parts.guids.clone(), parts.clock.now());
    let announced = core.db.write(move |tx: &WriteTx<'_>| {
        let known = data_services::ensure_credentials(tx, &vault)?;
        let by = Recorder {
            actor: Actor {
                guid: String::new(),
                kind: "system",
                name: "cflite".to_owned(),
            },
            now,
            guids,
        };
        let credentials = BrokerCredentials {
            username: known.credentials.username.clone(),
            password: known.credentials.password.expose().clone(),
        };
        let broker = embedded_broker::bring_up_to_date(
            tx,
            &vault,
            &by,
            &Known {
                url: &url,
                credentials: &credentials,
                broker: known.broker_guid.clone().map(ServiceBrokerGuid::from),
                catalog: (known.catalog_digest != digest).then_some(&catalog),
            },
        )?;
        let new = known.catalog_digest != digest || known.broker_guid.is_none();
        if let Some(broker) = broker.as_ref().filter(|_| new) {
            data_services::set_broker(tx, broker.as_str(), &digest)?;
        }
        Ok::<_, Error>((known, broker))
    });
    announced
        .await
        .map_err(|error| anyhow::anyhow!("cannot offer the data services: {error}"))
}
