//! Fakes for tests: probe responses of an app, and an observer and a log that record.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    CheckKind, Crash, DesiredProcess, DesiredState, HealthCheck, LogLine, LogSink, Observer, Probe,
    ProbeTarget, ReadinessChange, ReadinessCheck, Rescheduling, UsageReport, Wanted,
};
use crate::base::{Bytes, Megabytes};
use crate::db::{DbError, ReadTx, WriteTx};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process of one port with a port check.
pub fn process(guid: &str, instances: u32) -> DesiredProcess {
    DesiredProcess {
        process_guid: guid.into(),
        app_guid: format!("{guid}-app").into(),
        app_name: "dora".to_owned(),
        process_type: "web".to_owned(),
        version: "v1".to_owned(),
        instances,
        image: "dora@sha256:0".to_owned(),
        droplet_size: Some(Bytes(57 << 20)),
        entrypoint: None,
        command: vec!["run".to_owned()],
        user: None,
        working_dir: None,
        environment: Vec::new(),
        memory: Megabytes(256),
        disk: Megabytes(1024),
        log_rate_limit: -1,
        ports: vec![8080],
        health_check: HealthCheck::new(CheckKind::Port),
        readiness_check: ReadinessCheck::new(CheckKind::Process),
        lifecycle_files: false,
        vcap_app_port: false,
        log_source_type: "APP/PROC/WEB".to_owned(),
        log_sidecars: Vec::new(),
    }
}

/// What should run, set by the test.
#[derive(Default)]
pub struct FakeDesired(Mutex<Wanted>);

impl FakeDesired {
    /// Replaces everything; wake the scheduler with a commit.
    pub fn set(&self, processes: Vec<DesiredProcess>) {
        lock(&self.0).processes = processes;
    }

    /// From now on the rows of these processes are unreadable.
    pub fn set_unreadable(&self, processes: &[&str]) {
        lock(&self.0).unreadable = processes.iter().map(|guid| (*guid).into()).collect();
    }
}

impl DesiredState for FakeDesired {
    fn load(&self, _: &ReadTx<'_>) -> Result<Wanted, DbError> {
        Ok(lock(&self.0).clone())
    }
}

/// Apps that are healthy unless a check is set to fail.
#[derive(Default)]
pub struct FakeProbe(Mutex<BTreeMap<String, String>>);

impl FakeProbe {
    /// From now on checks of this kind (`port`, or an HTTP endpoint) fail with this text.
    pub fn fail(&self, check: &str, text: &str) {
        lock(&self.0).insert(check.to_owned(), text.to_owned());
    }

    /// From now on checks of this kind pass.
    pub fn pass(&self, check: &str) {
        lock(&self.0).remove(check);
    }
}

#[async_trait]
impl Probe for FakeProbe {
    async fn probe(&self, kind: &CheckKind, _: &[ProbeTarget], _: Duration) -> Result<(), String> {
        let check = match kind {
            CheckKind::Process => "process",
            CheckKind::Port => "port",
            CheckKind::Http { endpoint } => endpoint,
        };
        match lock(&self.0).get(check) {
            Some(text) => Err(text.clone()),
            None => Ok(()),
        }
    }
}

/// Records all notifications.
#[derive(Default)]
pub struct FakeObserver {
    crashes: Mutex<Vec<Crash>>,
    readiness: Mutex<Vec<ReadinessChange>>,
    reschedulings: Mutex<Vec<Rescheduling>>,
    refuses: Mutex<bool>,
}

impl FakeObserver {
    /// From now on recording fails.
    pub fn refuse(&self) {
        *lock(&self.refuses) = true;
    }

    fn check(&self) -> Result<(), DbError> {
        if *lock(&self.refuses) {
            return Err(DbError::Interrupted("refused by the test".to_owned()));
        }
        Ok(())
    }

    /// All crashes.
    pub fn crashes(&self) -> Vec<Crash> {
        lock(&self.crashes).clone()
    }

    /// All changes of readiness.
    pub fn readiness(&self) -> Vec<ReadinessChange> {
        lock(&self.readiness).clone()
    }

    /// All replacements without a crash.
    pub fn reschedulings(&self) -> Vec<Rescheduling> {
        lock(&self.reschedulings).clone()
    }
}

impl Observer for FakeObserver {
    fn crashed(&self, _: &WriteTx<'_>, crash: &Crash) -> Result<(), DbError> {
        self.check()?;
        lock(&self.crashes).push(crash.clone());
        Ok(())
    }

    fn readiness_changed(&self, _: &WriteTx<'_>, change: &ReadinessChange) -> Result<(), DbError> {
        self.check()?;
        lock(&self.readiness).push(change.clone());
        Ok(())
    }

    fn rescheduled(&self, _: &WriteTx<'_>, rescheduling: &Rescheduling) -> Result<(), DbError> {
        self.check()?;
        lock(&self.reschedulings).push(rescheduling.clone());
        Ok(())
    }
}

/// Records lines and measurements.
#[derive(Default)]
pub struct FakeLogs {
    lines: Mutex<Vec<LogLine>>,
    reports: Mutex<Vec<UsageReport>>,
}

impl FakeLogs {
    /// All lines as `[CELL/0] OUT text`.
    pub fn lines(&self) -> Vec<String> {
        let text = |line: &LogLine| {
            let stream = match line.stream {
                crate::docker::LogStream::Out => "OUT",
                crate::docker::LogStream::Err => "ERR",
            };
            format!(
                "[{}/{}] {stream} {}",
                line.source_type, line.index, line.text
            )
        };
        lock(&self.lines).iter().map(text).collect()
    }

    /// All measurements.
    pub fn reports(&self) -> Vec<UsageReport> {
        lock(&self.reports).clone()
    }
}

#[async_trait]
impl LogSink for FakeLogs {
    fn line(&self, line: LogLine) {
        lock(&self.lines).push(line);
    }

    fn usage(&self, report: &UsageReport) {
        lock(&self.reports).push(report.clone());
    }

    fn log_rate(&self, _: &str) -> u64 {
        0
    }

    async fn drained(&self, _: &str, _: Duration) {}
}
