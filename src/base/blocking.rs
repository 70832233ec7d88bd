//! Blocking work off the async threads: limited concurrency, with a fair and bounded queue.
//!
//! All blocking work of a platform shares the blocking threads of one Tokio runtime. Each kind of
//! work has its own [`WorkQueue`], and the concurrency of all queues together stays below the
//! number of those threads ([`THREADS`]): work of one kind never waits for a thread that another
//! kind holds.
//!
//! Invariants:
//! - The permit to run ([`Slot`]) belongs to the work. A caller that is cancelled does not release
//!   it; it is released when the work has returned or panicked.
//! - Work that has not begun when its caller is cancelled does not run.
//! - Waiting is bounded: at most [`Bounds::waiting`] callers wait, each for at most
//!   [`Bounds::timeout`].
//!
//! Decisions: everything stays on the blocking threads of the caller's runtime. Tokio stops a
//! paused test clock while such work runs; with separate threads or a separate runtime, timeouts
//! would fire during a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

/// Blocking threads of the platform's runtime. The queues of the database, the blob store and
/// password hashing use less than half; the others are for short file accesses.
pub const THREADS: usize = 96;

/// How long an idle blocking thread is kept.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Limits of one kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Calls that run at once.
    pub at_once: usize,
    /// Callers that wait in the queue; further ones are rejected.
    pub waiting: usize,
    /// How long a caller waits in the queue.
    pub timeout: Duration,
}

/// Why work did not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue is full; the work has not begun.
    #[error("{what} is overloaded: {waiting} requests are queued; try again later")]
    Full {
        /// Which queue.
        what: &'static str,
        /// How many wait.
        waiting: usize,
    },
    /// It waited too long in the queue; the work has not begun.
    #[error("{what} is overloaded: timed out after {timeout:?} in the queue; try again later")]
    TimedOut {
        /// Which queue.
        what: &'static str,
        /// How long it waited.
        timeout: Duration,
    },
    /// The work panicked, or the runtime is shutting down.
    #[error("{what} was interrupted: {cause}")]
    Interrupted {
        /// Which queue.
        what: &'static str,
        /// The runtime's error.
        cause: String,
    },
}

/// One kind of blocking work; cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    what: &'static str,
    bounds: Bounds,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The permit to run one piece of work; released when it is dropped.
#[derive(Debug)]
pub struct Slot {
    what: &'static str,
    permit: OwnedSemaphorePermit,
}

impl WorkQueue {
    /// A queue; `what` names it in errors.
    pub fn new(what: &'static str, bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            what,
            bounds,
            slots: Arc::new(Semaphore::new(bounds.at_once)),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Waits for a slot and runs `work` on a blocking thread.
    pub async fn run<T, F>(&self, work: F) -> Result<T, QueueError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.enter().await?.run(work).await
    }

    /// Waits for a slot.
    pub async fn enter(&self) -> Result<Slot, QueueError> {
        let queue = &*self.0;
        // Never ahead of others: a released slot goes to the caller that waits longest.
        let permit = match queue.slots.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        Ok(Slot {
            what: queue.what,
            permit,
        })
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, QueueError> {
        let queue = &*self.0;
        let what = queue.what;
        let _waiter = Waiter::enqueue(queue)?;
        let timeout = queue.bounds.timeout;
        match tokio::time::timeout(timeout, queue.slots.clone().acquire_owned()).await {
            Ok(acquired) => acquired.map_err(|closed| interrupted(what, &closed)),
            Err(_) => Err(QueueError::TimedOut { what, timeout }),
        }
    }
}

impl Slot {
    /// Runs `work` on a blocking thread. It keeps the slot until it ends, also when its caller is
    /// cancelled.
    pub async fn run<T, F>(self, work: F) -> Result<T, QueueError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let what = self.what;
        let running = self.start(work).await;
        running.map_err(|error| interrupted(what, &error))
    }

    /// Starts `work` on a blocking thread. Dropping the handle cancels work that has not begun;
    /// it does not stop work that has.
    pub fn start<T, F>(self, work: F) -> AbortOnDropHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let permit = self.permit;
        AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
            // Dropped last, after everything `work` holds.
            let _permit = permit;
            work()
        }))
    }
}

/// Counts one waiting caller.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enqueue(queue: &'a Inner) -> Result<Self, QueueError> {
        let most = queue.bounds.waiting;
        let more = |waiting: usize| (waiting < most).then_some(waiting + 1);
        queue
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .map(|_| Self(&queue.waiting))
            .map_err(|waiting| QueueError::Full {
                what: queue.what,
                waiting,
            })
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn interrupted(what: &'static str, cause: &impl std::fmt::Display) -> QueueError {
    QueueError::Interrupted {
        what,
        cause: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use futures_util::{FutureExt, poll};

    use super::*;

    fn queue(at_once: usize, waiting: usize) -> WorkQueue {
        let timeout = Duration::from_secs(30);
        let bounds = Bounds {
            at_once,
            waiting,
            timeout,
        };
        WorkQueue::new("test work", bounds)
    }

    /// Work that reports when it has begun and runs until the sender is dropped.
    fn held() -> (mpsc::Sender<()>, mpsc::Receiver<()>, impl FnOnce() + Send) {
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let work = move || {
            begin.send(()).expect("the test waits");
            released.recv().expect_err("nothing is sent");
        };
        (release, begun, work)
    }

    #[tokio::test]
    async fn a_cancelled_caller_releases_no_slot_before_the_work_ends() {
        let queue = queue(1, 1);
        let (release, begun, work) = held();
        let mut caller = Box::pin(queue.run(work));
        assert!(poll!(caller.as_mut()).is_pending());
        begun.recv().expect("begun");
        drop(caller);
        let mut next = Box::pin(queue.run(|| 7));
        assert!(poll!(next.as_mut()).is_pending());
        assert_eq!(queue.0.slots.available_permits(), 0);
        drop(release);
        assert_eq!(next.await, Ok(7));
    }

    #[test]
    fn work_whose_caller_is_cancelled_before_it_begins_does_not_run() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let queue = queue(2, 1);
            let (release, begun, work) = held();
            // Holds the only thread.
            let mut first = Box::pin(queue.run(work));
            assert!(poll!(first.as_mut()).is_pending());
            begun.recv().expect("begun");
            let ran = Arc::new(AtomicBool::new(false));
            let seen = ran.clone();
            let mut second = Box::pin(queue.run(move || seen.store(true, Ordering::SeqCst)));
            assert!(poll!(second.as_mut()).is_pending());
            drop(second);
            drop(release);
            first.await.expect("first");
            queue.run(|| ()).await.expect("third");
            assert!(!ran.load(Ordering::SeqCst));
            assert_eq!(queue.0.slots.available_permits(), 2);
        });
    }

    #[tokio::test]
    async fn work_that_panics_releases_its_slot_and_reports_it() {
        let queue = queue(1, 1);
        let failed = queue.run(|| panic!("test panic")).await;
        assert!(matches!(failed, Err(QueueError::Interrupted { .. })));
        assert_eq!(queue.run(|| 7).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_time() {
        let queue = queue(1, 1);
        let slot = queue.enter().await.expect("free");
        let mut waiting = Box::pin(queue.enter());
        assert!(poll!(waiting.as_mut()).is_pending());
        let what = "test work";
        let full = QueueError::Full { what, waiting: 1 };
        assert_eq!(queue.enter().await.expect_err("full"), full);
        let timeout = Duration::from_secs(30);
        let late = QueueError::TimedOut { what, timeout };
        assert_eq!(waiting.await.expect_err("late"), late);
        // A caller that timed out no longer counts as waiting.
        let mut waiting = Box::pin(queue.enter());
        assert!(poll!(waiting.as_mut()).is_pending());
        drop(slot);
        assert!(waiting.now_or_never().is_some_and(|slot| slot.is_ok()));
        assert_eq!(queue.0.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_stops_while_work_runs() {
        let queue = queue(1, 1);
        let slow = || std::thread::sleep(Duration::from_millis(20));
        for _ in 0..5 {
            let in_time = tokio::time::timeout(Duration::from_secs(5), queue.run(slow)).await;
            assert_eq!(in_time, Ok(Ok(())));
        }
    }
}
