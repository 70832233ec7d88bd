//! Samples the resource usage of instances: every 15 s, and on demand if the last sample is older
//! than 5 s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::inner::{Inner, Running};
use super::log_sink::UsageReport;
use super::usage::{InstanceUsage, Sample};
use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;
use crate::docker::DockerError;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);
const MAX_SAMPLE_AGE: Duration = Duration::from_secs(5);
/// Measuring the size of a writable layer is expensive.
const MAX_DISK_AGE: Duration = Duration::from_secs(60);
/// A daemon takes up to a second for each sample, nearly all of it waiting.
const CONCURRENCY: usize = 64;

impl Inner {
    /// Samples all running instances periodically.
    pub(super) async fn sample_usage(&self, token: CancellationToken) -> Result<(), DockerError> {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            never = self.sample_forever() => never,
        }
    }

    async fn sample_forever(&self) -> Result<(), DockerError> {
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let running = self.running();
            self.usage
                .with(|all| all.retain(|guid, _| running.contains_key(guid)));
            futures_util::stream::iter(running.values())
                .for_each_concurrent(CONCURRENCY, |one| self.sample_and_report(one))
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

    async fn sample_and_report(&self, running: &Running) {
        let Ok(Some(sample)) = self.sample_one(running, None).await else {
            return;
        };
        self.logs.usage(&UsageReport {
            instance: running.record.clone().present(),
            usage: sample.usage,
            memory_quota: running.process.memory,
            disk_quota: running.process.disk,
            log_rate_limit: running.process.log_rate_limit,
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
