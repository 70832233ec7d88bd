//! What is: the instances on record and the containers the daemon has, as a pass sees them.
//!
//! A container tells by its labels which instance it is; names and rows are never the only link.

use std::collections::{BTreeMap, BTreeSet};

use super::instance::{InstanceAddress, Record, Slot};
use super::labels;
use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;
use crate::docker::{Container, ContainerState};

/// Everything there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Actual {
    /// Instances on record.
    pub(super) instances: Vec<Record>,
    /// Containers by the instance they are.
    pub(super) containers: BTreeMap<InstanceGuid, Held>,
    /// Instances something is being done for right now.
    pub(super) busy: BTreeSet<InstanceGuid>,
    /// Instances whose last attempt failed, and when the next one is due.
    pub(super) paused: BTreeMap<InstanceGuid, Timestamp>,
}

/// A container that is, or was, an instance.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) container_id: String,
    /// What its labels say it is; `None` when they are incomplete.
    pub(super) slot: Option<Slot>,
    pub(super) state: ContainerState,
    pub(super) address: InstanceAddress,
    /// It was seen running while the daemon's changes were being followed without a break since:
    /// the daemon itself was up when it ended.
    pub(super) watched: bool,
}

impl Held {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. })
    }
}

impl Actual {
    pub(super) fn new(instances: Vec<Record>, containers: &[(Container, bool)]) -> Self {
        let containers = containers
            .iter()
            .map(|(container, watched)| {
                (labels::instance_guid(container), hold(container, *watched))
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
            .any(|held| matches!(held.state, ContainerState::Running { since } if since < moment))
    }
}

fn hold(container: &Container, watched: bool) -> Held {
    Held {
        container_id: container.id.clone(),
        slot: labels::slot(container),
        state: container.state.clone(),
        address: address(container),
        watched,
    }
}

/// Published ports where there are any, else the container's own address.
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
