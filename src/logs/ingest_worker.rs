//! Docker as the source of lines: one follower for every container that carries
//! [`LABEL_SOURCE_ID`], found again by label after a restart. The listing
//! decides, changes only wake: a change carries no data.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::follow::{self, Follower};
use super::ingest::{Entry, Ingest, RETRY};
use super::{LABEL_SOURCE_ID, store};
use crate::base::Supervisor;
use crate::db::DbError;
use crate::docker::{Container, ContainerChange, DockerError, EngineStream};

/// Containers are listed this often even when no change was told of.
const TICK: Duration = Duration::from_secs(30);

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
}

/// Waits for a change and takes all that came with it; false when the daemon hung up.
async fn next_change(changes: &mut Option<EngineStream<ContainerChange>>) -> bool {
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
