//! How a container is reached: its address and names on a network, and ports of this machine.

use std::net::Ipv4Addr;

use bollard::models;

use crate::docker::ContainerSpec;

/// The assigned address of the container, without which the daemon chooses one, and its names.
pub(super) fn endpoint(spec: &ContainerSpec) -> Option<models::NetworkingConfig> {
    let network = spec.network.clone()?;
    if spec.address.is_none() && spec.aliases.is_empty() {
        return None;
    }
    let endpoint = models::EndpointSettings {
        ipam_config: spec.address.map(|address| models::EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..Default::default()
        }),
        aliases: (!spec.aliases.is_empty()).then(|| spec.aliases.clone()),
        ..Default::default()
    };
    Some(models::NetworkingConfig {
        endpoints_config: Some([(network, endpoint)].into()),
    })
}

pub(super) fn loopback_binding(port: Option<u16>) -> models::PortBinding {
    models::PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        // Empty: the daemon picks a free one.
        host_port: Some(port.map_or_else(String::new, |port| port.to_string())),
    }
}
