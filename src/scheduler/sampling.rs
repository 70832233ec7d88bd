//! Samples the resource usage of instances: every 15 s, and on demand if the last sample is older
//! than 5 s.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::inner::{Inner, Running};
use super::log_sink::UsageReport;
use super::usage::{Capacity, InstanceUsage, Sample};
use crate::base::guid::InstanceGuid;
use crate::base::{Megabytes, Timestamp};
use crate::docker::DockerError;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);
const MAX_SAMPLE_AGE: Duration = Duration::from_secs(5);
/// Measuring the size of a writable layer is expensive.
const MAX_DISK_AGE: Duration = Duration::from_secs(60);
/// A daemon takes up to a second for each sample, nearly all of it waiting.
const CONCURRENCY: usize = 64;

/// Bytes received and sent.
type Traffic = [u64; 2];

/// The traffic of instances as it was reported last. Samples on demand are no reports.
struct Reported {
    begun: Timestamp,
    traffic: Mutex<BTreeMap<InstanceGuid, Traffic>>,
}

impl Reported {
    fn new(begun: Timestamp) -> Self {
        Self {
            begun,
            traffic: Mutex::default(),
        }
    }

    fn keep(&self, is_running: impl Fn(&InstanceGuid) -> bool) {
        self.traffic().retain(|guid, _| is_running(guid));
    }

    fn traffic(&self) -> MutexGuard<'_, BTreeMap<InstanceGuid, Traffic>> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The traffic since the last report. What an instance had before the first report was reported
    /// by an earlier run, unless it started in this one.
    fn report(&self, guid: &InstanceGuid, since: Timestamp, now: Traffic) -> Traffic {
        let before = self.traffic().insert(guid.clone(), now);
        let before = before.unwrap_or(if since >= self.begun { [0, 0] } else { now });
        let [received, sent] = now;
        [
            received.saturating_sub(before[0]),
            sent.saturating_sub(before[1]),
        ]
    }
}

impl Inner {
    /// Samples all running instances periodically.
    pub(super) async fn sample_usage(&self, token: CancellationToken) -> Result<(), DockerError> {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            never = self.sample_forever() => never,
        }
    }

    async fn sample_forever(&self) -> Result<(), DockerError> {
        let reported = Reported::new(self.clock.now());
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let running = self.running();
            self.usage
                .with(|all| all.retain(|guid, _| running.contains_key(guid)));
            reported.keep(|guid| running.contains_key(guid));
            futures_util::stream::iter(running.values())
                .for_each_concurrent(CONCURRENCY, |one| self.sample_and_report(one, &reported))
                .await;
        }
    }

    /// Samples those of `guids` whose last sample is too old; false if any of them failed or
    /// `limit` passed.
    pub(super) async fn refresh_usage(&self, guids: &[InstanceGuid], limit: Duration) -> bool {
        let (running, now) = (self.running(), self.clock.now());
        let is_stale = |one: &&Running| {
            let sample = self.usage.sample(&one.record.guid);
            sample.is_none_or(|sample| now.since(sample.at) >= MAX_SAMPLE_AGE)
        };
        let stale: Vec<Running> = guids
            .iter()
            .filter_map(|guid| running.get(guid))
            .filter(is_stale)
            .cloned()
            .collect();
        let missed = AtomicBool::new(false);
        let all = futures_util::stream::iter(stale).for_each_concurrent(CONCURRENCY, |one| {
            let missed = &missed;
            async move {
                if self.sample_one(&one, Some(limit / 2)).await.is_err() {
                    missed.store(true, Ordering::Relaxed);
                }
            }
        });
        let ended = tokio::time::timeout(limit, all).await.is_ok();
        ended && !missed.into_inner()
    }

    async fn sample_and_report(&self, running: &Running, reported: &Reported) {
        let Ok(Some(sample)) = self.sample_one(running, None).await else {
            return;
        };
        let traffic = [sample.usage.rx, sample.usage.tx];
        self.logs.usage(&UsageReport {
            instance: running.record.clone().present(),
            usage: sample.usage,
            memory_quota: running.process.memory,
            disk_quota: running.process.disk,
            log_rate_limit: running.process.log_rate_limit,
            traffic: reported.report(&running.record.guid, running.since, traffic),
            at: sample.at,
        });
    }

    /// With `disk_limit`, a caller waits: the disk is measured only if it never was, within that
    /// limit.
    async fn sample_one(
        &self,
        running: &Running,
        disk_limit: Option<Duration>,
    ) -> Result<Option<Sample>, DockerError> {
        let id = &running.container_id;
        let usage = self.engine.usage(id).await;
        let usage = usage.inspect_err(
            |error| tracing::debug!(container = %id, %error, "reading usage failed"),
        )?;
        let Some(usage) = usage else { return Ok(None) };
        let now = self.clock.now();
        let before = self.usage.sample(&running.record.guid);
        let (disk, disk_at) = match disk_limit {
            None => self.disk(id, before, now).await,
            Some(limit) => self.disk_within(id, before, now, limit).await,
        };
        let sample = Sample {
            usage: InstanceUsage {
                cpu: cpu_fraction(running.since, before, usage.cpu_nanos, now),
                cpu_nanos: usage.cpu_nanos,
                memory: usage.memory,
                disk,
                entitlement: entitlement(running.process.memory, self.capacity().await),
                log_rate: self.logs.log_rate(id),
                rx: usage.rx,
                tx: usage.tx,
                age: now.since(running.since),
            },
            at: now,
            disk_at,
        };
        self.usage
            .with(|all| all.insert(running.record.guid.clone(), sample));
        Ok(Some(sample))
    }

    async fn disk_within(
        &self,
        id: &str,
        before: Option<Sample>,
        now: Timestamp,
        limit: Duration,
    ) -> (u64, Timestamp) {
        if let Some(sample) = before {
            return (sample.usage.disk, sample.disk_at);
        }
        let measured = tokio::time::timeout(limit, self.disk(id, before, now)).await;
        // The next sample measures it.
        measured.unwrap_or((0, Timestamp::from_micros(0)))
    }

    async fn disk(&self, id: &str, before: Option<Sample>, now: Timestamp) -> (u64, Timestamp) {
        let known = before.map(|sample| (sample.usage.disk, sample.disk_at));
        if let Some((disk, at)) = known
            && now.since(at) < MAX_DISK_AGE
        {
            return (disk, at);
        }
        match self.engine.writable_size(id).await {
            Ok(disk) => (disk, now),
            Err(error) => {
                tracing::debug!(container = %id, %error, "reading disk usage failed");
                (known.map_or(0, |(disk, _)| disk), now)
            }
        }
    }
}

/// CPU time spent since the previous sample, or since the start, as a fraction of one core.
/// What a process may use when all others use what they are entitled to, too: the cores that go with
/// its part of the memory, since the weights of containers follow their memory.
#[expect(clippy::cast_precision_loss, reason = "a fraction")]
fn entitlement(memory: Megabytes, capacity: Option<Capacity>) -> Option<f64> {
    let capacity = capacity.filter(|capacity| capacity.memory > 0)?;
    let part = memory.to_bytes().0 as f64 / capacity.memory as f64;
    Some(part.min(1.0) * f64::from(capacity.cpus))
}

fn cpu_fraction(started: Timestamp, before: Option<Sample>, cpu_nanos: u64, now: Timestamp) -> f64 {
    let (from, spent) = match before {
        Some(sample) => (sample.at, cpu_nanos.saturating_sub(sample.usage.cpu_nanos)),
        None => (started, cpu_nanos),
    };
    let elapsed = now.since(from).as_secs_f64();
    if elapsed <= 0.0 {
        return before.map_or(0.0, |sample| sample.usage.cpu);
    }
    Duration::from_nanos(spent).as_secs_f64() / elapsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_reported_once() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let reported = Reported::new(at(100));
        let (old, new) = (InstanceGuid::from("old"), InstanceGuid::from("new"));
        assert_eq!(reported.report(&old, at(50), [70, 7]), [0, 0]);
        assert_eq!(reported.report(&new, at(110), [70, 7]), [70, 7]);
        for guid in [&old, &new] {
            assert_eq!(reported.report(guid, at(50), [75, 7]), [5, 0]);
            assert_eq!(reported.report(guid, at(50), [1, 9]), [0, 2]);
        }
    }

    #[test]
    fn cores_go_with_memory() {
        let capacity = |memory| Some(Capacity { cpus: 4, memory });
        let table = [
            (1024, capacity(8 << 30), Some(0.5)),
            (16_384, capacity(8 << 30), Some(4.0)),
            (1024, capacity(0), None),
            (1024, None, None),
        ];
        for (memory, capacity, expected) in table {
            assert_eq!(entitlement(Megabytes(memory), capacity), expected);
        }
    }

    #[test]
    fn cpu_is_the_fraction_of_a_core_between_samples() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let sample = |cpu_nanos, seconds| {
            Some(Sample {
                usage: InstanceUsage {
                    cpu: 0.75,
                    cpu_nanos,
                    ..InstanceUsage::default()
                },
                at: at(seconds),
                disk_at: at(0),
            })
        };
        let table = [
            (None, 5_000_000_000, 10, 0.5),
            (sample(1_000_000_000, 10), 4_000_000_000, 12, 1.5),
            (sample(1_000_000_000, 10), 4_000_000_000, 10, 0.75),
            (sample(9_000_000_000, 10), 4_000_000_000, 12, 0.0),
        ];
        for (before, cpu_nanos, now, expected) in table {
            let cpu = cpu_fraction(at(0), before, cpu_nanos, at(now));
            assert!((cpu - expected).abs() < 1e-9, "{cpu} is not {expected}");
        }
    }
}
