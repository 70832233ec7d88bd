//! What TCP routes did, for metrics and the health report.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::Timestamp;

/// Refusals are told of once in so many seconds.
const TELL_EVERY: i64 = 10;

/// Counts while connections come and go.
#[derive(Debug, Default)]
pub(super) struct Figures {
    ports: Mutex<Vec<u16>>,
    open: AtomicUsize,
    served: AtomicU64,
    unreachable: AtomicU64,
    refused: AtomicU64,
    /// Refusals that the log does not tell of yet.
    untold: AtomicU64,
    told_at: AtomicI64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// The figures at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpFigures {
    /// Ports that are open.
    pub ports: Vec<u16>,
    /// Ports that should be open, but another program has them or they cannot be had.
    pub unavailable: Vec<u16>,
    /// Connections that are open.
    pub open: usize,
    /// Connections that reached an instance.
    pub served: u64,
    /// Connections for which no instance answered.
    pub unreachable: u64,
    /// Connections that were closed because there were too many.
    pub refused: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
}

impl Figures {
    pub(super) fn now(&self, unavailable: impl Iterator<Item = u16>) -> TcpFigures {
        TcpFigures {
            ports: self.ports().clone(),
            unavailable: unavailable.collect(),
            open: self.open.load(Ordering::Relaxed),
            served: self.served.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set_ports(&self, open: Vec<u16>) {
        *self.ports() = open;
    }

    fn ports(&self) -> MutexGuard<'_, Vec<u16>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was given an instance; it is open while the result lives.
    pub(super) fn begin(&self) -> Open<'_> {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(super) fn unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal. `Some`: how many the log should tell of now.
    pub(super) fn refused(&self, now: Timestamp) -> Option<u64> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.untold.fetch_add(1, Ordering::Relaxed);
        let told = self.told_at.load(Ordering::Relaxed);
        if now.as_seconds() < told.saturating_add(TELL_EVERY) {
            return None;
        }
        self.told_at.store(now.as_seconds(), Ordering::Relaxed);
        Some(self.untold.swap(0, Ordering::Relaxed))
    }

    pub(super) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A connection that is open.
pub(super) struct Open<'a>(&'a Figures);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_of_together() {
        let figures = Figures::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let told: Vec<Option<u64>> = [100, 101, 109, 110, 111]
            .into_iter()
            .map(|second| figures.refused(at(second)))
            .collect();
        assert_eq!(told, [Some(1), None, None, Some(3), None]);
        assert_eq!(figures.now(std::iter::empty()).refused, 5);
    }
}
