//! The settings of the scheduler.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::lifecycle::Lifecycle;
use super::network::Network;
use crate::base::Megabytes;
use crate::docker::RegistryAuth;
use crate::docker::trust::Trust;
use crate::network::Firewall;
use crate::network::dns::Resolvers;

/// What the memory limits of all instances may be together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryCapacity {
    /// So much.
    Size(Megabytes),
    /// A part of the memory of the daemon's machine, or a multiple of it.
    Percent(u32),
}

impl std::fmt::Display for MemoryCapacity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(size) => write!(f, "{}M", size.0),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

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
    /// Servers that containers ask for names while the platform does not answer; `None` = the platform
    /// has no DNS server, and the daemon chooses.
    pub resolvers: Option<Resolvers>,
    /// For pulling from the embedded registry.
    pub registry_auth: Option<RegistryAuth>,
    /// The lifecycle files of the containers that need them.
    pub lifecycle: Lifecycle,
    /// The authorities of this machine, for the containers of a stack.
    pub trust: Trust,
    /// Asked before a container starts.
    pub firewall: Firewall,
    /// Instances that exceed it wait; `None` = none does.
    pub memory_capacity: Option<MemoryCapacity>,
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
    /// Settings with the usual times and without pull credentials, lifecycle files or authorities.
    pub fn new(platform_id: &str, host_ip: IpAddr) -> Self {
        Self {
            platform_id: platform_id.to_owned(),
            cell_id: platform_id.to_owned(),
            host_ip,
            network: Network::of_platform(platform_id),
            resolvers: None,
            registry_auth: None,
            lifecycle: Lifecycle::new(platform_id, Bytes::new()),
            trust: Trust::default(),
            firewall: Firewall::off(),
            memory_capacity: None,
            drain: Duration::from_secs(1),
            stop_grace: Duration::from_secs(10),
            launches: 16,
            stops: 32,
        }
    }
}

#[cfg(test)]
impl Settings {
    pub(super) fn for_tests() -> Self {
        let mut settings = Self::new("0f0f", IpAddr::from([10, 0, 0, 1]));
        settings.lifecycle = Lifecycle::new("0f0f", lifecycle_tar("1"));
        settings
    }
}

/// Lifecycle files of which the launcher has this content.
#[cfg(test)]
pub(super) fn lifecycle_tar(launcher: &str) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(launcher.len() as u64);
    header.set_mode(0o755);
    header.set_uid(2000);
    header.set_gid(2000);
    let path = "tmp/lifecycle/launcher";
    let added = builder.append_data(&mut header, path, launcher.as_bytes());
    added.expect("a tar in memory");
    builder.into_inner().expect("a tar in memory").into()
}
