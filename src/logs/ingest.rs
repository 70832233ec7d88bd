//! Docker as the source of lines: one follower for every container that carries
//! [`LABEL_SOURCE_ID`](super::LABEL_SOURCE_ID), found again by label after a restart.
//!
//! Running containers are followed; ended ones are read once more to their end, because a follow may
//! stop before the last lines. Only then is a container *drained* and may be removed: Docker forgets
//! its output with it. The listing decides, changes only wake: a change carries no data.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cursor::Cursor;
use super::envelope::LogStream;
use super::follow::{self, Follower};
use super::{LABEL_SOURCE_ID, Logs, store};
use crate::base::{Supervisor, Timestamp};
use crate::db::DbError;
use crate::docker::{
    Container, ContainerChange, ContainerState, DockerError, Engine, FactStream, LABEL_OWNER,
    Labels,
};

/// Containers are listed this often even when no change was told of.
const TICK: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// Follows the containers of one platform; cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Shared>);

struct Shared {
    logs: Logs,
    engine: Arc<dyn Engine>,
    labels: Labels,
    containers: Mutex<HashMap<Arc<str>, Entry>>,
    /// Somebody waits for a container to be looked at.
    poke: Notify,
    /// Bumped whenever a container was drained.
    progress: watch::Sender<u64>,
}

#[derive(Default)]
struct Entry {
    out: Cursor,
    err: Cursor,
    followed: bool,
    /// The end up to which everything is stored.
    drained: Option<Timestamp>,
    rate: Rate,
}

/// Counts the bytes a container logs.
#[derive(Default)]
struct Rate {
    received: Arc<AtomicU64>,
    asked: Option<(Timestamp, u64)>,
    latest: u64,
}

impl Ingest {
    /// For the containers whose [`LABEL_OWNER`] is `owner`.
    pub fn new(logs: Logs, engine: Arc<dyn Engine>, owner: &str) -> Self {
        Self(Arc::new(Shared {
            logs,
            engine,
            labels: Labels::from([(LABEL_OWNER.to_owned(), owner.to_owned())]),
            containers: Mutex::default(),
            poke: Notify::new(),
            progress: watch::Sender::new(0),
        }))
    }

    /// Starts following.
    pub fn start(&self, supervisor: &Supervisor) {
        let ingest = self.clone();
        supervisor.worker("log ingest", move |token| {
            let ingest = ingest.clone();
            async move { ingest.run(token).await }
        });
    }

    /// Waits until everything an ended container wrote is stored; to be called before it is removed.
    /// False when that took longer than `limit` (removing it then loses lines).
    pub async fn drained(&self, container_id: &str, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.wait_drained(container_id))
            .await
            .is_ok()
    }

    /// Bytes per second that a container logged between the two latest of these questions; zero at
    /// the first.
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
                    tracing::debug!(%error, container = container_id, "container not inspected");
                }
            }
            self.0.poke.notify_one();
            // The sender lives in `self`; a timeout only makes it look again.
            drop(tokio::time::timeout(RETRY, progress.changed()).await);
        }
    }

    async fn run(&self, token: CancellationToken) -> Result<(), DbError> {
        let mut known = self.load_cursors().await?;
        let mut followers = JoinSet::new();
        let mut changes = None;
        loop {
            if changes.is_none() {
                changes = self.0.engine.changes(&self.0.labels).await.ok();
            }
            let pause = match self.0.engine.list(&self.0.labels).await {
                Ok(containers) => {
                    self.reconcile(containers, &mut known, &mut followers);
                    if changes.is_some() { TICK } else { RETRY }
                }
                Err(error) => {
                    tracing::warn!(%error, "containers cannot be listed, their logs wait");
                    RETRY
                }
            };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = self.0.poke.notified() => {}
                () = tokio::time::sleep(pause) => {}
                alive = next_change(&mut changes) => if !alive { changes = None; },
                Some(ended) = followers.join_next() => self.ended(ended),
            }
        }
    }

    /// Cursors of an earlier run, or of this one when the worker is started again.
    async fn load_cursors(&self) -> Result<HashMap<Arc<str>, Entry>, DbError> {
        self.0.logs.flush().await;
        self.0.lock().clear();
        let mut entries: HashMap<Arc<str>, Entry> = HashMap::new();
        for ((id, stream), cursor) in self.0.logs.db().read(store::cursors).await? {
            *entries.entry(id).or_default().cursor(stream) = cursor;
        }
        Ok(entries)
    }

    /// Starts the followers that are missing, and forgets containers that are gone.
    fn reconcile(
        &self,
        listed: Vec<Container>,
        known: &mut HashMap<Arc<str>, Entry>,
        followers: &mut JoinSet<(Arc<str>, follow::End)>,
    ) {
        let mut containers = self.0.lock();
        // What an earlier run knew, and what this one knows, goes with the container.
        containers.extend(known.drain());
        containers.retain(|id, entry| {
            let exists = entry.followed || listed.iter().any(|container| *container.id == **id);
            if !exists {
                self.0.logs.inbox().forget_container(id);
            }
            exists
        });
        for container in listed {
            if !container.labels.contains_key(LABEL_SOURCE_ID) {
                continue;
            }
            let id: Arc<str> = container.id.as_str().into();
            let entry = containers.entry(id.clone()).or_default();
            if !entry.followed && entry.needs_follower(&container.state) {
                entry.followed = true;
                let follower = self.follower(&id, &container, entry);
                followers.spawn(async move { (id, follower.run().await) });
            }
        }
    }

    fn follower(&self, id: &Arc<str>, container: &Container, entry: &Entry) -> Follower {
        Follower::new(
            self.clone(),
            id.clone(),
            &container.labels,
            (entry.out, entry.err),
            entry.rate.received.clone(),
        )
    }

    fn ended(&self, ended: Result<(Arc<str>, follow::End), tokio::task::JoinError>) {
        let mut containers = self.0.lock();
        match ended {
            Ok((id, end)) => {
                if let Some(entry) = containers.get_mut(&id) {
                    entry.followed = false;
                    if let follow::End::Drained(at) = end {
                        entry.drained = Some(at);
                    }
                }
            }
            Err(error) => {
                // It has released its container itself.
                tracing::error!(%error, "a log follower failed and is started again");
            }
        }
        drop(containers);
        self.0.progress.send_modify(|count| *count += 1);
    }

    pub(super) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(super) fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    /// Remembers how far the follower of a container has handed lines on.
    pub(super) fn moved(&self, id: &str, [out, err]: [Cursor; 2]) {
        if let Some(entry) = self.0.lock().get_mut(id) {
            (entry.out, entry.err) = (out, err);
        }
    }

    /// A follower that panicked: another may begin.
    pub(super) fn released(&self, id: &str) {
        if let Some(entry) = self.0.lock().get_mut(id) {
            entry.followed = false;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
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
    fn cursor(&mut self, stream: LogStream) -> &mut Cursor {
        match stream {
            LogStream::Out => &mut self.out,
            LogStream::Err => &mut self.err,
        }
    }

    fn needs_follower(&self, state: &ContainerState) -> bool {
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
        let Some((then, before)) = self.asked else {
            self.asked = Some((now, received));
            return 0;
        };
        let elapsed = u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX);
        // Several who ask at nearly the same time get the same answer.
        if elapsed >= 1000 {
            self.latest = (received - before).saturating_mul(1000) / elapsed;
            self.asked = Some((now, received));
        }
        self.latest
    }
}

/// Waits for a change and takes all that came with it; false when the daemon hung up.
async fn next_change(changes: &mut Option<FactStream<ContainerChange>>) -> bool {
    let Some(stream) = changes else {
        return std::future::pending().await;
    };
    let mut next: Option<Result<ContainerChange, DockerError>> = stream.next().await;
    loop {
        match next {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return false,
        }
        match stream.next().now_or_never() {
            Some(more) => next = more,
            None => return true,
        }
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
