//! What happened on a connection since the last check, and what is queued for it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// What happened on a connection since the last check.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Bytes arrived.
    pub(super) read: AtomicBool,
    /// A write is pending because the client does not read.
    pub(super) blocked: AtomicBool,
    /// Bytes were written.
    pub(super) wrote: AtomicBool,
    /// Queued interim responses.
    pub(super) interim: InterimQueue,
    /// Whether hyper rejects a request's head.
    pub(super) refusal: Refusal,
}

impl Activity {
    /// The final response comes next. Interim ones that cannot be written before it are dropped.
    pub(super) fn before_final(&self) {
        if self.interim.any() && self.blocked.load(Ordering::Relaxed) {
            drop(self.interim.take());
        }
    }
}

/// Most bytes queued; more are dropped.
const MAX_WAITING: usize = 64 << 10;

/// Heads of interim responses to be written.
#[derive(Debug, Default)]
pub(super) struct InterimQueue {
    any: AtomicBool,
    heads: Mutex<BytesMut>,
}

impl InterimQueue {
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, head: &[u8]) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() + head.len() <= MAX_WAITING {
            heads.extend_from_slice(head);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// Removes and returns everything.
    pub(super) fn take(&self) -> Bytes {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *heads).freeze()
    }
}

/// Whether hyper's own `431` response is written to the client.
///
/// hyper itself responds to a head beyond its limits. The limits are small at first (see
/// [`super::connection`]), so the response is held until hyper's result shows whether it was such a
/// rejection; an app's own `431` that looks the same is then written.
#[derive(Debug, Default)]
pub(super) struct Refusal(AtomicU8);

const PASS: u8 = 0;

const WATCH: u8 = 1;

const HELD: u8 = 2;

impl Refusal {
    /// Checks writes from now on.
    pub(super) fn watch(&self) {
        self.0.store(WATCH, Ordering::Relaxed);
    }

    /// Passes all writes again; true when one was held.
    pub(super) fn release(&self) -> bool {
        self.0.swap(PASS, Ordering::Relaxed) == HELD
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed) == HELD
    }

    /// Whether `bytes`, one whole write by hyper, must be held.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let held = self.0.load(Ordering::Relaxed) == WATCH
            && bytes.len() <= MAX_REFUSAL
            && bytes.starts_with(b"HTTP/1.")
            && bytes.get(8..13) == Some(b" 431 ");
        if held {
            self.0.store(HELD, Ordering::Relaxed);
        }
        held
    }
}

/// hyper's rejection has a status line and three fields.
const MAX_REFUSAL: usize = 256;
