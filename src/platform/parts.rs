//! The injected parts of a platform, and the services it opens first.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

use crate::alerts::Alerts;
use crate::base::{Clock, GuidSource, Live, SystemClock};
use crate::blobs::Blobs;
use crate::config::Config;
use crate::db::{Db, Vault};
use crate::docker::Engine;
use crate::docker::trust::{Authority, Trust};
use crate::logs::Logs;
use crate::net::inherited::Inherited;
use crate::network::Firewall;
use crate::network::dns;
use crate::packages::Packages;
use crate::pki::Pki;
use crate::registry::Registry;
use crate::scheduler::{self, NetworkProbe, Probe};
use crate::uaa::Uaa;

/// Names of sockets that a service manager may pass.
pub(super) const SOCKET_NAMES: &[&str] = &["http", "https", "ssh"];

/// The injected parts of a platform; tests replace clock, guids, Docker and probes.
pub struct Parts {
    /// Configuration.
    pub config: Config,
    /// Docker daemon.
    pub engine: Arc<dyn Engine>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Source of guids.
    pub guids: GuidSource,
    /// Health checks.
    pub probe: Arc<dyn Probe>,
    /// Serving threads; 0 = one per processor.
    pub threads: usize,
    /// Sockets that the service manager bound, by [`SOCKET_NAMES`]; ports without one are bound.
    pub inherited: Inherited,
}

impl Parts {
    /// The real clock, random guids and probes over the network.
    pub fn real(config: Config, engine: Arc<dyn Engine>) -> Self {
        Self {
            config,
            engine,
            clock: Arc::new(SystemClock),
            guids: GuidSource::random(),
            probe: Arc::new(NetworkProbe),
            threads: 0,
            inherited: Inherited::default(),
        }
    }
}

/// Services that are opened before the engines.
pub(super) struct CoreServices {
    pub(super) id: String,
    pub(super) db: Db,
    pub(super) vault: Vault,
    pub(super) blobs: Blobs,
    pub(super) registry: Registry,
    pub(super) registry_socket: TcpListener,
    pub(super) mirror_socket: Option<TcpListener>,
    pub(super) packages: Packages,
    pub(super) logs: Logs,
    pub(super) alerts: Alerts,
    /// Drains for all apps.
    pub(super) log_drains: Live<Vec<String>>,
    pub(super) uaa: Uaa,
    pub(super) host_ip: IpAddr,
    pub(super) network: scheduler::Network,
    pub(super) firewall: Firewall,
    /// Who is asked for names of others.
    pub(super) resolvers: dns::Resolvers,
    pub(super) lifecycle: scheduler::Lifecycle,
    /// Authorities of the machine's owner.
    pub(super) authorities: Vec<Authority>,
    /// Those and the platform's own, for containers.
    pub(super) trust: Trust,
    pub(super) pki: Pki,
}

/// Listening sockets; at least one of each kind, but for SSH, which can be off.
pub(super) struct Sockets {
    pub(super) http: Vec<TcpListener>,
    pub(super) https: Vec<TcpListener>,
    pub(super) ssh: Vec<TcpListener>,
    pub(super) dns: dns::Sockets,
}
