//! Monitors one running container: startup check, then liveness, and readiness concurrently.
//!
//! A monitor only probes and records facts; the planner decides what follows. It ends when the
//! instance is unhealthy, and is cancelled when the instance is retired or its container exits.
//!
//! Decisions: in the first three seconds the startup check is repeated every 20 to 100 ms, because
//! most apps are up by then and users wait: the pause is a tenth of the time that they waited
//! already. Afterwards it is repeated every 2 s as on Cloud Foundry.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::desired::{CheckKind, DesiredProcess};
use super::facts;
use super::health_check::{ProbeTarget, duration_text};
use super::inner::Inner;
use super::instance::{Phase, Readiness, Record};
use super::log_sink;
use crate::db::DbError;
use crate::docker::{ContainerState, LogStream};

const FAST_PERIOD: Duration = Duration::from_secs(3);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);
const SLOW_INTERVAL: Duration = Duration::from_secs(2);

/// The monitor of one instance.
pub(super) struct Monitor {
    pub(super) record: Record,
    pub(super) process: Arc<DesiredProcess>,
    pub(super) container_id: String,
    pub(super) targets: Vec<ProbeTarget>,
    /// How long the container had been running when the monitor began.
    pub(super) age: Duration,
}

impl Monitor {
    /// Runs until the instance is unhealthy.
    pub(super) async fn run(&self, inner: &Inner) -> Result<(), DbError> {
        tokio::select! {
            result = self.health(inner) => result,
            result = self.readiness(inner) => result,
        }
    }

    async fn health(&self, inner: &Inner) -> Result<(), DbError> {
        if self.record.phase == Phase::Starting && !self.check_startup(inner).await? {
            return Ok(());
        }
        let check = &self.process.health_check;
        if check.kind == CheckKind::Process {
            return std::future::pending().await;
        }
        loop {
            sleep(check.interval).await;
            let probe = inner
                .probe
                .probe(&check.kind, &self.targets, check.invocation_timeout);
            if let Err(why) = probe.await {
                let why = format!("Liveness check unsuccessful: {why}");
                let line = "Container became unhealthy".to_owned();
                let description = format!("Instance became unhealthy: {why}");
                return self.unhealthy(inner, why, line, description).await;
            }
        }
    }

    /// Returns whether the instance is RUNNING afterwards.
    async fn check_startup(&self, inner: &Inner) -> Result<bool, DbError> {
        let check = &self.process.health_check;
        if check.kind != CheckKind::Process {
            self.cell_line(inner, "Starting health monitoring of container");
            if let Err(failure) = self.await_startup(inner).await {
                let spent = duration_text(failure.after);
                let line = format!("Failed after {spent}: startup health check never passed.");
                let description = format!("Instance never healthy after {spent}: {}", failure.why);
                self.unhealthy(inner, failure.why, line, description)
                    .await?;
                return Ok(false);
            }
            self.cell_line(inner, "Container became healthy");
        }
        let guid = self.record.guid.clone();
        let (process, now) = (self.process.clone(), inner.clock.now());
        let write = inner
            .db
            .write(move |tx| facts::healthy(tx, &guid, &process, now));
        write.await
    }

    async fn await_startup(&self, inner: &Inner) -> Result<(), StartupFailure> {
        let check = &self.process.health_check;
        let limit = check.timeout.saturating_sub(self.age);
        let started = Instant::now();
        let mut attempts = 0_u32;
        loop {
            attempts += 1;
            let probe = inner
                .probe
                .probe(&check.kind, &self.targets, check.invocation_timeout);
            let Err(why) = probe.await else {
                return Ok(());
            };
            let spent = started.elapsed();
            if spent >= limit {
                let timeout = duration_text(check.timeout);
                let why = format!(
                    "Timed out after {timeout} ({attempts} attempts) waiting for startup check \
                     to succeed: {why}"
                );
                let after = self.age + spent;
                return Err(StartupFailure { after, why });
            }
            sleep(pause(spent).min(limit.saturating_sub(spent))).await;
        }
    }

    async fn readiness(&self, inner: &Inner) -> Result<(), DbError> {
        let check = &self.process.readiness_check;
        if check.kind == CheckKind::Process {
            return std::future::pending().await;
        }
        self.cell_line(inner, "Starting readiness health monitoring of container");
        let mut current = if self.record.ready {
            Readiness::Ready
        } else {
            Readiness::NotReady
        };
        let started = Instant::now();
        loop {
            let probe = inner
                .probe
                .probe(&check.kind, &self.targets, check.invocation_timeout);
            let (found, why) = match probe.await {
                Ok(()) => (Readiness::Ready, None),
                Err(why) => (Readiness::NotReady, Some(why)),
            };
            if found != current {
                self.record_readiness(inner, found, why).await?;
                current = found;
            }
            sleep(match current {
                Readiness::Ready => check.interval,
                Readiness::NotReady => pause(started.elapsed()),
            })
            .await;
        }
    }

    async fn record_readiness(
        &self,
        inner: &Inner,
        readiness: Readiness,
        why: Option<String>,
    ) -> Result<(), DbError> {
        let (facts, guid, now) = (
            inner.facts.clone(),
            self.record.guid.clone(),
            inner.clock.now(),
        );
        let write = inner
            .db
            .write(move |tx| facts.readiness(tx, &guid, readiness, now));
        if !write.await? {
            return Ok(());
        }
        if let Some(why) = why {
            self.health_line(inner, why);
        }
        self.cell_line(
            inner,
            match readiness {
                Readiness::Ready => {
                    "Container passed the readiness health check. \
                     Container marked ready and added to route pool."
                }
                Readiness::NotReady => {
                    "Container failed the readiness health check. \
                     Container marked not ready and removed from route pool."
                }
            },
        );
        Ok(())
    }

    /// Records a crash if the container still runs. Otherwise its exit status says more than the
    /// failed probe; and if the daemon is unreachable, the app is not at fault.
    async fn unhealthy(
        &self,
        inner: &Inner,
        why: String,
        line: String,
        description: String,
    ) -> Result<(), DbError> {
        let found = inner.engine.inspect(&self.container_id).await;
        let runs = matches!(&found, Ok(Some(container))
            if matches!(container.state, ContainerState::Running { .. }));
        if !runs {
            inner.view.invalidate();
            return Ok(());
        }
        // Logged first: once the crash is recorded, the next pass may cancel this monitor.
        self.health_line(inner, why);
        let line = log_sink::line(&self.record, "CELL", LogStream::Err, line);
        inner.logs.line(line);
        let (facts, guid, now) = (
            inner.facts.clone(),
            self.record.guid.clone(),
            inner.clock.now(),
        );
        inner
            .db
            .write(move |tx| facts.crashed(tx, &guid, &description, now).map(drop))
            .await
    }

    fn cell_line(&self, inner: &Inner, text: &str) {
        let line = log_sink::line(&self.record, "CELL", LogStream::Out, text.to_owned());
        inner.logs.line(line);
    }

    fn health_line(&self, inner: &Inner, text: String) {
        let line = log_sink::line(&self.record, "HEALTH", LogStream::Err, text);
        inner.logs.line(line);
    }
}

struct StartupFailure {
    after: Duration,
    why: String,
}

fn pause(spent: Duration) -> Duration {
    if spent < FAST_PERIOD {
        (spent / 10).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    } else {
        SLOW_INTERVAL
    }
}
