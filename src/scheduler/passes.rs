//! What the reconcilers of instances and of tasks share: the loop around their passes, and the
//! daemon's events.
//!
//! A pass is woken by database changes, daemon events, finished actions, the time the last pass
//! asked for, and a slow tick. A wake-up carries no data. Passes run one at a time; actions run
//! concurrently with passes, one at a time for each container.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::SchedulerError;
use super::view::View;
use crate::base::{Backoff, Clock, Supervisor, Timestamp};
use crate::db::Db;
use crate::docker::{Engine, Labels};

/// Covers lost daemon events.
const TICK: Duration = Duration::from_secs(30);
/// Pauses after failed passes and lost event streams.
pub(super) const RETRIES: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(5),
};
/// Daemon events after which a container no longer runs; the scheduler's own actions are patched
/// in.
const EXIT_ACTIONS: [&str; 2] = ["die", "destroy"];

/// What a reconciler watches.
pub(super) struct Watched<'a> {
    pub(super) db: &'a Db,
    pub(super) clock: &'a dyn Clock,
    pub(super) engine: &'a dyn Engine,
    pub(super) view: &'a View,
    pub(super) wake: &'a Notify,
    /// The labels of its containers.
    pub(super) labels: Labels,
}

/// Brings one kind of containers to their desired state, pass by pass.
pub(super) trait Reconciler: Send + Sync + 'static {
    /// What it reconciles, for log messages.
    const WHAT: &'static str;

    fn watched(&self) -> Watched<'_>;

    /// The daemon reported that a container exited. Called before the pass that this wakes.
    fn exited(&self, container_id: &str);

    /// One pass; returns the latest time for the next one.
    fn pass(
        self: &Arc<Self>,
        changes: &mut watch::Receiver<u64>,
        supervisor: &Supervisor,
    ) -> impl Future<Output = Result<Option<Timestamp>, SchedulerError>> + Send;
}

/// Runs passes until shutdown.
pub(super) async fn reconcile<R: Reconciler>(
    reconciler: Arc<R>,
    supervisor: Supervisor,
    token: CancellationToken,
) -> Result<(), SchedulerError> {
    let watched = reconciler.watched();
    let mut changes = watched.db.changes();
    let mut retries = RETRIES.pauses();
    let mut tick = Instant::now() + TICK;
    // An earlier run of this worker may have been interrupted while listing.
    watched.view.invalidate();
    loop {
        if Instant::now() >= tick {
            watched.view.invalidate();
            tick = Instant::now() + TICK;
        }
        let passed = tokio::select! {
            () = token.cancelled() => return Ok(()),
            passed = reconciler.pass(&mut changes, &supervisor) => passed,
        };
        let wait = match passed {
            Ok(next) => {
                retries.reset();
                next.map_or(TICK, |at| at.since(watched.clock.now()))
            }
            Err(error) => {
                tracing::warn!(%error, "reconciliation of {} failed; retrying", R::WHAT);
                retries.pause()
            }
        };
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            _ = changes.changed() => {}
            () = watched.wake.notified() => {}
            () = sleep(wait.max(Duration::from_millis(1))) => {}
            () = sleep_until(tick) => {}
        }
    }
}

/// Follows the daemon's events until shutdown; reconnects when the connection is lost.
pub(super) async fn follow_daemon<R: Reconciler>(
    reconciler: Arc<R>,
    token: CancellationToken,
) -> Result<(), SchedulerError> {
    let watched = reconciler.watched();
    let mut retries = RETRIES.pauses();
    loop {
        let followed = async {
            let mut changes = watched.engine.changes(&watched.labels).await?;
            watched.view.follow(true);
            watched.wake.notify_one();
            let begun = Instant::now();
            while let Some(change) = changes.next().await {
                let change = change?;
                if EXIT_ACTIONS.contains(&change.action.as_str()) {
                    reconciler.exited(&change.id);
                    watched.wake.notify_one();
                }
            }
            Ok::<_, SchedulerError>(begun)
        };
        let ended = tokio::select! {
            () = token.cancelled() => return Ok(()),
            ended = followed => ended,
        };
        watched.view.follow(false);
        watched.wake.notify_one();
        match ended {
            Ok(begun) if begun.elapsed() > RETRIES.longest => retries.reset(),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "docker event stream failed; reconnecting"),
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = sleep(retries.pause()) => {}
        }
    }
}
