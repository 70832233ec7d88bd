//! The actual state: instance records and the daemon's containers, as one pass sees them.
//!
//! The labels of a container identify its instance; names and rows are never the only link.

use std::collections::{BTreeMap, BTreeSet};

use super::instance::{InstanceAddress, Record, Slot};
use super::labels;
use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;
use crate::docker::{Container, ContainerState};

/// The actual state.
#[derive(Clone, Debug, Default)]
pub(super) struct Actual {
    /// Instance records.
    pub(super) instances: Vec<Record>,
    /// Containers by instance guid.
    pub(super) containers: BTreeMap<InstanceGuid, InstanceContainer>,
    /// Instances with an effect in progress.
    pub(super) busy: BTreeSet<InstanceGuid>,
    /// Instances whose last attempt failed, with the time of the next one.
    pub(super) paused: BTreeMap<InstanceGuid, Timestamp>,
}

/// The container of a current or former instance.
#[derive(Clone, Debug)]
pub(super) struct InstanceContainer {
    pub(super) container_id: String,
    /// The slot from its labels; `None` when they are incomplete.
    pub(super) slot: Option<Slot>,
    pub(super) state: ContainerState,
    pub(super) address: InstanceAddress,
    /// It was seen running, and the daemon's events were followed without a gap since: the daemon
    /// itself was up when it exited.
    pub(super) watched: bool,
}

impl InstanceContainer {
    /// Whether it has what its limit allows, or will soon.
    pub(super) fn has_memory(&self) -> bool {
        !matches!(self.state, ContainerState::Exited { .. })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. })
    }
}

impl Actual {
    pub(super) fn new(instances: Vec<Record>, containers: &[(Container, bool)]) -> Self {
        let containers = containers
            .iter()
            .map(|(container, watched)| {
                (
                    labels::instance_guid(container),
                    instance_container(container, *watched),
                )
            })
            .collect();
        Self {
            instances,
            containers,
            ..Self::default()
        }
    }

    /// Whether some container ran before and after `moment`, which a restart of the daemon or the
    /// machine would not have allowed.
    pub(super) fn daemon_was_up(&self, moment: Timestamp) -> bool {
        self.containers
            .values()
            .any(|container| matches!(container.state, ContainerState::Running { since } if since < moment))
    }
}

fn instance_container(container: &Container, watched: bool) -> InstanceContainer {
    InstanceContainer {
        container_id: container.id.clone(),
        slot: labels::slot(container),
        state: container.state.clone(),
        address: address(container),
        watched,
    }
}

/// Published ports if there are any, else the container's own address.
fn address(container: &Container) -> InstanceAddress {
    let mut ports = container.published.clone();
    if let Some(ip) = container.ip {
        for port in labels::ports(container) {
            ports.entry(port).or_insert((ip, port).into());
        }
    }
    InstanceAddress {
        ip: container.ip,
        ports,
    }
}
