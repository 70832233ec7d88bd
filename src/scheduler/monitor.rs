//! Watches one running container: startup check, then liveness, and readiness beside both.
//!
//! A monitor only finds out and writes facts; what follows from them is planned like everything
//! else. It ends when the instance is found unhealthy, and is cancelled when the instance is
//! retired or its container ends.
//!
//! Decisions: the startup check is repeated every 100 ms for the first three seconds, because
//! most apps are up by then and people wait, and every 2 s afterwards as on Cloud Foundry.

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

const EAGER_FOR: Duration = Duration::from_secs(3);
const EAGER_PAUSE: Duration = Duration::from_millis(100);
const PATIENT_PAUSE: Duration = Duration::from_secs(2);

/// What is watched.
pub(super) struct Monitor {
    pub(super) record: Record,
    pub(super) process: Arc<DesiredProcess>,
    pub(super) container_id: String,
    pub(super) targets: Vec<ProbeTarget>,
    /// How long the container had been running when the monitor began.
    pub(super) age: Duration,
}

impl Monitor {
    /// Runs until the instance is found unhealthy.
    pub(super) async fn run(&self, inner: &Inner) -> Result<(), DbError> {
        tokio::select! {
            result = self.health(inner) => result,
            result = self.readiness(inner) => result,
        }
    }

    async fn health(&self, inner: &Inner) -> Result<(), DbError> {
        if self.record.phase == Phase::Starting && !self.start_up(inner).await? {
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

    /// True when the instance is RUNNING afterwards.
    async fn start_up(&self, inner: &Inner) -> Result<bool, DbError> {
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
        let begun = Instant::now();
        let mut attempts = 0_u32;
        loop {
            attempts += 1;
            let probe = inner
                .probe
                .probe(&check.kind, &self.targets, check.invocation_timeout);
            let Err(why) = probe.await else {
                return Ok(());
            };
            let spent = begun.elapsed();
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
        let begun = Instant::now();
        loop {
            let probe = inner
                .probe
                .probe(&check.kind, &self.targets, check.invocation_timeout);
            let (found, why) = match probe.await {
                Ok(()) => (Readiness::Ready, None),
                Err(why) => (Readiness::NotReady, Some(why)),
            };
            if found != current {
                self.readiness_is(inner, found, why).await?;
                current = found;
            }
            sleep(match current {
                Readiness::Ready => check.interval,
                Readiness::NotReady => pause(begun.elapsed()),
            })
            .await;
        }
    }

    async fn readiness_is(
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

    /// Counts as a crash, if the container still runs: else its end tells more than a failed
    /// probe does, and when the daemon is away the app is not to blame.
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
        // Said first: once the crash is on record, the next pass may cancel this monitor.
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
    if spent < EAGER_FOR {
        EAGER_PAUSE
    } else {
        PATIENT_PAUSE
    }
}
