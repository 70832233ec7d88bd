//! The last usage samples of instances.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::Timestamp;
use crate::base::guid::InstanceGuid;

/// The resource usage of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InstanceUsage {
    /// Fraction of one core since the previous sample.
    pub cpu: f64,
    /// CPU time since its start in nanoseconds.
    pub cpu_nanos: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes in its writable layer.
    pub disk: u64,
    /// What it is entitled to, as a fraction of one core: its share of the daemon's memory times its
    /// cores. `None` while the daemon did not tell what it has.
    pub entitlement: Option<f64>,
    /// Log rate in bytes per second.
    pub log_rate: u64,
    /// Received bytes.
    pub rx: u64,
    /// Sent bytes.
    pub tx: u64,
    /// How long it has been running.
    pub age: Duration,
}

impl InstanceUsage {
    /// The part of its entitlement that it uses; more than 1 while others use less.
    pub fn cpu_entitlement(&self) -> Option<f64> {
        let entitled = self.entitlement.filter(|entitled| *entitled > 0.0)?;
        Some(self.cpu / entitled)
    }
}

/// What the daemon's machine has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) cpus: u32,
    /// Bytes.
    pub(super) memory: u64,
}

/// The last samples.
#[derive(Default)]
pub(super) struct UsageTable(Mutex<BTreeMap<InstanceGuid, Sample>>);

#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) usage: InstanceUsage,
    pub(super) at: Timestamp,
    pub(super) disk_at: Timestamp,
}

impl UsageTable {
    pub(super) fn get(&self, guid: &InstanceGuid) -> Option<InstanceUsage> {
        self.sample(guid).map(|sample| sample.usage)
    }

    pub(super) fn forget(&self, guid: &InstanceGuid) {
        self.with(|all| all.remove(guid));
    }

    pub(super) fn sample(&self, guid: &InstanceGuid) -> Option<Sample> {
        self.with(|all| all.get(guid).copied())
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<InstanceGuid, Sample>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
