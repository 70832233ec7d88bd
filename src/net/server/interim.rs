//! Interim responses (1xx) and refusals: what is written to a client beside hyper.
//!
//! hyper's server writes final responses only. Whoever serves a request may hand the heads of
//! interim responses over with [`Interim::send`]; [`super::ClientStream`] writes them between two
//! of hyper's messages. That is sound because hyper is done with one message before it begins the
//! next: while the client takes everything, hyper holds nothing back when a request is served.
//! When the client does not, the rest of an earlier response is in hyper's buffer and the next one
//! would follow it there, so interim responses that still wait are dropped before the final one:
//! they are hints.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::stream::Activity;

/// Bytes that may wait; what comes on top is dropped.
const MOST_WAITING: usize = 64 << 10;

/// Heads of interim responses that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    any: AtomicBool,
    heads: Mutex<BytesMut>,
}

impl Waiting {
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn push(&self, head: &[u8]) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() + head.len() <= MOST_WAITING {
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

/// Sends interim responses to the client of one HTTP/1.1 connection.
#[derive(Clone, Debug)]
pub struct Interim(Arc<Activity>);

impl Interim {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self(activity)
    }

    /// Hands over the head of an interim response, status line to empty line. Called while a
    /// request of this connection is served, before its final response.
    pub fn send(&self, head: &[u8]) {
        self.0.interim.push(head);
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
