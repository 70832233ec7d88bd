//! The worker: takes the next step of every operation when it is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::outcome::outcome;
use super::{Asked, Open, Operations};
use crate::base::{Clock, Supervisor, Timestamp};
use crate::db::{Db, DbError};

/// Requests at once.
const AT_ONCE: usize = 32;
/// Requests at once to one broker: one that hangs delays nobody else.
const AT_ONCE_EACH: usize = 4;
/// The longest time between two looks, in case a wake-up is lost.
const TICK: Duration = Duration::from_secs(30);
/// Before an operation whose outcome could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What the worker works with.
pub struct Parts {
    /// Operations are read from and written to it.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Asks brokers.
    pub client: Client,
    /// The operations.
    pub operations: Arc<dyn Operations>,
}

/// The worker; cheap to clone.
#[derive(Clone)]
pub struct Marketplace(Arc<Parts>);

impl Marketplace {
    /// A worker that is not started yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Starts it.
    pub fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("service brokers", move |token| {
            let this = this.clone();
            async move { this.run(token).await }
        });
    }

    async fn run(&self, token: CancellationToken) -> Result<(), DbError> {
        let mut changes = self.0.db.changes();
        let mut busy: HashMap<i64, String> = HashMap::new();
        let mut running = FuturesUnordered::new();
        loop {
            changes.mark_unchanged();
            let operations = self.0.operations.clone();
            let open = self.0.db.read(move |tx| operations.open(tx)).await?;
            let now = self.0.clock.now();
            for operation in due(&open, &busy, now) {
                busy.insert(operation.id, operation.broker.clone());
                running.push(self.step(operation.id));
            }
            let next = open
                .iter()
                .filter(|operation| !busy.contains_key(&operation.id) && operation.due > now)
                .map(|operation| operation.due.since(now))
                .min();
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                Some(id) = running.next(), if !running.is_empty() => {
                    busy.remove(&id);
                }
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(next.unwrap_or(TICK).min(TICK)) => {}
            }
        }
    }

    /// One step of an operation, whose id it returns. What is cut off here is done again.
    async fn step(&self, id: i64) -> i64 {
        if let Err(error) = self.try_step(id).await {
            tracing::error!(operation.id = id, %error, "cannot store an operation of a service broker; retrying");
            tokio::time::sleep(RETRY).await;
        }
        id
    }

    async fn try_step(&self, id: i64) -> Result<(), DbError> {
        let Parts {
            db, clock, client, ..
        } = &*self.0;
        let (operations, now) = (self.0.operations.clone(), clock.now());
        let begun = db.write(move |tx| operations.begin(tx, id, now)).await?;
        let Some(step) = begun else {
            return Ok(());
        };
        let sent = client
            .send(&step.broker, &step.request, step.user.as_deref())
            .await;
        let asked = Asked {
            outcome: outcome(&step.request, &sent.reply),
            version: sent.version,
        };
        let (operations, now) = (self.0.operations.clone(), clock.now());
        db.write(move |tx| operations.done(tx, id, asked, now))
            .await
    }
}

/// The operations whose next step is taken now.
fn due(open: &[Open], busy: &HashMap<i64, String>, now: Timestamp) -> Vec<Open> {
    let mut each: HashMap<&str, usize> = HashMap::new();
    for broker in busy.values() {
        *each.entry(broker).or_default() += 1;
    }
    let mut taken = Vec::new();
    for operation in open {
        let of_broker = each.entry(&operation.broker).or_default();
        let free = busy.len() + taken.len() < AT_ONCE && *of_broker < AT_ONCE_EACH;
        if free && operation.due <= now && !busy.contains_key(&operation.id) {
            *of_broker += 1;
            taken.push(operation.clone());
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_gets_few_requests_at_once_and_delays_no_other() {
        let at = Timestamp::from_micros;
        let open = |id, broker: &str, due| Open {
            id,
            broker: broker.to_owned(),
            due: at(due),
        };
        let mut all: Vec<Open> = (0..10).map(|id| open(id, "slow", 0)).collect();
        all.push(open(10, "quick", 0));
        all.push(open(11, "quick", 9));
        let ids = |busy: &HashMap<i64, String>| {
            let taken = due(&all, busy, at(5));
            taken.iter().map(|open| open.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&HashMap::new()), [0, 1, 2, 3, 10]);
        let busy = [0, 1, 2].map(|id| (id, "slow".to_owned()));
        assert_eq!(ids(&busy.into()), [3, 10]);
    }
}
