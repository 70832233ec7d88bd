//! The worker: carries operations out, one for each instance at a time.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::schedule::Tried;
use super::store::{self, Kind, State};
use super::{DataServices, Inner, LONGEST_OPERATION};
use crate::base::Supervisor;
use crate::db::{DbError, ReadTx};

/// Operations at once.
const AT_ONCE: usize = 4;
/// The longest time between two looks.
const TICK: Duration = Duration::from_secs(60);
/// How often an operation is tried while the daemon does not answer.
const TRIES: u32 = 3;
/// Before what could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(5);

impl DataServices {
    /// Starts the workers.
    pub fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("data services", move |token| {
            let this = this.clone();
            async move { this.0.work(token).await }
        });
        let this = self.clone();
        supervisor.worker("health of data services", move |token| {
            let this = this.clone();
            async move { this.0.supervise(token).await }
        });
        let this = self.clone();
        supervisor.worker("usage of data services", move |token| {
            let this = this.clone();
            async move { this.0.measure(token).await }
        });
    }
}

impl Inner {
    async fn work(&self, token: CancellationToken) -> Result<(), DbError> {
        let mut changes = self.db.changes();
        let mut busy: HashSet<String> = HashSet::new();
        let mut running = FuturesUnordered::new();
        let mut saving = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        let mut tried = Tried::new();
        loop {
            changes.mark_unchanged();
            for guid in self.db.read(|tx: &ReadTx<'_>| store::busy(tx)).await? {
                if busy.len() < AT_ONCE && busy.insert(guid.clone()) {
                    running.push(self.carry_out(guid));
                }
            }
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                Some(guid) = running.next(), if !running.is_empty() => {
                    busy.remove(&guid);
                }
                Some(()) = saving.next(), if !saving.is_empty() => {}
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                _ = tick.tick() => {
                    if let Err(error) = self.remove_expired(self.now()).await {
                        tracing::warn!(%error, "cannot remove backups whose time is over; retrying in a minute");
                    }
                    if saving.len() < AT_ONCE {
                        match self.due_backups(&mut tried).await {
                            Ok(due) => saving.extend(due.into_iter().map(|guid| self.save_on_schedule(guid))),
                            Err(error) => tracing::warn!(%error, "cannot look for backups on schedule; retrying in a minute"),
                        }
                    }
                }
            }
        }
    }

    /// Carries the operation of an instance out, whose guid it returns.
    async fn carry_out(&self, guid: String) -> String {
        let _lock = self.locks.lock(&guid).await;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.try_operation(&guid, tries == 0).await {
                Ok(()) => return guid,
                Err(error) if tries == 0 => {
                    tracing::error!(service_instance = guid, %error, "cannot store an operation of a data service; retrying");
                    tokio::time::sleep(RETRY).await;
                    return guid;
                }
                Err(error) => {
                    tracing::warn!(service_instance = guid, %error, "an operation of a data service did not get through; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Each step looks at what is there first, so an operation that a busy daemon did not answer begins
    /// again; the last try ends it.
    async fn try_operation(&self, guid: &str, is_last: bool) -> Result<(), Failure> {
        let Some(instance) = self.find(guid).await? else {
            return Ok(());
        };
        if instance.operation.state != State::InProgress {
            return Ok(());
        }
        let operation = instance.operation.id.clone();
        let work = async {
            match instance.operation.kind {
                Kind::Create => self.provision(instance).await,
                Kind::Update => self.update(instance).await,
                Kind::Delete => self.deprovision(instance).await,
            }
        };
        let done = tokio::time::timeout(LONGEST_OPERATION, work).await;
        let done = done.unwrap_or_else(|_| {
            let minutes = LONGEST_OPERATION.as_secs() / 60;
            Err(Failure::new(format!(
                "it took longer than {minutes} minutes"
            )))
        });
        match done {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_passing() && !is_last => Err(failure),
            Err(failure) => self.fail(guid, &operation, &failure).await,
        }
    }
}
