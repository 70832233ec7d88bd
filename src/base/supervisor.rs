//! Long-lived workers: started by name, restarted after a panic or an error with growing pauses,
//! ended by cancellation, and listed with what they last did.
//!
//! Every worker of cflite starts here; nothing else may call `tokio::spawn` for work that outlives
//! a request. A worker is a function that runs until its token is cancelled. Returning early or
//! panicking counts as a fault.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a worker did last, for `/healthz` and `cflite status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerStatus {
    /// Times the worker was started again after a fault.
    pub restarts: u32,
    /// The last fault, if there was one.
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

    /// Runs `worker` until shutdown, again after every fault.
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
            let mut pause = FIRST_PAUSE;
            while !this.token.is_cancelled() {
                let run = AssertUnwindSafe(worker(this.token.clone())).catch_unwind();
                let fault = match run.await {
                    Ok(Ok(())) if this.token.is_cancelled() => break,
                    Ok(Ok(())) => "ended early".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(panic) => format!("panicked: {}", panic_text(&*panic)),
                };
                tracing::error!(worker = %name, error = %fault, "worker failed and is started again");
                this.set(&name, |status| {
                    status.restarts += 1;
                    status.last_error = Some(fault);
                });
                tokio::select! {
                    () = this.token.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            this.set(&name, |status| status.running = false);
        });
    }

    /// Runs one piece of background work that ends by itself; shutdown waits for it.
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

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panicking_worker_is_started_again_and_reported() {
        let supervisor = Supervisor::new();
        let runs = Arc::new(AtomicU32::new(0));
        let counter = runs.clone();
        supervisor.worker("shaky", move |token| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run > 0, "first run");
                token.cancelled().await;
                Ok::<(), String>(())
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let status = supervisor.status()["shaky"].clone();
        assert_eq!(status.restarts, 1);
        assert!(
            status
                .last_error
                .is_some_and(|text| text.contains("first run"))
        );
        assert!(supervisor.shut_down(Duration::from_secs(1)).await);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(!supervisor.status()["shaky"].running);
    }
}
