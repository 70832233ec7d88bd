//! What the firewall works with, and what it tells of itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::wanted::Source;
use crate::db::Db;
use crate::docker::{DockerError, Engine, NetworkSpec};

/// Whether security groups and network policies restrict anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// As in Cloud Foundry.
    #[default]
    Strict,
    /// Containers reach all that the machine reaches, and each other.
    Open,
}

/// Settings of one platform's firewall.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Id of the platform, a part of the table's name.
    pub platform_id: String,
    /// Whether anything is restricted.
    pub enforcement: Enforcement,
    /// The kind of the containers of data services, which all apps reach.
    pub services: &'static str,
    /// `HOST:PORT` of what every container may reach, such as the machine's proxy.
    pub always: Vec<String>,
    /// Port of the name server at the gateway of the network of apps; it answers at port 53, too.
    pub names: Option<u16>,
}

/// The parts of a firewall.
pub struct Parts {
    /// Database.
    pub db: Db,
    /// The daemon.
    pub engine: Arc<dyn Engine>,
    /// What is allowed.
    pub source: Arc<dyn Source>,
    /// What the helper is made of.
    pub image: Arc<dyn HelperImage>,
    /// The network of instances, tasks and services.
    pub apps: NetworkSpec,
    /// That of builds.
    pub builds: NetworkSpec,
    /// Settings.
    pub settings: Settings,
}

/// Names an image that has `nft`.
#[async_trait]
pub trait HelperImage: Send + Sync + 'static {
    /// Its reference; `None` while the daemon does not have it.
    async fn reference(&self) -> Result<Option<String>, DockerError>;
}

/// What the firewall does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// No container needs it yet.
    #[default]
    Idle,
    /// The table is there.
    Active {
        /// Whether packets between containers of one network come to it: the kernel may pass them on
        /// without (`net.bridge.bridge-nf-call-iptables`).
        between_containers: bool,
    },
    /// Containers run without rules, for this reason.
    Inactive(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("no container needs rules yet"),
            Self::Active {
                between_containers: true,
            } => f.write_str("security groups and network policies are enforced"),
            Self::Active {
                between_containers: false,
            } => f.write_str(
                "security groups are enforced; network policies are not: the kernel passes packets between \
                 containers on without asking",
            ),
            Self::Inactive(why) => {
                write!(f, "security groups and network policies are not enforced: {why}")
            }
        }
    }
}
