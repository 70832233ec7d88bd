//! A consumer's end, and the worker that serves all consumers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::hub::Member;
use super::{Item, Loss, TooManyStreams, Wanted};
use crate::db::DbError;
use crate::logs::Logs;

/// How often stalled clients are looked for.
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Logs {
    /// Starts to receive new envelopes.
    pub fn subscribe(&self, wanted: Wanted) -> Result<Subscription, TooManyStreams> {
        let member = self.hub().add(wanted)?;
        Ok(Subscription {
            logs: self.clone(),
            member,
        })
    }

    /// The worker that serves the consumers until it is cancelled.
    pub(in crate::logs) async fn serve_consumers(
        &self,
        token: CancellationToken,
    ) -> Result<(), DbError> {
        let hub = self.hub();
        let mut ticks = tokio::time::interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = ticks.tick() => hub.close_stalled(Instant::now()),
                () = hub.filled.notified() => {}
            }
            let mut checked = Instant::now();
            // Under load there is always a next one.
            while !token.is_cancelled() {
                hub.report_lost_input();
                let Some(published) = hub.next_input() else {
                    break;
                };
                if let Err(error) = hub.deliver(&published) {
                    tracing::error!(source_id = %published.source_id, %error, "log lines cannot be sent to consumers");
                }
                let now = Instant::now();
                if now.duration_since(checked) >= CHECK_EVERY {
                    checked = now;
                    hub.close_stalled(now);
                }
                tokio::task::yield_now().await;
            }
        }
        hub.close();
        Ok(())
    }
}

/// A consumer's end; it unsubscribes when it is dropped.
pub struct Subscription {
    logs: Logs,
    member: Arc<Member>,
}

impl Subscription {
    /// Waits for items and takes at most `limit`; `None` when the subscription was closed.
    pub async fn next(&self, limit: usize) -> Option<Vec<Item>> {
        loop {
            let filled = self.member.filled.notified();
            let items = self.take(limit);
            if !items.is_empty() {
                return Some(items);
            }
            tokio::select! {
                () = self.member.closed.cancelled() => return None,
                () = filled => {}
            }
        }
    }

    /// Takes what is there.
    pub fn take(&self, limit: usize) -> Vec<Item> {
        if self.member.closed.is_cancelled() {
            return Vec::new();
        }
        self.member.queue().take(limit, Instant::now())
    }

    /// What was lost and not reported yet.
    pub fn take_loss(&self) -> Option<Loss> {
        self.member.queue().take_loss()
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.member.queue().is_empty()
    }

    /// Waits until the subscription is closed: the consumer was too slow, or the platform stops.
    pub async fn closed(&self) {
        self.member.closed.cancelled().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.logs.hub().remove(&self.member);
    }
}
