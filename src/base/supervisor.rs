//! Long-lived workers: started by name, restarted with backoff after a panic or an error, ended by
//! cancellation, and listed with their status.
//!
//! Every worker of cflite starts here; nothing else may call `tokio::spawn` for work that outlives
//! a request. A worker is a function that runs until its token is cancelled. Returning early or
//! panicking counts as a fault. The backoff is reset after a long run, so that a fault every few
//! hours never costs the longest pause.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Backoff;

const RESTARTS: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(30),
};
/// A run of this length resets the backoff.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Status of a worker, for `/healthz` and `cflite status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerStatus {
    /// Times the worker was restarted after a fault.
    pub restarts: u32,
    /// The last fault.
    pub last_error: Option<String>,
    /// Whether it runs now.
    pub running: bool,
}

/// Starts, restarts and ends the workers of one platform.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    token: CancellationToken,
    tracker: TaskTracker,
    status: Arc<Mutex<BTreeMap<String, WorkerStatus>>>,
}

impl Supervisor {
    /// A supervisor without workers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the platform shuts down.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs `worker` until shutdown; restarts it after every fault.
    pub fn worker<F, Fut, E>(&self, name: &str, mut worker: F)
    where
        F: FnMut(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: std::fmt::Display,
    {
        let name = name.to_owned();
        let this = self.clone();
        self.set(&name, |status| status.running = true);
        self.tracker.spawn(async move {
            let mut pauses = RESTARTS.pauses();
            while !this.token.is_cancelled() {
                let begun = Instant::now();
                // Creating the future may panic as well as running it.
                let run = async { worker(this.token.clone()).await };
                let fault = match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(Ok(())) if this.token.is_cancelled() => break,
                    Ok(Ok(())) => "ended early".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(panic) => format!("panicked: {}", panic_text(&*panic)),
                };
                if begun.elapsed() >= HEALTHY_AFTER {
                    pauses.reset();
                }
                tracing::error!(worker = %name, error = %fault, "worker failed; restarting");
                this.set(&name, |status| {
                    status.restarts += 1;
                    status.last_error = Some(fault);
                });
                tokio::select! {
                    () = this.token.cancelled() => break,
                    () = tokio::time::sleep(pauses.pause()) => {}
                }
            }
            this.set(&name, |status| status.running = false);
        });
    }

    /// Runs background work that ends by itself; shutdown waits for it.
    pub fn once<Fut>(&self, future: Fut)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(future);
    }

    /// Every worker by name.
    pub fn status(&self) -> BTreeMap<String, WorkerStatus> {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Cancels all workers and waits for them, at most `limit`. True when all ended in time.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok()
    }

    fn set(&self, name: &str, change: impl FnOnce(&mut WorkerStatus)) {
        let mut all = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(name.to_owned()).or_default());
    }
}

/// The message of a panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one run of a worker does.
    #[derive(Clone, Copy, Debug)]
    enum Run {
        PanicsAtOnce,
        PanicsWhenCreated,
        Fails,
        EndsEarly,
        FailsAfter(Duration),
        Waits,
    }

    /// Starts a worker that does these runs, then waits for cancellation; returns when the runs
    /// began, in milliseconds.
    fn start(supervisor: &Supervisor, runs: &'static [Run]) -> Arc<Mutex<Vec<u128>>> {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (recorded, first) = (begun.clone(), Instant::now());
        supervisor.worker("w", move |token| {
            let mut begun = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            let run = runs.get(begun.len()).copied().unwrap_or(Run::Waits);
            begun.push(first.elapsed().as_millis());
            drop(begun);
            assert!(!matches!(run, Run::PanicsWhenCreated), "when created");
            async move {
                match run {
                    Run::PanicsAtOnce => panic!("at once"),
                    Run::Fails => Err("failed"),
                    Run::EndsEarly => Ok(()),
                    Run::FailsAfter(time) => {
                        tokio::time::sleep(time).await;
                        Err("failed late")
                    }
                    Run::Waits | Run::PanicsWhenCreated => {
                        token.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_worker_is_restarted_with_a_backoff_that_is_reset() {
        const LONG: Duration = Duration::from_secs(60);
        const SHORT: Duration = Duration::from_secs(59);
        type Case = (&'static [Run], &'static [u128], Option<&'static str>);
        let table: [Case; 7] = [
            (&[], &[0], None),
            (&[Run::PanicsAtOnce], &[0, 200], Some("panicked: at once")),
            (
                &[Run::PanicsWhenCreated],
                &[0, 200],
                Some("panicked: when created"),
            ),
            (&[Run::Fails], &[0, 200], Some("failed")),
            (&[Run::EndsEarly], &[0, 200], Some("ended early")),
            (
                &[Run::Fails, Run::Fails, Run::FailsAfter(SHORT), Run::Fails],
                &[0, 200, 600, 60_400, 62_000],
                Some("failed"),
            ),
            (
                &[Run::Fails, Run::Fails, Run::FailsAfter(LONG), Run::Fails],
                &[0, 200, 600, 60_800, 61_200],
                Some("failed"),
            ),
        ];
        for (runs, expected, last_error) in table {
            let supervisor = Supervisor::new();
            let begun = start(&supervisor, runs);
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(*begun.lock().expect("moments"), expected, "{runs:?}");
            let status = supervisor.status()["w"].clone();
            assert_eq!(status.restarts as usize, runs.len(), "{runs:?}");
            assert_eq!(status.last_error.as_deref(), last_error, "{runs:?}");
            assert!(status.running, "{runs:?}");
            assert!(supervisor.shut_down(Duration::from_secs(1)).await);
            assert!(!supervisor.status()["w"].running, "{runs:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_backoff_is_bounded_and_a_shutdown_does_not_wait_for_it() {
        let supervisor = Supervisor::new();
        let begun = start(&supervisor, &[Run::Fails; 20]);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let moments = begun.lock().expect("moments").clone();
        let pauses: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(
            pauses,
            [
                200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000
            ]
        );
        let ended = Instant::now();
        assert!(supervisor.shut_down(Duration::from_secs(1)).await);
        assert_eq!(ended.elapsed(), Duration::ZERO);
        assert!(!supervisor.status()["w"].running);
        assert_eq!(begun.lock().expect("moments").len(), moments.len());
    }
}
