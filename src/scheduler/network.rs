//! The network of instances and tasks, and their addresses on it.
//!
//! The network is ensured before every container creation: users prune unused networks, and a
//! recreated one may have another address range.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::addresses::Addresses;
use crate::docker::{AddressRange, DockerError, Engine, LABEL_OWNER, Labels, NetworkSpec};

/// The network of one platform; clones share it.
#[derive(Clone, Debug)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    network: NetworkSpec,
    /// The origin of all times.
    started: Instant,
    addresses: Mutex<Option<Addresses>>,
}

impl Network {
    /// The network of a platform; nothing is created yet.
    pub fn of_platform(platform_id: &str) -> Self {
        Self(Arc::new(Inner {
            network: NetworkSpec {
                name: format!("cflite-{platform_id}"),
                labels: Labels::from([(LABEL_OWNER.to_owned(), platform_id.to_owned())]),
                internal: false,
            },
            started: Instant::now(),
            addresses: Mutex::default(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.network.name
    }

    /// What it is created with.
    pub fn spec(&self) -> &NetworkSpec {
        &self.0.network
    }

    /// Ensures the network and allocates the address of the next container.
    pub async fn next_address(&self, engine: &dyn Engine) -> Result<Ipv4Addr, DockerError> {
        let inner = &*self.0;
        let mut slot = inner.addresses.lock().await;
        let range = engine.ensure_network(&inner.network).await?.assignable;
        let addresses = match &mut *slot {
            Some(addresses) if addresses.cover(range) => addresses,
            _ => slot.insert(self.load(engine, range).await?),
        };
        let now = inner.started.elapsed();
        if addresses.needs_update() {
            addresses.update(&self.used(engine).await?.0, now);
        }
        addresses.take(now).ok_or_else(|| {
            DockerError::Failed(format!(
                "no free address on network {}: {} to {} are all in use or were released minutes ago",
                inner.network.name, range.first, range.last
            ))
        })
    }

    async fn load(
        &self,
        engine: &dyn Engine,
        range: AddressRange,
    ) -> Result<Addresses, DockerError> {
        let (used, newest) = self.used(engine).await?;
        let mut addresses = Addresses::new(range, newest);
        addresses.update(&used, self.0.started.elapsed());
        Ok(addresses)
    }

    /// The addresses of the platform's containers, and that of the newest one.
    async fn used(
        &self,
        engine: &dyn Engine,
    ) -> Result<(BTreeSet<Ipv4Addr>, Option<Ipv4Addr>), DockerError> {
        let containers = engine.list(&self.0.network.labels).await?;
        let newest = containers
            .iter()
            .filter(|container| container.assigned.is_some())
            .max_by_key(|container| container.created_at)
            .and_then(|container| container.assigned);
        let used = containers.iter().filter_map(|c| c.assigned).collect();
        Ok((used, newest))
    }
}
