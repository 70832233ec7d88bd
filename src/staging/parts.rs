//! Settings and parts of staging.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::Builds;
use super::images::Images;
use crate::blobs::Blobs;
use crate::db::Db;
use crate::docker::Engine;
use crate::docker::trust::Trust;
use crate::logs::Logs;
use crate::network::Firewall;
use crate::packages::Packages;
use crate::registry::Registry;

/// Settings of staging.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The platform's id: label of its containers, and the cell's name in log lines.
    pub platform_id: String,
    /// `CF_INSTANCE_IP`: where the machine can be reached from containers.
    pub host_ip: IpAddr,
    /// The authorities of this machine, which builds trust.
    pub trust: Trust,
    /// Asked before a build starts.
    pub firewall: Firewall,
    /// Builds reach no other machine.
    pub offline: bool,
    /// Maximum concurrent builds; their memory is bounded by that of the daemon's machine, too.
    pub concurrency: usize,
    /// Held while a build ensures the network: creating it takes several steps.
    pub(crate) joining: Arc<Mutex<()>>,
}

impl Settings {
    /// The default settings.
    pub fn new(platform_id: &str, host_ip: IpAddr) -> Self {
        Self {
            platform_id: platform_id.to_owned(),
            host_ip,
            trust: Trust::default(),
            firewall: Firewall::off(),
            offline: false,
            concurrency: concurrency(),
            joining: Arc::default(),
        }
    }
}

/// A build is bound by its processor and its network about equally.
fn concurrency() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    cores.clamp(2, 8)
}

/// The parts of staging.
pub struct StagingParts {
    /// Database.
    pub db: Db,
    /// Packages, layers, caches.
    pub blobs: Blobs,
    /// Docker.
    pub engine: Arc<dyn Engine>,
    /// Stores droplet images.
    pub registry: Registry,
    /// Where package managers get packages.
    pub packages: Packages,
    /// Receives log lines.
    pub logs: Logs,
    /// The rows of builds.
    pub builds: Arc<dyn Builds>,
    /// The stacks.
    pub images: Images,
    /// Settings.
    pub settings: Settings,
}

/// Shared by all attempts.
pub(super) type Shared = StagingParts;
