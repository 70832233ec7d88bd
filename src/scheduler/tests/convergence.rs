//! From any state, plan → apply converges to the desired state.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;
use crate::docker::ContainerState;
use crate::scheduler::actual::{Actual, InstanceContainer};
use crate::scheduler::crash::{self, Restart};
use crate::scheduler::desired::Desired;
use crate::scheduler::fake::process;
use crate::scheduler::instance::{InstanceAddress, Phase, Record, Slot};
use crate::scheduler::plan::{Change, Effect, NO_ROOM, plan};

const ROUNDS: usize = 40;

/// A model of the store and the daemon.
#[derive(Debug)]
struct Model {
    actual: Actual,
    now: Timestamp,
    guids: u32,
}

impl Model {
    fn fresh(&mut self, slot: Slot, phase: Phase, crash_count: u32) {
        self.guids += 1;
        let taken = self.actual.instances.iter().any(|r| {
            r.phase != Phase::Stopping
                && (&r.slot.process_guid, &r.slot.version, r.slot.index)
                    == (&slot.process_guid, &slot.version, slot.index)
        });
        assert!(!taken, "two active instances in {slot:?}");
        self.actual.instances.push(Record {
            guid: format!("new{}", self.guids).into(),
            slot,
            phase,
            since: self.now,
            container_id: None,
            ready: false,
            serving: false,
            crash_count,
            last_crash_at: Some(self.now),
            details: None,
        });
    }

    fn find(&mut self, guid: &InstanceGuid) -> &mut Record {
        let found = self.actual.instances.iter_mut().find(|r| r.guid == *guid);
        found.expect("planned for what is on record")
    }

    fn retire(&mut self, guid: &InstanceGuid) -> Record {
        let now = self.now;
        let record = self.find(guid);
        let before = record.clone();
        record.serving = record.phase == Phase::Running && record.ready;
        record.phase = Phase::Stopping;
        record.since = now;
        before
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Place { slot } => self.fresh(slot, Phase::Starting, 0),
            Change::Adopt {
                guid,
                slot,
                container_id,
            } => {
                self.fresh(slot, Phase::Starting, 0);
                let record = self.actual.instances.last_mut().expect("just added");
                record.guid = guid;
                record.container_id = Some(container_id);
            }
            Change::Started { guid, container_id } => {
                self.find(&guid).container_id = Some(container_id);
            }
            Change::Crash { guid, .. } => {
                let record = self.retire(&guid);
                let count = crash::next_count(&record, self.now);
                let phase = match crash::restart_after(count) {
                    Restart::AtOnce => Phase::Starting,
                    Restart::After(_) | Restart::Never => Phase::Crashed,
                };
                self.fresh(record.slot, phase, count);
            }
            Change::Replace { guid } => {
                let record = self.retire(&guid);
                self.fresh(record.slot, Phase::Starting, record.crash_count);
            }
            Change::Retire { guid } => drop(self.retire(&guid)),
            Change::Retry { guid } => self.find(&guid).phase = Phase::Starting,
            Change::Forget { guid } => self.actual.instances.retain(|r| r.guid != guid),
            Change::Wait { guid } => self.find(&guid).details = Some(NO_ROOM.to_owned()),
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { guid, .. } => {
                let slot = self.find(&guid).slot.clone();
                let id = format!("c-{guid}");
                self.find(&guid).container_id = Some(id.clone());
                let state = ContainerState::Running { since: self.now };
                let container = instance_container(&id, slot, state, true);
                self.actual.containers.insert(guid, container);
            }
            Effect::Stop { guid, .. } => {
                self.actual.containers.remove(&guid);
                self.actual.instances.retain(|r| r.guid != guid);
            }
            Effect::Discard { guid, .. } => drop(self.actual.containers.remove(&guid)),
        }
    }

    /// Runs until nothing is left to do; executes at most `max_effects` effects of each plan.
    fn settle(&mut self, desired: &Desired, max_effects: usize) -> bool {
        for _ in 0..ROUNDS * 10 {
            let plan = plan(desired, &self.actual, self.now);
            if plan.changes.is_empty() && plan.effects.is_empty() {
                let stopping = |r: &Record| r.phase == Phase::Stopping;
                match plan.next_check {
                    Some(at) if self.actual.instances.iter().any(stopping) => self.now = at,
                    _ => return true,
                }
            }
            if plan.changes.is_empty() {
                for effect in plan.effects.into_iter().take(max_effects) {
                    self.execute(effect.what);
                }
            } else {
                for change in plan.changes {
                    self.apply(change.what);
                }
            }
        }
        false
    }
}

fn instance_container(
    id: &str,
    slot: Slot,
    state: ContainerState,
    watched: bool,
) -> InstanceContainer {
    InstanceContainer {
        container_id: id.to_owned(),
        slot: Some(slot),
        state,
        address: InstanceAddress {
            ip: None,
            ports: BTreeMap::new(),
        },
        watched,
    }
}

prop_compose! {
    fn any_slot()(process in 0..3_u8, version in 0..2_u8, index in 0..3_u32) -> Slot {
        Slot {
            process_guid: format!("p{process}").into(),
            version: format!("v{version}"),
            index,
            app_guid: format!("p{process}-app").into(),
            process_type: "web".to_owned(),
        }
    }
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Starting),
        Just(Phase::Running),
        Just(Phase::Crashed),
        Just(Phase::Stopping),
    ]
}

fn any_state() -> impl Strategy<Value = Option<ContainerState>> {
    let time = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    prop_oneof![
        Just(None),
        Just(Some(ContainerState::Created)),
        (0..1000_i64).prop_map(move |s| Some(ContainerState::Running { since: time(s) })),
        (0..1000_i64, 0..3_i64).prop_map(move |(s, code)| Some(ContainerState::Exited {
            code,
            out_of_memory: false,
            at: time(s),
        })),
    ]
}

prop_compose! {
    fn any_instance()(
        slot in any_slot(),
        phase in prop::option::of(any_phase()),
        state in any_state(),
        crash_count in 0..5_u32,
        flags in any::<[bool; 3]>(),
        since in 0..1100_i64,
    ) -> (Slot, Option<Phase>, Option<ContainerState>, u32, [bool; 3], i64) {
        (slot, phase, state, crash_count, flags, since)
    }
}

prop_compose! {
    fn any_model()(instances in prop::collection::vec(any_instance(), 0..12)) -> Model {
        let mut actual = Actual::default();
        let mut taken = std::collections::BTreeSet::new();
        for (n, (slot, phase, state, crash_count, flags, since)) in instances.into_iter().enumerate() {
            let guid = InstanceGuid::from(format!("i{n}"));
            let id = format!("c-i{n}");
            let phase = phase.filter(|p| *p == Phase::Stopping || taken.insert(slot.clone()));
            if let Some(phase) = phase {
                let since = Timestamp::from_micros(since * 1_000_000);
                actual.instances.push(Record {
                    guid: guid.clone(),
                    slot: slot.clone(),
                    phase,
                    since,
                    container_id: flags[0].then(|| id.clone()),
                    ready: flags[1],
                    serving: flags[1],
                    crash_count,
                    last_crash_at: Some(since),
                    details: None,
                });
            }
            if let Some(state) = state {
                actual.containers.insert(guid, instance_container(&id, slot, state, flags[2]));
            }
        }
        Model { actual, now: Timestamp::from_micros(1_000_000_000), guids: 0 }
    }
}

proptest! {
    #[test]
    fn every_state_converges_to_the_desired_state(
        mut model in any_model(),
        wanted in prop::collection::vec((0..2_u8, 0..4_u32), 0..3),
        max_effects in 1..4_usize,
    ) {
        let processes = wanted.into_iter().enumerate().map(|(n, (version, instances))| {
            let mut process = process(&format!("p{n}"), instances);
            process.version = format!("v{version}");
            process
        });
        let desired = Desired::new(processes.collect::<Vec<_>>().into(), Duration::from_secs(1));
        prop_assert!(model.settle(&desired, max_effects), "did not converge: {:#?}", model.actual);
        let slots: usize = desired.processes.values().map(|p| p.instances as usize).sum();
        prop_assert_eq!(model.actual.instances.len(), slots);
        for record in &model.actual.instances {
            let slot = &record.slot;
            let wanted = desired.wants(&slot.process_guid, &slot.version, slot.index);
            prop_assert!(wanted.is_some(), "{:?} is not wanted", record);
            let container = model.actual.containers.get(&record.guid);
            let runs = container.is_some_and(InstanceContainer::is_running);
            prop_assert_eq!(runs, record.phase != Phase::Crashed, "{:?}", record);
        }
        let crashed = model.actual.instances.iter().filter(|r| r.phase == Phase::Crashed);
        prop_assert_eq!(model.actual.containers.len(), slots - crashed.count());
    }
}
