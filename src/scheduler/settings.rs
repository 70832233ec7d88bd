//! The settings of the scheduler.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::network::Network;
use crate::docker::RegistryAuth;

/// Settings of one platform's scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Value of the owner label; distinguishes our containers from those of other platforms.
    pub platform_id: String,
    /// Name of this machine in events and log lines.
    pub cell_id: String,
    /// `CF_INSTANCE_IP`: where the machine can be reached from containers.
    pub host_ip: IpAddr,
    /// Network the containers join.
    pub network: Network,
    /// For pulling from the embedded registry.
    pub registry_auth: Option<RegistryAuth>,
    /// Tar that is unpacked at `/` of containers that need the lifecycle files
    /// (`tmp/lifecycle/launcher` and so on).
    pub lifecycle_files: Bytes,
    /// How long an instance keeps running after its traffic was withdrawn, before SIGTERM.
    pub drain: Duration,
    /// Between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// Containers created at the same time.
    pub launches: usize,
    /// Containers stopped at the same time.
    pub stops: usize,
}

impl Settings {
    /// Settings with the usual times and without pull credentials or lifecycle files.
    pub fn new(platform_id: &str, host_ip: IpAddr) -> Self {
        Self {
            platform_id: platform_id.to_owned(),
            cell_id: platform_id.to_owned(),
            host_ip,
            network: Network::of_platform(platform_id),
            registry_auth: None,
            lifecycle_files: Bytes::new(),
            drain: Duration::from_secs(1),
            stop_grace: Duration::from_secs(10),
            launches: 8,
            stops: 32,
        }
    }
}

#[cfg(test)]
impl Settings {
    pub(super) fn for_tests() -> Self {
        Self::new("0f0f", IpAddr::from([10, 0, 0, 1]))
    }
}
