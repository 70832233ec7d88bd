//! The network that instances and tasks are on, and their addresses there.
//!
//! The daemon is asked for the network before every container: people prune networks that nobody
//! uses, and a new one may have other addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::addresses::Addresses;
use crate::docker::{AddressRange, DockerError, Engine, LABEL_OWNER, Labels};

/// The network of one platform; a clone is the same one.
#[derive(Clone, Debug)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    labels: Labels,
    /// Times are counted from here.
    begun: Instant,
    addresses: Mutex<Option<Addresses>>,
}

impl Network {
    /// The network of a platform; nothing is made yet.
    pub fn of_platform(platform_id: &str) -> Self {
        Self(Arc::new(Inner {
            name: format!("cflite-{platform_id}"),
            labels: Labels::from([(LABEL_OWNER.to_owned(), platform_id.to_owned())]),
            begun: Instant::now(),
            addresses: Mutex::default(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The address of the next container, on a network that is there.
    pub(super) async fn next_address(&self, engine: &dyn Engine) -> Result<Ipv4Addr, DockerError> {
        let inner = &*self.0;
        let mut slot = inner.addresses.lock().await;
        let range = engine.ensure_network(&inner.name, &inner.labels).await?;
        let addresses = match &mut *slot {
            Some(addresses) if addresses.are_of(range) => addresses,
            _ => slot.insert(self.look(engine, range).await?),
        };
        let now = inner.begun.elapsed();
        if addresses.is_crowded() {
            addresses.compare(&self.used(engine).await?.0, now);
        }
        addresses.take(now).ok_or_else(|| {
            DockerError::Failed(format!(
                "no address is free on network {}: all from {} to {} are in use or were until minutes ago",
                inner.name, range.first, range.last
            ))
        })
    }

    async fn look(
        &self,
        engine: &dyn Engine,
        range: AddressRange,
    ) -> Result<Addresses, DockerError> {
        let (used, newest) = self.used(engine).await?;
        let mut addresses = Addresses::new(range, newest);
        addresses.compare(&used, self.0.begun.elapsed());
        Ok(addresses)
    }

    /// The addresses of the platform's containers, and that of the newest one.
    async fn used(
        &self,
        engine: &dyn Engine,
    ) -> Result<(BTreeSet<Ipv4Addr>, Option<Ipv4Addr>), DockerError> {
        let containers = engine.list(&self.0.labels).await?;
        let newest = containers
            .iter()
            .filter(|container| container.assigned.is_some())
            .max_by_key(|container| container.created_at)
            .and_then(|container| container.assigned);
        let used = containers.iter().filter_map(|c| c.assigned).collect();
        Ok((used, newest))
    }
}
