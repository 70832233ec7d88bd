//! The decision: what to record and what to do, from what should be and what is.
//!
//! Pure. [`Change`]s are written first, in one transaction, and the plan is made again; only a
//! plan without changes has its [`Effect`]s carried out. So nothing is done that is not on record,
//! and traffic is withdrawn before anything is stopped.
//!
//! Decisions:
//! - *A stopped container is not always a crash.* When the daemon or the machine goes down, all
//!   containers end. An exit is blamed on the app if the daemon was certainly up: its changes were
//!   being followed without a break since the container was seen running, or another container of
//!   ours ran before and after that exit. Otherwise the instance is replaced at once and nothing
//!   is counted; an app that crashes again will be watched then.
//! - *A slot is filled again after its last holder is gone* when that one was stopped on purpose
//!   (`cf restart-app-instance`, scaling down and up), so that two never claim one index. A crash
//!   and a new version do not wait.

use std::collections::BTreeSet;

use super::actual::{Actual, Held};
use super::crash;
use super::desired::Desired;
use super::instance::{Phase, Record, Slot};
use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;
use crate::docker::ContainerState;

/// What to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A new instance.
    Place { slot: Slot },
    /// A container without a record becomes an instance again.
    Adopt {
        guid: InstanceGuid,
        slot: Slot,
        container_id: String,
    },
    /// The container runs, although nobody wrote that down.
    Started {
        guid: InstanceGuid,
        container_id: String,
    },
    /// It crashed.
    Crash {
        guid: InstanceGuid,
        description: String,
    },
    /// Another instance takes its place, without it having crashed.
    Replace { guid: InstanceGuid },
    /// It is to be stopped.
    Retire { guid: InstanceGuid },
    /// Its back-off is over.
    Retry { guid: InstanceGuid },
    /// Nothing of it is left.
    Forget { guid: InstanceGuid },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Make and start its container, or go on with a made one.
    Launch {
        guid: InstanceGuid,
        container_id: Option<String>,
    },
    /// Stop and remove its container, then forget it.
    Stop {
        guid: InstanceGuid,
        container_id: String,
    },
    /// Stop and remove a container that is no instance of anything.
    Discard {
        guid: InstanceGuid,
        container_id: String,
    },
}

/// Something planned, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned<T> {
    pub(super) what: T,
    pub(super) reason: &'static str,
}

/// What follows from one look at everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) changes: Vec<Planned<Change>>,
    pub(super) effects: Vec<Planned<Effect>>,
    /// When time alone will call for something.
    pub(super) next_check: Option<Timestamp>,
}

/// Compares what should be with what is.
pub(super) fn plan(desired: &Desired, actual: &Actual, now: Timestamp) -> Plan {
    let mut planner = Planner {
        desired,
        actual,
        now,
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
    plan: Plan,
}

impl Planner<'_> {
    fn instance(&mut self, record: &Record) {
        let held = self.actual.containers.get(&record.guid);
        let slot = &record.slot;
        let wanted = self
            .desired
            .wants(&slot.process_guid, &slot.version, slot.index);
        match (record.phase, wanted) {
            (Phase::Stopping, _) => self.stopping(record, held),
            // Nobody knows what it should be.
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
            (Phase::Starting | Phase::Running, Some(_)) => self.active(record, held),
        }
    }

    fn stopping(&mut self, record: &Record, held: Option<&Held>) {
        if self.actual.busy.contains(&record.guid) {
            return;
        }
        let guid = record.guid.clone();
        let Some(held) = held else {
            self.change(Change::Forget { guid }, "its container is gone");
            return;
        };
        if record.serving && held.is_running() {
            let drained = self.desired.drained_at(record.since);
            // A clock that was set back must not keep it for long.
            if drained > self.now && record.since <= self.now {
                self.check_at(drained);
                return;
            }
        }
        let container_id = held.container_id.clone();
        self.effect(
            Effect::Stop { guid, container_id },
            &record.guid,
            "it is not wanted any more",
        );
    }

    fn crashed(&mut self, record: &Record) {
        match crash::due(record, self.now) {
            Some(due) if due <= self.now => {
                let guid = record.guid.clone();
                self.change(Change::Retry { guid }, "its back-off is over");
            }
            Some(due) => self.check_at(due),
            None => {}
        }
    }

    fn active(&mut self, record: &Record, held: Option<&Held>) {
        if self.actual.busy.contains(&record.guid) {
            return;
        }
        let guid = record.guid.clone();
        let starting = record.phase == Phase::Starting;
        match held.map(|held| (held, &held.state)) {
            None if starting => {
                let container_id = None;
                let launch = Effect::Launch { guid, container_id };
                self.effect(launch, &record.guid, "it has no container");
            }
            None => self.change(Change::Replace { guid }, "its container is gone"),
            Some((held, ContainerState::Created)) if starting => {
                let container_id = Some(held.container_id.clone());
                let launch = Effect::Launch { guid, container_id };
                self.effect(launch, &record.guid, "its container was never started");
            }
            Some((_, ContainerState::Created)) => {
                self.change(Change::Replace { guid }, "its container was made anew");
            }
            Some((held, ContainerState::Running { .. })) => {
                if starting && record.container_id.as_ref() != Some(&held.container_id) {
                    let container_id = held.container_id.clone();
                    let started = Change::Started { guid, container_id };
                    self.change(started, "its container runs");
                }
            }
            Some((
                held,
                ContainerState::Exited {
                    code,
                    out_of_memory,
                    at,
                },
            )) => {
                if held.watched || self.actual.daemon_was_up(*at) {
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

    /// Fills empty slots; gives the containers that come back as instances.
    fn slots(&mut self) -> BTreeSet<InstanceGuid> {
        let mut adopted = BTreeSet::new();
        let held: BTreeSet<(&_, &_, u32)> = self
            .actual
            .instances
            .iter()
            .map(|r| (&r.slot.process_guid, &r.slot.version, r.slot.index))
            .collect();
        for process in self.desired.processes.values() {
            for index in 0..process.instances {
                if held.contains(&(&process.process_guid, &process.version, index)) {
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

    /// A running container without a record that was made for this very slot.
    fn stray_for(&self, slot: &Slot) -> Option<(InstanceGuid, String)> {
        let on_record: BTreeSet<_> = self.actual.instances.iter().map(|r| &r.guid).collect();
        self.actual
            .containers
            .iter()
            .find(|(guid, held)| {
                held.is_running()
                    && held.slot.as_ref() == Some(slot)
                    && !on_record.contains(guid)
                    && !self.actual.busy.contains(*guid)
            })
            .map(|(guid, held)| (guid.clone(), held.container_id.clone()))
    }

    /// Removes containers nothing stands for. An instance that waits out its back-off has none.
    fn strays(&mut self, adopted: &BTreeSet<InstanceGuid>) {
        let records = self.actual.instances.iter();
        let holders = records.filter(|r| r.phase != Phase::Crashed);
        let known: BTreeSet<_> = holders.map(|r| &r.guid).collect();
        for (guid, held) in &self.actual.containers {
            if known.contains(guid) || adopted.contains(guid) || self.actual.busy.contains(guid) {
                continue;
            }
            let process = held.slot.as_ref().map(|slot| &slot.process_guid);
            if process.is_some_and(|guid| self.desired.unreadable.contains(guid)) {
                continue;
            }
            let discard = Effect::Discard {
                guid: guid.clone(),
                container_id: held.container_id.clone(),
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
