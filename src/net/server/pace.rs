//! Ticks of one serving thread, and whether it drains.

use std::cell::Cell;
use std::time::Duration;

use super::Limits;

/// Limits, ticks and shutdown state that the connections of one thread share.
pub(super) struct Pace {
    pub(super) limits: Limits,
    ticks: Cell<u32>,
    draining: Cell<bool>,
}

impl Pace {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ticks: Cell::new(0),
            draining: Cell::new(false),
        }
    }

    /// Ticks since the thread began.
    pub(super) fn ticks(&self) -> u32 {
        self.ticks.get()
    }

    /// Counts a tick.
    pub(super) fn pass(&self) {
        self.ticks.set(self.ticks.get().wrapping_add(1));
    }

    /// How many ticks `duration` takes, at least one.
    pub(super) fn ticks_of(&self, duration: Duration) -> u32 {
        let ticks = duration.as_millis() / self.limits.tick.as_millis().max(1);
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    /// Starts the shutdown.
    pub(super) fn drain(&self) {
        self.draining.set(true);
    }

    /// Whether the server shuts down.
    pub(super) fn draining(&self) -> bool {
        self.draining.get()
    }
}
