//! Interim responses (1xx), which hyper does not write.
//!
//! hyper's server writes final responses only. The service may pass the heads of interim responses
//! to [`Interim::send`]; [`super::ClientStream`] writes them between two of hyper's messages. That
//! is sound because hyper completes one message before it begins the next: while the client reads
//! everything, hyper's buffer is empty when a request is served. When the client does not, the rest
//! of an earlier response is in hyper's buffer and the final response would follow it there, so
//! queued interim responses are dropped before the final one: they are hints.

use std::sync::Arc;

use super::activity::Activity;

/// Sends interim responses to the client of one HTTP/1.1 connection.
#[derive(Clone, Debug)]
pub struct Interim(Arc<Activity>);

impl Interim {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self(activity)
    }

    /// Queues the head of an interim response, status line to empty line. Called while a request of
    /// this connection is served, before its final response.
    pub fn send(&self, head: &[u8]) {
        self.0.interim.push(head);
    }
}
