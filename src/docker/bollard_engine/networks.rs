//! Networks that leave most addresses to their owner ([`crate::docker::Subnet`]).
//!
//! The daemon knows which subnets are free on this machine, so it chooses: a network is created
//! without a subnet first, and then recreated with the subnet it got and a small range for the
//! daemon's own choices. A process that dies in between leaves a network without that range, which
//! is recreated the next time.

use bollard::models;
use bollard::query_parameters::InspectNetworkOptions;

use super::{BollardEngine, QUICK, ignore_missing};
use crate::docker::{DockerError, NetworkAddresses, NetworkSpec, Subnet};

/// Another process may take the subnet before the network is recreated.
const ATTEMPTS: usize = 3;

impl BollardEngine {
    pub(super) async fn ensure_shared_network(
        &self,
        wanted: &NetworkSpec,
    ) -> Result<NetworkAddresses, DockerError> {
        let (name, mut last) = (&wanted.name, None);
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.find_network(name).await? {
                let same = found.internal.unwrap_or_default() == wanted.internal;
                if let Some(addresses) = addresses(&found).filter(|_| same) {
                    return Ok(addresses);
                }
                // The daemon rejects this while containers are on it.
                self.delete_network(name).await?;
            }
            match self.create_shared_network(wanted).await {
                Ok(addresses) => return Ok(addresses),
                Err(error @ DockerError::Unreachable(_)) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        let cause = last.map_or_else(String::new, |error| format!(": {error}"));
        Err(DockerError::Failed(format!(
            "cannot create network {name}{cause}"
        )))
    }

    pub(super) async fn shared_network(
        &self,
        name: &str,
    ) -> Result<Option<NetworkAddresses>, DockerError> {
        Ok(self.find_network(name).await?.as_ref().and_then(addresses))
    }

    pub(super) async fn delete_network(&self, name: &str) -> Result<(), DockerError> {
        let removed = self
            .call(
                QUICK,
                |docker| async move { docker.remove_network(name).await },
            )
            .await;
        ignore_missing(removed)
    }

    async fn create_shared_network(
        &self,
        wanted: &NetworkSpec,
    ) -> Result<NetworkAddresses, DockerError> {
        let name = &wanted.name;
        self.create_network(request(wanted, None)).await?;
        let chosen = self.find_network(name).await?;
        self.delete_network(name).await?;
        let subnet = chosen
            .as_ref()
            .and_then(subnet)
            .ok_or_else(|| DockerError::Failed(format!("network {name} has no IPv4 subnet")))?;
        let daemon = subnet.for_daemon().ok_or_else(|| {
            DockerError::Failed(format!(
                "network {name} got {subnet}, which is too small: set larger default-address-pools in the Docker daemon's configuration"
            ))
        })?;
        let config = models::IpamConfig {
            subnet: Some(subnet.to_string()),
            ip_range: Some(daemon.to_string()),
            gateway: Some(subnet.first_host().to_string()),
            ..Default::default()
        };
        let id = self.create_network(request(wanted, Some(config))).await?;
        let assignable = subnet
            .without(daemon)
            .ok_or_else(|| DockerError::Failed(format!("network {name} has no free addresses")))?;
        Ok(NetworkAddresses {
            bridge: bridge(&id),
            assignable,
            gateway: subnet.first_host(),
        })
    }

    async fn create_network(
        &self,
        request: models::NetworkCreateRequest,
    ) -> Result<String, DockerError> {
        self.call(QUICK, |docker| async move {
            docker.create_network(request).await
        })
        .await
        .map(|created| created.id)
    }

    async fn find_network(
        &self,
        name: &str,
    ) -> Result<Option<models::NetworkInspect>, DockerError> {
        let found = self
            .call(QUICK, |docker| async move {
                docker
                    .inspect_network(name, None::<InspectNetworkOptions>)
                    .await
            })
            .await;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(DockerError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn request(
    wanted: &NetworkSpec,
    config: Option<models::IpamConfig>,
) -> models::NetworkCreateRequest {
    models::NetworkCreateRequest {
        name: wanted.name.clone(),
        driver: Some("bridge".to_owned()),
        internal: Some(wanted.internal),
        labels: Some(wanted.labels.clone().into_iter().collect()),
        ipam: config.map(|config| models::Ipam {
            config: Some(vec![config]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The first IPv4 subnet.
fn subnet(network: &models::NetworkInspect) -> Option<Subnet> {
    configs(network)
        .iter()
        .find_map(|config| config.subnet.as_deref()?.parse().ok())
}

fn configs(network: &models::NetworkInspect) -> &[models::IpamConfig] {
    let ipam = network.ipam.as_ref();
    ipam.and_then(|ipam| ipam.config.as_deref())
        .unwrap_or_default()
}

/// The interface of a network, as the daemon names it.
fn bridge(id: &str) -> String {
    format!("br-{}", id.get(..12).unwrap_or(id))
}

/// `None` when the daemon may choose from all addresses.
fn addresses(network: &models::NetworkInspect) -> Option<NetworkAddresses> {
    configs(network).iter().find_map(|config| {
        let whole: Subnet = config.subnet.as_deref()?.parse().ok()?;
        let daemon = config.ip_range.as_deref()?.parse().ok()?;
        let gateway = config.gateway.as_deref();
        Some(NetworkAddresses {
            bridge: bridge(network.id.as_deref().unwrap_or_default()),
            assignable: whole.without(daemon)?,
            // Networks of earlier versions do not name it.
            gateway: gateway
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| whole.first_host()),
        })
    })
}
