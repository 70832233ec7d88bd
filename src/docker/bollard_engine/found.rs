//! What the daemon reports of a container; pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bollard::models;

use crate::base::Timestamp;
use crate::docker::{Container, ContainerState};

pub(super) fn container(found: models::ContainerInspectResponse) -> Container {
    let (image, labels) = found.config.map_or_else(Default::default, |config| {
        (
            config.image.unwrap_or_default(),
            config.labels.unwrap_or_default().into_iter().collect(),
        )
    });
    let network = found.network_settings.unwrap_or_default();
    let endpoints = network.networks.unwrap_or_default();
    let mounts = found.mounts.unwrap_or_default();
    let frozen = found.state.as_ref().and_then(|state| state.paused) == Some(true);
    Container {
        id: found.id.unwrap_or_default(),
        name: found
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        labels,
        image,
        state: state(&found.state.unwrap_or_default()),
        created_at: time(found.created.as_deref()),
        ip: endpoints
            .values()
            .find_map(|endpoint| endpoint.ip_address.as_ref()?.parse::<IpAddr>().ok()),
        assigned: endpoints.values().find_map(|endpoint| {
            let wanted = endpoint.ipam_config.as_ref()?.ipv4_address.as_ref()?;
            wanted.parse().ok()
        }),
        published: published(network.ports.unwrap_or_default()),
        volumes: mounts.into_iter().filter_map(|mount| mount.name).collect(),
        frozen,
    }
}

fn state(state: &models::ContainerState) -> ContainerState {
    use models::ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
            ContainerState::Running {
                since: time(state.started_at.as_deref()),
            }
        }
        Some(Status::EXITED | Status::DEAD | Status::REMOVING) => ContainerState::Exited {
            code: state.exit_code.unwrap_or(0),
            out_of_memory: state.oom_killed.unwrap_or(false),
            at: time(state.finished_at.as_deref()),
        },
        Some(Status::CREATED | Status::EMPTY) | None => ContainerState::Created,
    }
}

fn time(text: Option<&str>) -> Timestamp {
    text.and_then(Timestamp::parse)
        .unwrap_or(Timestamp::from_micros(0))
}

fn published(ports: models::PortMap) -> BTreeMap<u16, SocketAddr> {
    let mut published = BTreeMap::new();
    for (name, bindings) in ports {
        let inside = name.strip_suffix("/tcp").and_then(|port| port.parse().ok());
        let outside = bindings
            .unwrap_or_default()
            .into_iter()
            .find_map(|binding| binding.host_port?.parse().ok());
        if let (Some(inside), Some(outside)) = (inside, outside) {
            published.insert(inside, SocketAddr::from((Ipv4Addr::LOCALHOST, outside)));
        }
    }
    published
}
