//! Keeps services running: starts what ended, and starts again what does not answer any more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::store::Instance;
use super::{Inner, Trouble, ports};
use crate::base::Backoff;
use crate::db::{DbError, ReadTx};
use crate::docker::{ContainerChange, EngineStream};

/// The longest time between two looks while there are services.
const LOOK: Duration = Duration::from_secs(5);
/// Services that are looked at at once.
const AT_ONCE: usize = 32;
/// Before a service that does not start is started again.
const RESTARTS: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// Failed questions in a row after which a service is started again.
const PATIENCE: u32 = 3;
/// Many services that end within this time have a common cause, which restarts make worse.
const MELTDOWN: Duration = Duration::from_secs(600);
const MELTDOWN_COUNT: usize = 5;

/// What is known of a service.
struct Watched {
    failures: u32,
    /// It is not started before.
    retry: Instant,
    unanswered: u32,
    asked: Instant,
}

impl Watched {
    fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            retry: now,
            unanswered: 0,
            asked: now,
        }
    }
}

impl Inner {
    pub(super) async fn supervise(&self, token: CancellationToken) -> Result<(), DbError> {
        if let Err(error) = self.remove_strays().await {
            tracing::warn!(%error, "cannot look for containers of services that are gone");
        }
        let mut watched: HashMap<String, Watched> = HashMap::new();
        let ended = Mutex::new(Ended::default());
        let mut changes = self.db.changes();
        let mut events = None;
        let mut busy: HashSet<String> = HashSet::new();
        // One that takes long to start does not keep the others waiting.
        let mut checks = FuturesUnordered::new();
        loop {
            changes.mark_unchanged();
            let store = self.store.clone();
            let all = self.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
            watched.retain(|guid, _| all.iter().any(|instance| instance.guid == *guid));
            let count = all.len();
            for instance in all {
                if checks.len() < AT_ONCE && busy.insert(instance.guid.clone()) {
                    let known = watched.remove(&instance.guid);
                    let state = known.unwrap_or_else(|| Watched::new(Instant::now()));
                    checks.push(self.check(instance, state, (&ended, count)));
                }
            }
            if events.is_none() && count > 0 {
                events = self.engine.changes(&self.labels()).await.ok();
            }
            let mut look = std::pin::pin!(tokio::time::sleep(LOOK));
            loop {
                tokio::select! {
                    () = token.cancelled() => return Ok(()),
                    Some((guid, state)) = checks.next(), if !checks.is_empty() => {
                        busy.remove(&guid);
                        watched.insert(guid, state);
                    }
                    () = end_of_one(&mut events) => break,
                    () = &mut look, if count > 0 => break,
                    changed = changes.changed(), if count == 0 => {
                        if changed.is_err() {
                            return Ok(());
                        }
                        break;
                    }
                }
            }
        }
    }

    async fn check(
        &self,
        instance: Instance,
        mut state: Watched,
        (ended, all): (&Mutex<Ended>, usize),
    ) -> (String, Watched) {
        let kept = self.keep_running(&instance, &mut state, (ended, all)).await;
        if let Err(error) = kept {
            tracing::warn!(service_instance = instance.guid, %error, "cannot check a data service; retrying");
        }
        (instance.guid, state)
    }

    async fn keep_running(
        &self,
        instance: &Instance,
        watched: &mut Watched,
        (ended, all): (&Mutex<Ended>, usize),
    ) -> Result<(), Failure> {
        let now = Instant::now();
        if !instance.is_at_rest() || now < watched.retry {
            return Ok(());
        }
        let Some(_lock) = self.locks.try_lock(&instance.guid) else {
            return Ok(());
        };
        // Others may have changed or deleted it since the rows were read.
        let current = self.find(&instance.guid).await?;
        let Some(instance) = current.as_ref().filter(|instance| instance.is_at_rest()) else {
            return Ok(());
        };
        let service = self.service(instance)?;
        let Some(id) = self.awake(&instance.guid).await? else {
            let is_meltdown = {
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.is_meltdown(&instance.guid, all, now)
            };
            if is_meltdown {
                let fault =
                    "many data services ended within minutes; not starting them for a minute";
                self.meltdown(Some(fault.to_owned()));
                self.note(&instance.guid, fault).await?;
                watched.retry = now + Duration::from_secs(60);
                return Ok(());
            }
            self.meltdown(None);
            return self.resurrect(instance, watched).await;
        };
        let health = &service.plan.spec.health;
        if now.duration_since(watched.asked) < Duration::from_secs(health.every_seconds) {
            return Ok(());
        }
        watched.asked = now;
        match self.hook(&service, &id, &health.ready).await {
            Ok(()) => {
                (watched.unanswered, watched.failures) = (0, 0);
                self.trouble(instance, "down", None);
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.forget(&instance.guid);
                Ok(())
            }
            Err(error) => {
                watched.unanswered += 1;
                if watched.unanswered < PATIENCE {
                    return Ok(());
                }
                watched.unanswered = 0;
                self.note(
                    &instance.guid,
                    format!("does not answer, starting it again: {error}"),
                )
                .await?;
                self.stop(&service).await?;
                self.resurrect(instance, watched).await
            }
        }
    }

    async fn resurrect(&self, instance: &Instance, watched: &mut Watched) -> Result<(), Failure> {
        let service = self.service(instance)?;
        self.note(&instance.guid, "not running, starting it")
            .await?;
        let started = async {
            let id = self.start_anew(&service).await?;
            self.wait_ready(&service, &id).await
        };
        let result: Result<(), Failure> = started.await;
        let pause = RESTARTS.after(watched.failures);
        watched.retry = Instant::now() + pause;
        watched.failures = watched.failures.saturating_add(1);
        match result {
            Ok(()) => {
                self.trouble(instance, "down", None);
                self.restart_dependents(instance).await;
                Ok(self.note(&instance.guid, "running again").await?)
            }
            Err(error) => {
                let seconds = pause.as_secs();
                if ports::is_taken(&error) {
                    // Somebody else on this machine has one of its ports, perhaps for good.
                    self.other_ports(instance).await?;
                    self.note(&instance.guid, "a port is taken, it gets others")
                        .await?;
                }
                self.trouble(instance, "down", Some(error.to_string()));
                Ok(self
                    .note(
                        &instance.guid,
                        format!("does not start, retrying in {seconds} s: {error}"),
                    )
                    .await?)
            }
        }
    }
}

impl Inner {
    pub(super) fn trouble(&self, instance: &Instance, kind: &'static str, fault: Option<String>) {
        self.host.trouble(&Trouble {
            instance: Some((&instance.guid, &instance.name)),
            kind,
            fault,
        });
    }

    fn meltdown(&self, fault: Option<String>) {
        self.host.trouble(&Trouble {
            instance: None,
            kind: "meltdown",
            fault,
        });
    }
}

/// Returns when the daemon reports that a container of a service ended.
async fn end_of_one(events: &mut Option<EngineStream<ContainerChange>>) {
    loop {
        let Some(stream) = events else {
            return std::future::pending().await;
        };
        match stream.next().await {
            Some(Ok(change)) if change.action == "die" => return,
            Some(Ok(_)) => {}
            // It is opened again with the next look.
            Some(Err(_)) | None => *events = None,
        }
    }
}

/// When services ended.
#[derive(Default)]
struct Ended(VecDeque<(Instant, String)>);

impl Ended {
    /// One that works again is no part of a meltdown.
    fn forget(&mut self, guid: &str) {
        self.0.retain(|(_, known)| known != guid);
    }

    /// Notes that one ended; true when so many did that something else is wrong.
    fn is_meltdown(&mut self, guid: &str, all: usize, now: Instant) -> bool {
        self.0.retain(|(at, _)| now.duration_since(*at) < MELTDOWN);
        if !self.0.iter().any(|(_, known)| known == guid) {
            self.0.push_back((now, guid.to_owned()));
        }
        let distinct: HashSet<&String> = self.0.iter().map(|(_, guid)| guid).collect();
        // As BOSH decides: at least five, and a fifth of all. A restart of the daemon ends all of them
        // at once, which is no meltdown.
        let at_once = self
            .0
            .iter()
            .all(|(at, _)| now.duration_since(*at) < LOOK * 4);
        !at_once && distinct.len() >= MELTDOWN_COUNT && distinct.len() * 5 >= all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_ends_within_minutes_are_a_meltdown() {
        let mut ended = Ended::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        for number in 0..4 {
            assert!(!ended.is_meltdown(&number.to_string(), 20, at(number * 60)));
        }
        assert!(ended.is_meltdown("4", 20, at(240)), "a fifth of all");
        assert!(!ended.is_meltdown("4", 40, at(240)), "not a fifth");
        ended.forget("3");
        assert!(!ended.is_meltdown("4", 20, at(241)), "one works again");
        assert!(!ended.is_meltdown("4", 20, at(900)), "long ago");
        let mut restarted = Ended::default();
        for number in 0..9 {
            assert!(!restarted.is_meltdown(&number.to_string(), 9, at(number)));
        }
    }
}
