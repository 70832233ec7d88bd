//! Settings and parts of staging.

use std::net::IpAddr;
use std::sync::Arc;

use super::Builds;
use super::images::Images;
use crate::blobs::Blobs;
use crate::db::Db;
use crate::docker::Engine;
use crate::logs::Logs;
use crate::registry::Registry;

/// Settings of staging.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The platform's id: label of its containers, and the cell's name in log lines.
    pub platform_id: String,
    /// `CF_INSTANCE_IP`: where the machine can be reached from containers.
    pub host_ip: IpAddr,
    /// Network of the containers, `None` for the default bridge.
    pub network: Option<String>,
    /// Builds have no network at all.
    pub offline: bool,
    /// Maximum concurrent builds.
    pub concurrency: usize,
}

impl Settings {
    /// The default settings.
    pub fn new(platform_id: &str, host_ip: IpAddr) -> Self {
        Self {
            platform_id: platform_id.to_owned(),
            host_ip,
            network: None,
            offline: false,
            concurrency: 2,
        }
    }
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
