//! What services use: measured every 15 s while any of them runs.
//!
//! Volumes are measured on the side, since that may take minutes: a report has what is known of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::hooks::text_of;
use super::store::Instance;
use super::{Inner, Service};
use crate::base::Timestamp;
use crate::db::{DbError, ReadTx};
use crate::docker::{ExecSpec, Usage};

const INTERVAL: Duration = Duration::from_secs(15);
/// Measuring a volume walks through its files.
const MAX_DISK_AGE: Duration = Duration::from_secs(60);
/// A volume that takes longer has no measurement.
const DISK_WITHIN: Duration = Duration::from_secs(300);
const CONCURRENCY: usize = 16;
/// From when on people are told that a volume is almost full.
const FULL_PERCENT: u64 = 90;

/// What a service uses.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceUsage {
    /// The service instance.
    pub guid: String,
    /// Fraction of one core since the sample before; nothing at the first.
    pub cpu: Option<f64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Limit of it.
    pub memory_quota: u64,
    /// Bytes on its volume, if it has one.
    pub disk: Option<u64>,
    /// How many may be on it.
    pub disk_quota: Option<u64>,
}

/// Takes measurements of services. Must not block.
pub trait Meter: Send + Sync + 'static {
    /// Takes one.
    fn usage(&self, usage: &ServiceUsage);
}

/// The last sample of a service.
#[derive(Debug, Clone)]
struct Before {
    container: String,
    cpu_nanos: u64,
    at: Timestamp,
}

/// What was on the volume of each service when it was last measured, if that could be told; of those
/// that run.
#[derive(Default)]
pub(super) struct Disks(Mutex<HashMap<String, Disk>>);

struct Disk {
    container: String,
    stored: Option<u64>,
    /// When it was measured.
    at: Timestamp,
}

impl Disks {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Disk>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes that were found on the volume that this container has.
    pub(super) fn stored(&self, guid: &str, container: &str) -> Option<u64> {
        self.with(|all| {
            let disk = all.get(guid).filter(|disk| disk.container == container)?;
            disk.stored
        })
    }

    fn is_due(&self, guid: &str, now: Timestamp) -> bool {
        self.with(|all| {
            let disk = all.get(guid);
            disk.is_none_or(|disk| now.since(disk.at) >= MAX_DISK_AGE)
        })
    }
}

impl Inner {
    pub(super) async fn measure(&self, token: CancellationToken) -> Result<(), DbError> {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            ended = self.measure_usage(&self.disks) => ended,
            ended = self.measure_disks(&self.disks) => ended,
        }
    }

    async fn measure_usage(&self, disks: &Disks) -> Result<(), DbError> {
        let mut ticks = ticks();
        let mut before: HashMap<String, Before> = HashMap::new();
        loop {
            ticks.tick().await;
            let ready = self.ready().await?;
            let samples: Vec<_> = ready
                .iter()
                .map(|instance| self.sample(instance, before.get(&instance.guid), disks))
                .collect();
            let samples = futures_util::stream::iter(samples).buffer_unordered(CONCURRENCY);
            let next: Vec<Option<(String, Before)>> = samples.collect().await;
            let next = next.into_iter().flatten().collect();
            before = next;
        }
    }

    /// A volume that takes long delays no other, and no report.
    async fn measure_disks(&self, disks: &Disks) -> Result<(), DbError> {
        let mut ticks = ticks();
        let mut measuring = FuturesUnordered::new();
        let mut busy: Vec<String> = Vec::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let (ready, now) = (self.ready().await?, self.now());
                    let is_ready = |guid: &String| ready.iter().any(|one| one.guid == *guid);
                    disks.with(|all| all.retain(|guid, _| is_ready(guid)));
                    for instance in ready {
                        let guid = &instance.guid;
                        let is_due = disks.is_due(guid, now) && !busy.contains(guid);
                        if is_due && measuring.len() < CONCURRENCY {
                            busy.push(guid.clone());
                            measuring.push(self.measure_disk(instance));
                        }
                    }
                }
                Some((guid, disk)) = measuring.next() => {
                    busy.retain(|one| *one != guid);
                    if let Some(disk) = disk {
                        disks.with(|all| all.insert(guid, disk));
                    }
                }
            }
        }
    }

    async fn measure_disk(&self, instance: Instance) -> (String, Option<Disk>) {
        let measured = async {
            let service = self.service(&instance).ok()?;
            let container = self.running(&instance.guid).await.ok()??;
            let stored = timeout(DISK_WITHIN, self.disk_of(&service, &container)).await;
            Some(Disk {
                container,
                stored: stored.ok().flatten(),
                at: self.now(),
            })
        };
        let disk = measured.await;
        (instance.guid, disk)
    }

    async fn ready(&self) -> Result<Vec<Instance>, DbError> {
        let store = self.store.clone();
        let all = self.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
        Ok(all.into_iter().filter(|instance| instance.ready).collect())
    }

    /// Measures one service and reports it; nothing while it does not run.
    async fn sample(
        &self,
        instance: &Instance,
        before: Option<&Before>,
        disks: &Disks,
    ) -> Option<(String, Before)> {
        let service = self.service(instance).ok()?;
        let id = self.running(&instance.guid).await.ok()??;
        let usage = self.engine.usage(&id).await.ok()??;
        let now = self.now();
        let before = before.filter(|before| before.container == id);
        self.meter.usage(&ServiceUsage {
            guid: instance.guid.clone(),
            cpu: before.and_then(|before| cpu(before, &usage, now)),
            memory: usage.memory,
            memory_quota: bytes(service.memory().to_bytes().0),
            disk: disks.stored(&instance.guid, &id),
            disk_quota: service
                .storage_size()
                .map(|size| bytes(size.0.to_bytes().0)),
        });
        let sample = Before {
            container: id,
            cpu_nanos: usage.cpu_nanos,
            at: now,
        };
        Some((instance.guid.clone(), sample))
    }

    /// Bytes on the volume of a service. People are told when it is almost full, since nothing stops it
    /// from storing too much.
    async fn disk_of(&self, service: &Service<'_>, id: &str) -> Option<u64> {
        let size = service.storage_size()?;
        match self.stored(service, id).await {
            Ok(stored) => {
                let stored = stored?;
                let quota = bytes(size.0.to_bytes().0);
                let is_full = stored.saturating_mul(100) >= quota.saturating_mul(FULL_PERCENT);
                let used = stored.div_ceil(1 << 20);
                let fault = format!("it stores {used} of {} MB", size.megabytes());
                self.trouble(service.instance, "full", is_full.then_some(fault));
                Some(stored)
            }
            Err(error) => {
                let guid = &service.instance.guid;
                tracing::debug!(service_instance = guid, %error, "cannot tell how full a data service is");
                None
            }
        }
    }

    /// Bytes on the volume of a service that runs; `None` when it has none, or cannot tell.
    pub(super) async fn stored(
        &self,
        service: &Service<'_>,
        id: &str,
    ) -> Result<Option<u64>, Failure> {
        let Some(storage) = &service.plan.spec.storage else {
            return Ok(None);
        };
        let spec = ExecSpec {
            // Kilobytes: images of users may have a small `du`.
            command: ["du", "-sk", &storage.path].map(str::to_owned).to_vec(),
            user: Some("0:0".to_owned()),
            ..ExecSpec::default()
        };
        let _quiet = self.quiet.read().await;
        let executing = self.engine.exec(id, &spec).await?;
        let said = text_of(executing.streams).await?;
        let kilobytes = said.split_whitespace().next();
        let kilobytes = kilobytes.and_then(|number| number.parse::<u64>().ok());
        Ok(kilobytes.map(|kilobytes| kilobytes.saturating_mul(1024)))
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn cpu(before: &Before, usage: &Usage, now: Timestamp) -> Option<f64> {
    let elapsed = now.since(before.at).as_secs_f64();
    let spent = usage.cpu_nanos.saturating_sub(before.cpu_nanos);
    (elapsed > 0.0).then(|| Duration::from_nanos(spent).as_secs_f64() / elapsed)
}

fn bytes(size: impl TryInto<u64>) -> u64 {
    size.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_fraction_of_a_core_between_samples() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let before = Before {
            container: "c".to_owned(),
            cpu_nanos: 1_000_000_000,
            at: at(10),
        };
        let usage = |cpu_nanos| Usage {
            cpu_nanos,
            ..Usage::default()
        };
        assert_eq!(cpu(&before, &usage(4_000_000_000), at(16)), Some(0.5));
        assert_eq!(cpu(&before, &usage(0), at(16)), Some(0.0));
        assert_eq!(cpu(&before, &usage(4_000_000_000), at(10)), None);
    }

    #[test]
    fn a_volume_is_measured_once_a_minute_and_belongs_to_its_container() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let disks = Disks::default();
        assert!(disks.is_due("s", at(0)));
        let disk = Disk {
            container: "c".to_owned(),
            stored: Some(7),
            at: at(0),
        };
        disks.with(|all| all.insert("s".to_owned(), disk));
        assert_eq!(disks.stored("s", "c"), Some(7));
        assert_eq!(disks.stored("s", "another"), None);
        assert_eq!(disks.stored("t", "c"), None);
        assert!(!disks.is_due("s", at(59)));
        assert!(disks.is_due("s", at(60)) && disks.is_due("t", at(0)));
    }
}
