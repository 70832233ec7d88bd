//! The network of staging containers, and how they reach packages there.
//!
//! Builds run what their buildpacks download, so they are apart from the instances. Offline the
//! network leads nowhere but to this machine; without a package cache there is none then. The
//! network is ensured before every build: users prune unused networks, and a recreated one may have
//! another address range.

use super::failure::Reason;
use super::fault::Fault;
use super::parts::{Settings, Shared};
use crate::docker::{LABEL_OWNER, Labels, NetworkSpec};
use crate::packages::Reach;

/// What a container joins.
#[derive(Debug, Clone, Default)]
pub(super) struct Joined {
    /// The network's name.
    pub(super) network: String,
    /// The package cache, if there is one.
    pub(super) packages: Option<Reach>,
}

/// The network of a platform's builds.
pub fn staging_network(platform_id: &str, offline: bool) -> NetworkSpec {
    NetworkSpec {
        name: format!("cflite-staging-{platform_id}"),
        labels: Labels::from([(LABEL_OWNER.to_owned(), platform_id.to_owned())]),
        internal: offline,
    }
}

/// Ensures the network, and that the package cache listens there.
pub(super) async fn join(shared: &Shared) -> Result<Joined, Fault> {
    let Settings {
        platform_id,
        offline,
        ..
    } = &shared.settings;
    if *offline && !shared.packages.is_on() {
        return Ok(Joined {
            network: "none".to_owned(),
            packages: None,
        });
    }
    let network = staging_network(platform_id, *offline);
    let _joining = shared.settings.joining.lock().await;
    let addresses = shared.engine.ensure_network(&network).await?;
    let packages = if shared.packages.is_on() {
        let reached = shared.packages.reach(addresses.gateway).await;
        let reached = reached.map_err(|error| {
            Fault::Failed(Reason::Other(format!(
                "the package cache cannot listen on {}: {error}",
                addresses.gateway
            )))
        })?;
        Some(reached)
    } else {
        None
    };
    Ok(Joined {
        network: network.name,
        packages,
    })
}
