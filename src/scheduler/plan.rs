//! The planner: decides what to record and what to do from desired and actual state.
//!
//! Pure. [`Change`]s are written first, in one transaction, and the plan is computed again; only
//! the [`Effect`]s of a plan without changes are executed. So every effect is on record first, and
//! traffic is withdrawn before anything is stopped.
//!
//! Decisions:
//! - *A stopped container is not always a crash.* When the daemon or the machine goes down, all
//!   containers exit. An exit counts as a crash if the daemon was certainly up: its events were
//!   followed without a gap since the container was seen running, or another container of ours ran
//!   before and after that exit. Otherwise the instance is replaced at once and no crash is
//!   counted; if the app crashes again, that exit is watched.
//! - *A slot is filled again only after the container of its last instance is gone* if that
//!   instance was stopped on purpose (`cf restart-app-instance`, scaling down and up), so that two
//!   never claim one index. Crashes and new versions do not wait.
//! - *An instance is launched if its limit fits*: the limits of those with a container count, not what
//!   they use, as on a Diego cell. One that does not fit is told why once, and waits for room.

use std::collections::BTreeSet;

use super::actual::{Actual, InstanceContainer};
use super::crash;
use super::desired::{Desired, DesiredProcess};
use super::instance::{Phase, Record, Slot};
use crate::base::guid::InstanceGuid;
use crate::base::{Megabytes, Timestamp};
use crate::docker::ContainerState;

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A new instance.
    Place { slot: Slot },
    /// A container without a record is adopted as an instance.
    Adopt {
        guid: InstanceGuid,
        slot: Slot,
        container_id: String,
    },
    /// The container runs, but its start is not recorded.
    Started {
        guid: InstanceGuid,
        container_id: String,
    },
    /// It crashed.
    Crash {
        guid: InstanceGuid,
        description: String,
    },
    /// Another instance takes its place; not a crash.
    Replace { guid: InstanceGuid },
    /// It is to be stopped.
    Retire { guid: InstanceGuid },
    /// Its backoff is over.
    Retry { guid: InstanceGuid },
    /// Nothing of it is left.
    Forget { guid: InstanceGuid },
    /// There is no room for it; it is launched when there is.
    Wait { guid: InstanceGuid },
}

impl Change {
    /// The instance that another one replaces without a crash.
    pub(super) fn replaced(&self) -> Option<&InstanceGuid> {
        if let Self::Replace { guid } = self {
            return Some(guid);
        }
        None
    }
}

/// Why an instance waits, in the words of Cloud Foundry's placement.
pub(super) const NO_ROOM: &str = "insufficient resources: memory";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Create and start its container, or start an existing one.
    Launch {
        guid: InstanceGuid,
        container_id: Option<String>,
    },
    /// Stop and remove its container, then forget it.
    Stop {
        guid: InstanceGuid,
        container_id: String,
    },
    /// Stop and remove a container that belongs to no instance.
    Discard {
        guid: InstanceGuid,
        container_id: String,
    },
}

/// A planned step and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned<T> {
    pub(super) what: T,
    pub(super) reason: &'static str,
}

/// The steps that follow from one observation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) changes: Vec<Planned<Change>>,
    pub(super) effects: Vec<Planned<Effect>>,
    /// When the next step is due even if nothing changes.
    pub(super) next_check: Option<Timestamp>,
}

/// Compares desired with actual state.
pub(super) fn plan(desired: &Desired, actual: &Actual, now: Timestamp) -> Plan {
    let mut planner = Planner {
        desired,
        actual,
        now,
        free: free_memory(desired, actual),
        plan: Plan::default(),
    };
    for record in &actual.instances {
        planner.instance(record);
    }
    let adopted = planner.slots();
    planner.strays(&adopted);
    planner.plan
}

struct Planner<'a> {
    desired: &'a Desired,
    actual: &'a Actual,
    now: Timestamp,
    /// Megabytes that instances may still get; `None` = any.
    free: Option<i64>,
    plan: Plan,
}

/// What instances with a container leave of the capacity, by their limits.
fn free_memory(desired: &Desired, actual: &Actual) -> Option<i64> {
    let capacity = desired.memory_capacity?;
    let has_memory = |record: &&Record| {
        let container = actual.containers.get(&record.guid);
        let is_there = container.is_some_and(InstanceContainer::has_memory);
        is_there || actual.busy.contains(&record.guid)
    };
    let limit = |record: &Record| {
        let process = desired.processes.get(&record.slot.process_guid);
        process.map_or(0, |process| process.memory.0)
    };
    let used: i64 = { actual.instances.iter() }
        .filter(has_memory)
        .map(limit)
        .sum();
    Some(capacity.0 - used)
}

impl Planner<'_> {
    fn instance(&mut self, record: &Record) {
        let container = self.actual.containers.get(&record.guid);
        let slot = &record.slot;
        let wanted = self
            .desired
            .wants(&slot.process_guid, &slot.version, slot.index);
        match (record.phase, wanted) {
            (Phase::Stopping, _) => self.stopping(record, container),
            // Its desired state is unknown.
            _ if self.desired.unreadable.contains(&slot.process_guid) => {}
            (_, None) => {
                let reason = if self.desired.processes.contains_key(&slot.process_guid) {
                    "the process has fewer instances or another version"
                } else {
                    "the process is stopped or deleted"
                };
                let guid = record.guid.clone();
                self.change(Change::Retire { guid }, reason);
            }
            (Phase::Crashed, Some(_)) => self.crashed(record),
            (Phase::Starting | Phase::Running, Some(process)) => {
                self.active(record, process, container);
            }
        }
    }

    fn stopping(&mut self, record: &Record, container: Option<&InstanceContainer>) {
        if self.actual.busy.contains(&record.guid) {
            return;
        }
        let guid = record.guid.clone();
        let Some(container) = container else {
            self.change(Change::Forget { guid }, "its container is gone");
            return;
        };
        if record.serving && container.is_running() {
            let drained = self.desired.drained_at(record.since);
            // A clock that was set back must not keep it running.
            if drained > self.now && record.since <= self.now {
                self.check_at(drained);
                return;
            }
        }
        let container_id = container.container_id.clone();
        self.effect(
            Effect::Stop { guid, container_id },
            &record.guid,
            "it is no longer wanted",
        );
    }

    fn crashed(&mut self, record: &Record) {
        match crash::due(record, self.now) {
            Some(due) if due <= self.now => {
                let guid = record.guid.clone();
                self.change(Change::Retry { guid }, "its backoff is over");
            }
            Some(due) => self.check_at(due),
            None => {}
        }
    }

    fn active(
        &mut self,
        record: &Record,
        process: &DesiredProcess,
        container: Option<&InstanceContainer>,
    ) {
        if self.actual.busy.contains(&record.guid) {
            return;
        }
        let guid = record.guid.clone();
        let starting = record.phase == Phase::Starting;
        match container.map(|container| (container, &container.state)) {
            None if starting => self.launch(record, process.memory),
            None => self.change(Change::Replace { guid }, "its container is gone"),
            Some((container, ContainerState::Created)) if starting => {
                let container_id = Some(container.container_id.clone());
                let launch = Effect::Launch { guid, container_id };
                self.effect(launch, &record.guid, "its container was never started");
            }
            Some((_, ContainerState::Created)) => {
                self.change(Change::Replace { guid }, "its container was recreated");
            }
            Some((container, ContainerState::Running { .. })) => {
                if starting && record.container_id.as_ref() != Some(&container.container_id) {
                    let container_id = container.container_id.clone();
                    let started = Change::Started { guid, container_id };
                    self.change(started, "its container runs");
                }
            }
            Some((
                container,
                ContainerState::Exited {
                    code,
                    out_of_memory,
                    at,
                },
            )) => {
                if container.watched || self.actual.daemon_was_up(*at) {
                    let kind = &record.slot.process_type;
                    let description = crash::exit_description(kind, *code, *out_of_memory);
                    self.change(Change::Crash { guid, description }, "its container ended");
                } else {
                    let replace = Change::Replace { guid };
                    self.change(replace, "its container ended with the daemon");
                }
            }
        }
    }

    /// Launches an instance without a container, if there is room for it.
    fn launch(&mut self, record: &Record, memory: Megabytes) {
        let guid = record.guid.clone();
        if self.free.is_some_and(|free| free < memory.0) {
            if record.details.as_deref() != Some(NO_ROOM) {
                self.change(Change::Wait { guid }, "there is no room for it");
            }
            return;
        }
        self.free = self.free.map(|free| free - memory.0);
        let container_id = None;
        let launch = Effect::Launch { guid, container_id };
        self.effect(launch, &record.guid, "it has no container");
    }

    /// Fills empty slots; returns the instances whose containers were adopted.
    fn slots(&mut self) -> BTreeSet<InstanceGuid> {
        let mut adopted = BTreeSet::new();
        let filled: BTreeSet<(&_, &_, u32)> = self
            .actual
            .instances
            .iter()
            .map(|r| (&r.slot.process_guid, &r.slot.version, r.slot.index))
            .collect();
        for process in self.desired.processes.values() {
            for index in 0..process.instances {
                if filled.contains(&(&process.process_guid, &process.version, index)) {
                    continue;
                }
                let slot = Slot {
                    process_guid: process.process_guid.clone(),
                    version: process.version.clone(),
                    index,
                    app_guid: process.app_guid.clone(),
                    process_type: process.process_type.clone(),
                };
                if let Some((guid, container_id)) = self.stray_for(&slot) {
                    adopted.insert(guid.clone());
                    let adopt = Change::Adopt {
                        guid,
                        slot,
                        container_id,
                    };
                    self.change(adopt, "its container runs without a record");
                } else {
                    self.change(Change::Place { slot }, "the process wants it");
                }
            }
        }
        adopted
    }

    /// A running container without a record that was created for this slot.
    fn stray_for(&self, slot: &Slot) -> Option<(InstanceGuid, String)> {
        let on_record: BTreeSet<_> = self.actual.instances.iter().map(|r| &r.guid).collect();
        self.actual
            .containers
            .iter()
            .find(|(guid, container)| {
                container.is_running()
                    && container.slot.as_ref() == Some(slot)
                    && !on_record.contains(guid)
                    && !self.actual.busy.contains(*guid)
            })
            .map(|(guid, container)| (guid.clone(), container.container_id.clone()))
    }

    /// Removes containers without an instance. An instance in backoff has no container.
    fn strays(&mut self, adopted: &BTreeSet<InstanceGuid>) {
        let records = self.actual.instances.iter();
        let with_container = records.filter(|r| r.phase != Phase::Crashed);
        let known: BTreeSet<_> = with_container.map(|r| &r.guid).collect();
        for (guid, container) in &self.actual.containers {
            if known.contains(guid) || adopted.contains(guid) || self.actual.busy.contains(guid) {
                continue;
            }
            let process = container.slot.as_ref().map(|slot| &slot.process_guid);
            if process.is_some_and(|guid| self.desired.unreadable.contains(guid)) {
                continue;
            }
            let discard = Effect::Discard {
                guid: guid.clone(),
                container_id: container.container_id.clone(),
            };
            self.effect(discard, guid, "it belongs to no instance");
        }
    }

    fn change(&mut self, what: Change, reason: &'static str) {
        self.plan.changes.push(Planned { what, reason });
    }

    fn effect(&mut self, what: Effect, guid: &InstanceGuid, reason: &'static str) {
        match self.actual.paused.get(guid) {
            Some(until) if *until > self.now => self.check_at(*until),
            _ => self.plan.effects.push(Planned { what, reason }),
        }
    }

    fn check_at(&mut self, at: Timestamp) {
        let earlier = self.plan.next_check.is_none_or(|next| at < next);
        if earlier {
            self.plan.next_check = Some(at);
        }
    }
}
