//! What happened on a connection since somebody last looked, and what waits to be written to it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// What happened on a connection since somebody last looked.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Bytes came in.
    pub(super) read: AtomicBool,
    /// Bytes wait because the client does not take them.
    pub(super) blocked: AtomicBool,
    /// The client took bytes.
    pub(super) wrote: AtomicBool,
    /// Interim responses that wait.
    pub(super) interim: InterimQueue,
    /// Whether hyper refuses a request's head.
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

/// Bytes that may wait; what comes on top is dropped.
const MAX_WAITING: usize = 64 << 10;

/// Heads of interim responses that wait to be written.
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

    /// Takes everything out.
    pub(super) fn take(&self) -> Bytes {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *heads).freeze()
    }
}

/// Whether hyper's own refusal of a request's head is let through.
///
/// hyper answers a head that is beyond its limits by itself. The limits are small at first (see
/// [`super::connection`]), so the answer is kept back until hyper's result tells whether it was
/// that; an app's own `431` that looks the same is written then.
#[derive(Debug, Default)]
pub(super) struct Refusal(AtomicU8);

const THROUGH: u8 = 0;

const WATCHED: u8 = 1;

const HELD: u8 = 2;

impl Refusal {
    /// What is written from now on is looked at.
    pub(super) fn watch(&self) {
        self.0.store(WATCHED, Ordering::Relaxed);
    }

    /// Lets everything through again; true when something was held.
    pub(super) fn release(&self) -> bool {
        self.0.swap(THROUGH, Ordering::Relaxed) == HELD
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed) == HELD
    }

    /// Whether `bytes`, a whole write of hyper's, shall be held.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let held = self.0.load(Ordering::Relaxed) == WATCHED
            && bytes.len() <= LONGEST_REFUSAL
            && bytes.starts_with(b"HTTP/1.")
            && bytes.get(8..13) == Some(b" 431 ");
        if held {
            self.0.store(HELD, Ordering::Relaxed);
        }
        held
    }
}

/// hyper's refusal has a status line and three fields.
const LONGEST_REFUSAL: usize = 256;
