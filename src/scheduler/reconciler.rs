//! The passes over instances: observe, plan, record, act.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep;

use super::SchedulerError;
use super::actual::Actual;
use super::desired::Desired;
use super::health_check::ProbeTarget;
use super::inner::{Inner, Progress, Running};
use super::instance::{Phase, RoutableInstance};
use super::monitor::Monitor;
use super::passes::{RETRIES, Reconciler, Watched};
use super::plan::{Change, Effect, Plan, Planned, plan};
use super::{labels, log_sink};
use crate::base::guid::InstanceGuid;
use crate::base::{Supervisor, Timestamp};
use crate::db::DbError;
use crate::docker::{ContainerState, LogStream};

/// Follow-up changes settle in two or three rounds.
const ROUNDS: usize = 8;

struct Observation {
    desired: Desired,
    actual: Actual,
    change: u64,
    now: Timestamp,
}

impl Reconciler for Inner {
    const WHAT: &'static str = "instances";

    fn watched(&self) -> Watched<'_> {
        Watched {
            db: &self.db,
            clock: &*self.clock,
            engine: &*self.engine,
            view: &self.view,
            wake: &self.wake,
            labels: labels::of_platform(&self.settings.platform_id),
        }
    }

    fn exited(&self, container_id: &str) {
        self.withdraw(container_id);
    }

    async fn pass(
        self: &Arc<Self>,
        changes: &mut watch::Receiver<u64>,
        supervisor: &Supervisor,
    ) -> Result<Option<Timestamp>, SchedulerError> {
        for _ in 0..ROUNDS {
            let observation = self.observe(changes).await?;
            let plan = plan(&observation.desired, &observation.actual, observation.now);
            if plan.changes.is_empty() {
                let next = plan.next_check;
                self.act(&observation, plan, supervisor);
                return Ok(next);
            }
            self.record_changes(&observation, plan.changes).await?;
        }
        Ok(Some(self.clock.now()))
    }
}

impl Inner {
    async fn observe(
        &self,
        changes: &mut watch::Receiver<u64>,
    ) -> Result<Observation, SchedulerError> {
        let change = *changes.borrow_and_update();
        // Read before the containers: an effect that ends later is seen as busy, one that ended
        // earlier is in the list.
        let busy = self.attempts.busy();
        let ours = labels::of_platform(&self.settings.platform_id);
        let listed = self.view.refresh(self.engine.as_ref(), &ours).await;
        let (wanted, instances) = self.read().await?;
        let mut desired = Desired::new(wanted, self.settings.drain);
        let mut actual = Actual::new(instances, &self.view.containers());
        actual.busy = busy;
        actual.paused = self.attempts.paused();
        // Also while the daemon is unreachable: a stopped instance must not get traffic.
        self.publish(&desired, &actual);
        listed?;
        desired.memory_capacity = self.memory_capacity().await;
        Ok(Observation {
            desired,
            actual,
            change,
            now: self.clock.now(),
        })
    }

    async fn record_changes(
        &self,
        observation: &Observation,
        changes: Vec<Planned<Change>>,
    ) -> Result<(), SchedulerError> {
        for planned in &changes {
            let (change, reason) = (&planned.what, planned.reason);
            tracing::info!(?change, reason, "recording instance change");
        }
        let replaced = changes.iter().filter_map(|planned| planned.what.replaced());
        let replaced: Vec<InstanceGuid> = replaced.cloned().collect();
        let (facts, now) = (self.facts.clone(), observation.now);
        let write = self.db.write(move |tx| {
            for planned in &changes {
                facts.apply(tx, planned, now)?;
            }
            Ok::<_, DbError>(())
        });
        write.await?;
        for guid in &replaced {
            self.log_replacement(observation, guid);
        }
        Ok(())
    }

    fn log_replacement(&self, observation: &Observation, guid: &InstanceGuid) {
        let mut records = observation.actual.instances.iter();
        if let Some(record) = records.find(|record| record.guid == *guid) {
            let cell = &self.settings.cell_id;
            let text = format!("Cell {cell} requesting replacement for instance {guid}");
            let line = log_sink::line(record, "CELL", LogStream::Out, text);
            self.logs.line(line);
        }
    }

    fn act(self: &Arc<Self>, observation: &Observation, plan: Plan, supervisor: &Supervisor) {
        let known: BTreeSet<_> = observation
            .actual
            .instances
            .iter()
            .map(|r| r.guid.clone())
            .chain(observation.actual.containers.keys().cloned())
            .collect();
        self.attempts.retain(&known);
        self.start_monitors(supervisor);
        let idle = plan.effects.is_empty()
            && observation.actual.busy.is_empty()
            && observation
                .actual
                .instances
                .iter()
                .all(|r| matches!(r.phase, Phase::Running | Phase::Crashed));
        for planned in plan.effects {
            self.begin_effect(observation, planned, supervisor);
        }
        let change = observation.change;
        self.progress.send_replace(Progress { change, idle });
    }

    fn begin_effect(
        self: &Arc<Self>,
        observation: &Observation,
        planned: Planned<Effect>,
        supervisor: &Supervisor,
    ) {
        let (Effect::Launch { guid, .. }
        | Effect::Stop { guid, .. }
        | Effect::Discard { guid, .. }) = &planned.what;
        let Some(busy) = self.attempts.begin(guid) else {
            return;
        };
        tracing::info!(effect = ?planned.what, reason = planned.reason, "starting instance effect");
        let record = observation
            .actual
            .instances
            .iter()
            .find(|r| r.guid == *guid);
        let record = record.cloned();
        let process = record
            .as_ref()
            .and_then(|r| observation.desired.processes.get(&r.slot.process_guid))
            .cloned();
        let inner = self.clone();
        busy.run(supervisor, async move {
            match (planned.what, record, process) {
                (Effect::Launch { container_id, .. }, Some(record), Some(process)) => {
                    inner.launch(&record, &process, container_id).await;
                }
                (Effect::Stop { container_id, .. }, Some(record), _) => {
                    inner.stop(&record, &container_id).await;
                }
                (Effect::Discard { guid, container_id }, _, _) => {
                    inner.discard(&guid, &container_id).await;
                }
                (Effect::Launch { .. } | Effect::Stop { .. }, _, _) => {}
            }
        });
    }

    /// Ensures that exactly the running instances have a monitor.
    fn start_monitors(self: &Arc<Self>, supervisor: &Supervisor) {
        let running = self.running();
        let wanted: BTreeSet<_> = running.keys().cloned().collect();
        for guard in self.update_monitors(&wanted, &supervisor.token()) {
            let Some(one) = running.get(&guard.guid) else {
                continue;
            };
            let monitor = Monitor {
                record: one.record.clone(),
                process: one.process.clone(),
                container_id: one.container_id.clone(),
                targets: targets(one),
                age: self.clock.now().since(one.since),
            };
            let inner = self.clone();
            supervisor.once(async move {
                let ended = tokio::select! {
                    () = guard.token.cancelled() => Ok(()),
                    ended = monitor.run(&inner) => ended,
                };
                if let Err(error) = ended {
                    tracing::error!(instance.guid = %guard.guid, %error, "monitor failed");
                    sleep(RETRIES.first).await;
                }
                drop(guard);
            });
        }
    }

    /// Removes an exited container from routing at once, before anything else is checked.
    fn withdraw(&self, container_id: &str) {
        let _turn = self.publishing();
        self.view.ended(container_id);
        let mut running = (*self.running()).clone();
        let before = running.len();
        running.retain(|_, one| one.container_id != container_id);
        if running.len() == before {
            return;
        }
        self.routable.send_if_modified(|current| {
            let all = current.iter();
            let left: Vec<_> = all
                .filter(|one| running.contains_key(&one.instance_guid))
                .cloned()
                .collect();
            let changed = left.len() != current.len();
            if changed {
                *current = Arc::new(left);
            }
            changed
        });
        self.set_running(running);
    }

    /// Publishes the running and the routable instances.
    fn publish(&self, desired: &Desired, actual: &Actual) {
        let _turn = self.publishing();
        let mut running: Vec<Running> = running(desired, actual);
        let mut routable = routable(desired, actual, &running);
        // A container may have exited since it was listed.
        running.retain(|one| !self.view.has_ended(&one.container_id));
        routable.retain(|one| {
            let container = actual.containers.get(&one.instance_guid);
            !container.is_some_and(|container| self.view.has_ended(&container.container_id))
        });
        self.set_running(
            running
                .into_iter()
                .map(|one| (one.record.guid.clone(), one))
                .collect(),
        );
        self.routable.send_if_modified(|current| {
            let changed = **current != routable;
            if changed {
                *current = Arc::new(routable);
            }
            changed
        });
        self.observed
            .send_if_modified(|observed| !std::mem::replace(observed, true));
    }
}

/// The active, wanted instances whose containers run.
fn running(desired: &Desired, actual: &Actual) -> Vec<Running> {
    let one = |record: &super::instance::Record| {
        let slot = &record.slot;
        let process = desired.wants(&slot.process_guid, &slot.version, slot.index)?;
        let container = actual.containers.get(&record.guid)?;
        let ContainerState::Running { since } = container.state else {
            return None;
        };
        let active = matches!(record.phase, Phase::Starting | Phase::Running);
        let launched = record.container_id.is_some();
        (active && launched).then(|| Running {
            record: record.clone(),
            process: process.clone(),
            container_id: container.container_id.clone(),
            since,
            address: container.address.clone(),
        })
    };
    actual.instances.iter().filter_map(one).collect()
}

/// The running instances that take traffic, and those that took it while the row of their process
/// was still readable.
fn routable(desired: &Desired, actual: &Actual, running: &[Running]) -> Vec<RoutableInstance> {
    let known = running.iter().map(|one| (&one.record, &one.address));
    let kept = actual.instances.iter().filter_map(|record| {
        let kept = desired.unreadable.contains(&record.slot.process_guid);
        let container = actual.containers.get(&record.guid)?;
        (kept && container.is_running()).then_some((record, &container.address))
    });
    known
        .chain(kept)
        .filter(|(record, _)| record.phase == Phase::Running && record.ready)
        .map(|(record, address)| RoutableInstance {
            instance_guid: record.guid.clone(),
            process_guid: record.slot.process_guid.clone(),
            app_guid: record.slot.app_guid.clone(),
            index: record.slot.index,
            address: address.clone(),
        })
        .collect()
}

fn targets(running: &Running) -> Vec<ProbeTarget> {
    let target = |port: &u16| {
        let address = running.address.ports.get(port).copied();
        let shown = match (running.address.ip, address) {
            (Some(ip), _) => format!("{ip}:{port}"),
            (None, Some(address)) => address.to_string(),
            (None, None) => format!("port {port}"),
        };
        ProbeTarget {
            port: *port,
            shown,
            address,
        }
    };
    running.process.ports.iter().map(target).collect()
}
