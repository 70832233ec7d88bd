//! Ingests lines from Docker: one follower for every container with [`LABEL_SOURCE_ID`], found by
//! label after a restart. The listing decides; events only wake the worker and carry no data. Only
//! the events of starts and ends do: listing inspects each container.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::follow::{self, Cursors, Follower};
use super::ingest::{Entry, Ingest, RETRY};
use super::{LABEL_SOURCE_ID, store};
use crate::base::Supervisor;
use crate::db::DbError;
use crate::docker::{Container, ContainerChange, DockerError, EngineStream};

/// How often containers are listed even without events.
const TICK: Duration = Duration::from_secs(30);
/// Events after which a container needs a follower, or none any more.
const WAKING_ACTIONS: [&str; 3] = ["start", "die", "destroy"];

impl Ingest {
    /// Starts following.
    pub fn start(&self, supervisor: &Supervisor) {
        let ingest = self.clone();
        supervisor.worker("log ingest", move |token| {
            let ingest = ingest.clone();
            async move { ingest.run(token).await }
        });
    }

    async fn run(&self, token: CancellationToken) -> Result<(), DbError> {
        let mut cursors = self.load_cursors().await?;
        let mut followers = JoinSet::new();
        let mut changes = None;
        loop {
            if changes.is_none() {
                changes = self.0.engine.changes(&self.0.labels).await.ok();
            }
            let pause = match self.0.engine.list(&self.0.labels).await {
                Ok(containers) => {
                    self.reconcile(containers, &mut cursors, &mut followers);
                    if changes.is_some() { TICK } else { RETRY }
                }
                Err(error) => {
                    tracing::warn!(%error, "listing containers failed; log ingest delayed");
                    RETRY
                }
            };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                alive = next_change(&mut changes) => if !alive { changes = None; },
                Some(ended) = followers.join_next() => self.ended(ended),
            }
        }
    }

    /// The cursors of an earlier run, or of this one if the worker was restarted.
    async fn load_cursors(&self) -> Result<HashMap<Arc<str>, Entry>, DbError> {
        self.0.logs.flush().await;
        self.0.lock().clear();
        let mut entries: HashMap<Arc<str>, Entry> = HashMap::new();
        for ((id, stream), cursor) in self.0.logs.db().read(store::cursors).await? {
            *entries.entry(id).or_default().cursor(stream) = cursor;
        }
        Ok(entries)
    }

    /// Starts missing followers, and forgets removed containers.
    fn reconcile(
        &self,
        listed: Vec<Container>,
        cursors: &mut HashMap<Arc<str>, Entry>,
        followers: &mut JoinSet<(Arc<str>, follow::End)>,
    ) {
        let mut containers = self.0.lock();
        // State of earlier and current runs is removed with the container.
        containers.extend(cursors.drain());
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
        let cursors = Cursors {
            out: entry.out,
            err: entry.err,
        };
        Follower::new(
            self.clone(),
            id.clone(),
            &container.labels,
            cursors,
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
                // The follower has released its container itself.
                tracing::error!(%error, "log follower failed; restarting it");
            }
        }
        drop(containers);
        self.0.progress.send_modify(|count| *count += 1);
    }
}

/// Waits for a start or an end and drains the pending events; false if the daemon closed the stream.
async fn next_change(changes: &mut Option<EngineStream<ContainerChange>>) -> bool {
    let Some(stream) = changes else {
        return std::future::pending().await;
    };
    let mut next: Option<Result<ContainerChange, DockerError>> = stream.next().await;
    let mut wakes = false;
    loop {
        match next {
            Some(Ok(change)) => wakes |= WAKING_ACTIONS.contains(&change.action.as_str()),
            Some(Err(_)) | None => return false,
        }
        next = match stream.next().now_or_never() {
            Some(more) => more,
            None if wakes => return true,
            None => stream.next().await,
        };
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
