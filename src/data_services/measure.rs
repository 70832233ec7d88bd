//! What services use: measured every 15 s while any of them runs.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::MissedTickBehavior;
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
    /// What is on its volume, if that could be told, and when it was measured.
    disk: (Option<u64>, Timestamp),
}

impl Inner {
    pub(super) async fn measure(&self, token: CancellationToken) -> Result<(), DbError> {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before: HashMap<String, Before> = HashMap::new();
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let store = self.store.clone();
            let all = self.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
            let ready = all.iter().filter(|instance| instance.ready);
            let samples: Vec<_> = ready
                .map(|instance| self.sample(instance, before.get(&instance.guid)))
                .collect();
            let samples = futures_util::stream::iter(samples).buffer_unordered(CONCURRENCY);
            let next: Vec<Option<(String, Before)>> = samples.collect().await;
            let next = next.into_iter().flatten().collect();
            before = next;
        }
    }

    /// Measures one service and reports it; nothing while it does not run.
    async fn sample(
        &self,
        instance: &Instance,
        before: Option<&Before>,
    ) -> Option<(String, Before)> {
        let service = self.service(instance).ok()?;
        let id = self.running(&instance.guid).await.ok()??;
        let usage = self.engine.usage(&id).await.ok()??;
        let now = self.now();
        let before = before.filter(|before| before.container == id);
        let disk = match before.map(|before| before.disk) {
            Some((disk, at)) if now.since(at) < MAX_DISK_AGE => (disk, at),
            _ => (self.disk_of(&service, &id).await, now),
        };
        self.meter.usage(&ServiceUsage {
            guid: instance.guid.clone(),
            cpu: before.and_then(|before| cpu(before, &usage, now)),
            memory: usage.memory,
            memory_quota: bytes(service.memory().to_bytes().0),
            disk: disk.0,
            disk_quota: service
                .storage_size()
                .map(|size| bytes(size.0.to_bytes().0)),
        });
        let sample = Before {
            container: id,
            cpu_nanos: usage.cpu_nanos,
            at: now,
            disk,
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
        let executing = self.engine.exec(id, &spec).await?;
        let said = text_of(executing.streams).await?;
        let kilobytes = said.split_whitespace().next();
        let kilobytes = kilobytes.and_then(|number| number.parse::<u64>().ok());
        Ok(kilobytes.map(|kilobytes| kilobytes.saturating_mul(1024)))
    }
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
            disk: (None, at(10)),
        };
        let usage = |cpu_nanos| Usage {
            cpu_nanos,
            ..Usage::default()
        };
        assert_eq!(cpu(&before, &usage(4_000_000_000), at(16)), Some(0.5));
        assert_eq!(cpu(&before, &usage(0), at(16)), Some(0.0));
        assert_eq!(cpu(&before, &usage(4_000_000_000), at(10)), None);
    }
}
