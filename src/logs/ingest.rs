//! State of the containers whose output is read: cursors, followers and log rates.
//!
//! Running containers are followed; exited ones are read once more to their end, because a follow
//! may stop before the last lines. Only then is a container *drained* and may be removed: Docker
//! deletes its output with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::cursor::Cursor;
use super::envelope::LogStream;
use super::{LABEL_SOURCE_ID, Logs};
use crate::base::Timestamp;
use crate::docker::{ContainerState, Engine, LABEL_OWNER, Labels};

pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Follows the containers of one platform; cheap to clone.
#[derive(Clone)]
pub struct Ingest(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) logs: Logs,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) labels: Labels,
    containers: Mutex<HashMap<Arc<str>, Entry>>,
    /// Wakes the worker to list the containers.
    pub(super) wake: Notify,
    /// Incremented whenever a container was drained.
    pub(super) progress: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) out: Cursor,
    pub(super) err: Cursor,
    pub(super) followed: bool,
    /// The exit time up to which everything is stored.
    pub(super) drained: Option<Timestamp>,
    pub(super) rate: Rate,
}

/// Counts the bytes a container logs.
#[derive(Default)]
pub(super) struct Rate {
    pub(super) received: Arc<AtomicU64>,
    last_query: Option<(Timestamp, u64)>,
    latest: u64,
}

impl Ingest {
    /// Ingests the containers whose [`LABEL_OWNER`] is `owner`.
    pub fn new(logs: Logs, engine: Arc<dyn Engine>, owner: &str) -> Self {
        Self(Arc::new(Shared {
            logs,
            engine,
            labels: Labels::from([(LABEL_OWNER.to_owned(), owner.to_owned())]),
            containers: Mutex::default(),
            wake: Notify::new(),
            progress: watch::Sender::new(0),
        }))
    }

    /// Waits until all output of an exited container is stored; call it before removing the
    /// container. False if that took longer than `limit` (removing it then loses lines).
    pub async fn drained(&self, container_id: &str, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.wait_drained(container_id))
            .await
            .is_ok()
    }

    /// Bytes per second that a container logged between the last two calls; zero at the first.
    pub fn log_rate(&self, container_id: &str) -> u64 {
        let now = self.0.logs.now();
        let mut containers = self.0.lock();
        let entry = containers.get_mut(container_id);
        entry.map_or(0, |entry| entry.rate.ask(now))
    }

    async fn wait_drained(&self, container_id: &str) {
        let mut progress = self.0.progress.subscribe();
        loop {
            progress.mark_unchanged();
            match self.0.engine.inspect(container_id).await {
                Ok(None) => return,
                Ok(Some(container)) if !container.labels.contains_key(LABEL_SOURCE_ID) => return,
                Ok(Some(container)) => match container.state {
                    ContainerState::Created => return,
                    ContainerState::Exited { at, .. } if self.0.is_drained(container_id, at) => {
                        return;
                    }
                    ContainerState::Exited { .. } | ContainerState::Running { .. } => {}
                },
                Err(error) => {
                    tracing::debug!(%error, container = container_id, "inspecting container failed; retrying");
                }
            }
            self.0.wake.notify_one();
            // The sender lives in `self`; a timeout only causes another check.
            drop(tokio::time::timeout(RETRY, progress.changed()).await);
        }
    }

    pub(super) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(super) fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    /// Records the cursors of a container's follower.
    pub(super) fn moved(&self, id: &str, [out, err]: [Cursor; 2]) {
        if let Some(entry) = self.0.lock().get_mut(id) {
            (entry.out, entry.err) = (out, err);
        }
    }

    /// A follower panicked: another one may start.
    pub(super) fn released(&self, id: &str) {
        if let Some(entry) = self.0.lock().get_mut(id) {
            entry.followed = false;
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_drained(&self, container_id: &str, end: Timestamp) -> bool {
        let containers = self.lock();
        let entry = containers.get(container_id);
        entry.is_some_and(|entry| !entry.followed && entry.drained == Some(end))
    }
}

impl Entry {
    pub(super) fn cursor(&mut self, stream: LogStream) -> &mut Cursor {
        match stream {
            LogStream::Out => &mut self.out,
            LogStream::Err => &mut self.err,
        }
    }

    pub(super) fn needs_follower(&self, state: &ContainerState) -> bool {
        match state {
            ContainerState::Created => false,
            ContainerState::Running { .. } => true,
            ContainerState::Exited { at, .. } => self.drained != Some(*at),
        }
    }
}

impl Rate {
    fn ask(&mut self, now: Timestamp) -> u64 {
        let received = self.received.load(Ordering::Relaxed);
        let Some((then, before)) = self.last_query else {
            self.last_query = Some((now, received));
            return 0;
        };
        let elapsed = u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX);
        // Calls at nearly the same time get the same result.
        if elapsed >= 1000 {
            self.latest = (received - before).saturating_mul(1000) / elapsed;
            self.last_query = Some((now, received));
        }
        self.latest
    }
}
