//! The state of the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;

use super::Verb;
use super::behaviour::Behaviour;
use super::command::{Command, Program};
use super::files::Files;
use super::images::FakeImage;
use crate::base::Timestamp;
use crate::docker::{
    AddressRange, Container, ContainerSpec, ContainerState, DockerError, LONGEST_FRAME, Labels,
    LogFrame, LogStream, NetworkAddresses, NetworkSpec, Usage,
};

/// The addresses of networks; on loopback, so that tests may listen there.
pub(super) fn owned() -> NetworkAddresses {
    NetworkAddresses {
        bridge: "br-fake".to_owned(),
        assignable: AddressRange {
            first: Ipv4Addr::new(127, 78, 1, 0),
            last: Ipv4Addr::new(127, 78, 255, 254),
        },
        gateway: Ipv4Addr::new(127, 78, 0, 1),
    }
}

const SIGKILL_CODE: i64 = 137;
/// What the helper of [`crate::docker::trust`] runs; scripts of images are not for it.
const UPKEEP: &str = "update-ca-certificates";

/// Why a run of a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Its process exited with this code.
    Exit(i64),
    /// The daemon killed it.
    Killed,
    /// The kernel killed it for its memory.
    OutOfMemory,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) containers: Vec<FakeContainer>,
    pub(super) images: Vec<FakeImage>,
    pub(super) offered: Vec<FakeImage>,
    /// References that start with one of these can be pulled too.
    pub(super) offered_prefixes: Vec<String>,
    pub(super) pulled: Vec<String>,
    pub(super) networks: BTreeMap<String, NetworkSpec>,
    pub(super) volumes: BTreeMap<String, FakeVolume>,
    pub(super) scripts: Vec<(String, Behaviour)>,
    pub(super) listeners: Vec<(String, u16, SocketAddr)>,
    /// Answers to commands, by a part of the command's words.
    pub(super) programs: Vec<(String, Program)>,
    /// Commands so far, each with its exit status once it ended.
    pub(super) commands: Vec<Command>,
    pub(super) fail_once: BTreeMap<Verb, Vec<DockerError>>,
    pub(super) fail_always: BTreeMap<Verb, DockerError>,
    pub(super) stalled: BTreeSet<Verb>,
    pub(super) away: bool,
    /// Incremented when streams break.
    pub(super) generation: u64,
    /// Log streams opened so far, and how many of them are silenced.
    pub(super) follows: u64,
    pub(super) silent_follows: u64,
    created: u64,
    started: u64,
}

pub(super) struct FakeContainer {
    pub(super) id: String,
    pub(super) spec: ContainerSpec,
    pub(super) state: ContainerState,
    pub(super) frozen: bool,
    pub(super) behaviour: Behaviour,
    pub(super) files: Files,
    pub(super) extra_bytes: u64,
    pub(super) logs: Vec<LogFrame>,
    pub(super) usage: Usage,
    created_at: Timestamp,
    /// Number of the current start; zero before the first.
    start: u64,
    /// An incomplete line, by stream.
    unfinished: BTreeMap<LogStream, Vec<u8>>,
}

/// A volume; the paths of its files begin with a slash.
#[derive(Debug, Default)]
pub(super) struct FakeVolume {
    pub(super) labels: Labels,
    pub(super) files: Files,
}

impl State {
    pub(super) fn find(&self, id_or_name: &str) -> Option<&FakeContainer> {
        self.containers.iter().find(|c| c.is(id_or_name))
    }

    pub(super) fn find_mut(&mut self, id_or_name: &str) -> Option<&mut FakeContainer> {
        self.containers.iter_mut().find(|c| c.is(id_or_name))
    }

    pub(super) fn find_image(&self, reference: &str) -> Option<&FakeImage> {
        // The latest image with a name has it.
        self.images.iter().rev().find(|i| i.answers_to(reference))
    }

    /// Removes a name from the image that has it.
    pub(super) fn untag(&mut self, reference: &str) {
        let name = super::images::full_name(reference);
        for held in &mut self.images {
            held.image.tags.retain(|tag| *tag != name);
        }
    }

    pub(super) fn add(&mut self, spec: ContainerSpec, now: Timestamp) -> String {
        self.created += 1;
        let id = format!("{:064x}", 0xf0_0000_0000_u64 + self.created);
        let words = spec.command.join(" ");
        let is_upkeep = words.contains(UPKEEP);
        let behaviour = self
            .scripts
            .iter()
            .rev()
            .filter(|(part, _)| !is_upkeep || UPKEEP.contains(part.as_str()))
            .find(|(part, _)| spec.image.contains(part) || words.contains(part));
        self.containers.push(FakeContainer {
            id: id.clone(),
            behaviour: match behaviour {
                Some((_, scripted)) => scripted.clone(),
                None if is_upkeep => Behaviour::runs().exits(0),
                None => Behaviour::runs(),
            },
            spec,
            state: ContainerState::Created,
            frozen: false,
            files: Files::default(),
            extra_bytes: 0,
            logs: Vec::new(),
            usage: Usage {
                cpu_nanos: 1_000_000,
                memory: 8 * 1024 * 1024,
                rx: 0,
                tx: 0,
            },
            created_at: now,
            start: 0,
            unfinished: BTreeMap::new(),
        });
        id
    }

    /// Starts a container; returns the number of the start, or `None` when it was running.
    pub(super) fn start(&mut self, id: &str, now: Timestamp) -> Option<u64> {
        self.started += 1;
        let start = self.started;
        let container = self.find_mut(id)?;
        if matches!(container.state, ContainerState::Running { .. }) {
            return None;
        }
        container.state = ContainerState::Running { since: now };
        container.start = start;
        Some(start)
    }

    /// Whether another running container has the address this one was created with.
    pub(super) fn address_is_taken(&self, container: &FakeContainer) -> bool {
        let same = |other: &FakeContainer| {
            other.id != container.id
                && other.spec.network == container.spec.network
                && other.spec.address == container.spec.address
                && matches!(other.state, ContainerState::Running { .. })
        };
        container.spec.address.is_some() && self.containers.iter().any(same)
    }

    pub(super) fn ensure_network(&mut self, network: &NetworkSpec) -> NetworkAddresses {
        let known = self.networks.entry(network.name.clone());
        known.or_insert_with(|| network.clone()).internal = network.internal;
        owned()
    }

    pub(super) fn network(&self, name: &str) -> Option<NetworkAddresses> {
        self.networks.contains_key(name).then(owned)
    }

    pub(super) fn show(&self, container: &FakeContainer) -> Container {
        let running = matches!(container.state, ContainerState::Running { .. });
        let listeners = self
            .listeners
            .iter()
            .filter(|(name, port, _)| {
                container.spec.name.contains(name) && container.spec.ports.contains(port)
            })
            .map(|(_, port, address)| (*port, *address));
        Container {
            id: container.id.clone(),
            name: container.spec.name.clone(),
            labels: container.spec.labels.clone(),
            image: container.spec.image.clone(),
            state: container.state.clone(),
            created_at: container.created_at,
            ip: running.then(|| container.ip()),
            assigned: container.spec.address,
            published: if running {
                listeners.collect()
            } else {
                BTreeMap::new()
            },
            volumes: container.volumes().map(str::to_owned).collect(),
            frozen: running && container.frozen,
        }
    }
}

impl FakeContainer {
    /// The names of its volumes.
    pub(super) fn volumes(&self) -> impl Iterator<Item = &str> {
        self.spec.volumes.iter().map(|mount| mount.volume.as_str())
    }

    pub(super) fn is(&self, id_or_name: &str) -> bool {
        self.id == id_or_name || self.spec.name == id_or_name
    }

    pub(super) fn identity(&self) -> (String, Labels) {
        (self.id.clone(), self.spec.labels.clone())
    }

    /// The address it was created with, else its own loopback address for each start.
    fn ip(&self) -> IpAddr {
        let [.., high, low] = self.start.to_be_bytes();
        let chosen = Ipv4Addr::new(127, 77, high, low);
        IpAddr::V4(self.spec.address.unwrap_or(chosen))
    }

    pub(super) fn has_labels(&self, labels: &Labels) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.spec.labels.get(name) == Some(value))
    }

    pub(super) fn runs_since(&self, start: u64) -> bool {
        self.start == start && matches!(self.state, ContainerState::Running { .. })
    }

    /// Ends a run; false when there was none.
    pub(super) fn end(&mut self, death: Death, at: Timestamp) -> bool {
        if !matches!(self.state, ContainerState::Running { .. }) {
            return false;
        }
        for (stream, mut rest) in std::mem::take(&mut self.unfinished) {
            rest.push(b'\n');
            self.push(stream, rest.into(), at);
        }
        let (code, out_of_memory) = match death {
            Death::Exit(code) => (code, false),
            Death::Killed => (SIGKILL_CODE, false),
            Death::OutOfMemory => (SIGKILL_CODE, true),
        };
        self.state = ContainerState::Exited {
            code,
            out_of_memory,
            at,
        };
        true
    }

    /// Splits text into frames as the daemon does: one per line, long lines in parts that share a
    /// time, an incomplete line when the container ends.
    pub(super) fn print(&mut self, stream: LogStream, text: &[u8], now: Timestamp) {
        let mut pending = self.unfinished.remove(&stream).unwrap_or_default();
        pending.extend_from_slice(text);
        let mut rest = Bytes::from(pending);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(end + 1);
            self.push(stream, line, now);
        }
        if !rest.is_empty() {
            self.unfinished.insert(stream, rest.to_vec());
        }
    }

    fn push(&mut self, stream: LogStream, mut line: Bytes, now: Timestamp) {
        let last = self.logs.last().map_or(i64::MIN, |frame| frame.nanos);
        let nanos = now.as_nanos().max(last.saturating_add(1));
        while !line.is_empty() {
            let size = line.len().min(LONGEST_FRAME);
            self.logs.push(LogFrame {
                stream,
                nanos,
                data: line.split_to(size),
            });
        }
    }
}
