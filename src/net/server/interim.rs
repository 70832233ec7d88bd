//! Interim responses (1xx) and refusals: what is written to a client beside hyper.
//!
//! hyper's server writes final responses only. Whoever serves a request may hand the heads of
//! interim responses over with [`Interim::send`]; [`super::ClientStream`] writes them between two
//! of hyper's messages. That is sound because hyper is done with one message before it begins the
//! next: while the client takes everything, hyper holds nothing back when a request is served.
//! When the client does not, the rest of an earlier response is in hyper's buffer and the next one
//! would follow it there, so interim responses that still wait are dropped before the final one:
//! they are hints.

use std::sync::Arc;

use super::activity::Activity;

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
