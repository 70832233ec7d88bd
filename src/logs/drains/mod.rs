//! Drains: lines and metrics go on to other log servers, by the URLs of service bindings and, for
//! all apps, of the configuration.
//!
//! A worker compares the wanted drains ([`DrainSource`]) with those that run, whenever the database
//! changed. Each drain has a queue and a task of its own, so that one that is down delays no other.
//! The message at the head of a queue is tried until it is delivered; only a full queue loses some,
//! and the app's own log says so. How far each drain got is on disk ([`progress`]): after a restart it
//! goes on there, with what the store has since ([`backlog`]).
//!
//! Messages over TCP are handed to the kernel: what the receiver had not read when the connection
//! broke is lost, as it is with every sender of this protocol.

mod backlog;
mod format;
mod https;
mod mark;
mod options;
mod progress;
mod resolve;
mod store;
mod target;
mod task;
mod tcp;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

pub use format::hostname;
pub use target::showable;

use super::Line;
use super::Logs;
use super::envelope::LogStream;
use crate::base::{Secret, Supervisor};
use crate::db::DbError;
use crate::net::Network;
use progress::Progress;

/// The maximum number of drains of an app; the first by URL count.
const MAX_PER_APP: usize = 5;
/// Changes of the database come in groups.
const SETTLE: Duration = Duration::from_millis(50);
/// The wanted drains are read again at least this often.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// How often the progress of the drains is written.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How long a receiver may take at the platform's end for what it is being sent; what it does not
/// confirm is sent again.
const LAST_DELIVERY: Duration = Duration::from_millis(500);

/// The header of requests to drains over HTTPS: a router that knows its value, which is another one
/// for each host, writes no access line for them. Otherwise an app that is its own drain would never come to rest.
pub const MARK: HeaderName = HeaderName::from_static("x-cflite-log-drain");

/// A wanted drain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drain {
    /// The app; `None` = all sources.
    pub source_id: Option<Arc<str>>,
    /// Where it leads.
    pub url: String,
    /// What it needs for TLS.
    pub tls: Tls,
    /// The host in messages about a source without names.
    pub hostname: String,
}

/// What makes a drain another one. A renamed app keeps its drain, and what waits for it.
type Key = (Option<Arc<str>>, String, Tls);

/// The drains that run.
#[derive(Default)]
struct Running {
    drains: BTreeMap<Key, RunningDrain>,
    /// Whether the rows of drains were compared with the wanted ones.
    are_opened: bool,
    /// Cancelled when the platform ends.
    ending: CancellationToken,
}

struct RunningDrain {
    task: AbortHandle,
    progress: Arc<Progress>,
}

impl Drain {
    fn key(&self) -> Key {
        let Self {
            source_id,
            url,
            tls,
            hostname: _,
        } = self;
        (source_id.clone(), url.clone(), tls.clone())
    }
}

/// Certificates of a drain, PEM; empty = none.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// The client's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// A further authority of the server.
    pub authority: String,
}

/// Says which drains are wanted; implemented by the control plane.
#[async_trait]
pub trait DrainSource: Send + Sync + 'static {
    /// The drains, in any order. The error is for the platform's log.
    async fn wanted(&self) -> Result<Vec<Drain>, String>;
}

/// Settings of all drains.
#[derive(Clone)]
pub struct Settings {
    /// From which the values of [`MARK`] are made.
    pub secret: Secret<String>,
    /// The platform's own authority, PEM: apps can be drains.
    pub authority: Secret<String>,
    /// Whether only this machine may be reached.
    pub offline: bool,
    /// Addresses that drains must not lead to.
    pub blocked: Vec<Network>,
}

/// The drains of a platform; cheap to clone.
#[derive(Clone)]
pub struct Drains(Arc<Inner>);

struct Inner {
    logs: Logs,
    source: Arc<dyn DrainSource>,
    settings: Settings,
}

impl Drains {
    /// Drains that are not started yet.
    pub fn new(logs: Logs, source: Arc<dyn DrainSource>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            logs,
            source,
            settings,
        }))
    }

    /// Makes the value of [`MARK`] for requests to a host, which is without port.
    pub fn marks(&self) -> impl Fn(&str) -> String + Send + Sync + 'static + use<> {
        let secret = self.0.settings.secret.clone();
        move |host: &str| mark::of_host(&secret, host)
    }

    /// Starts the worker.
    pub fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("log drains", move |token| {
            let this = this.clone();
            async move { this.run(token).await }
        });
    }

    async fn run(&self, token: CancellationToken) -> Result<(), String> {
        let mut changes = self.0.logs.db().changes();
        let mut running = Running::default();
        // Dropping it ends all tasks.
        let mut tasks = JoinSet::new();
        let mut saves = interval(SAVE_EVERY);
        saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            changes.mark_unchanged();
            match self.0.source.wanted().await {
                Ok(wanted) => self.adjust(&mut running, &mut tasks, wanted).await,
                // What runs goes on meanwhile.
                Err(error) => tracing::error!(%error, "cannot read the log drains"),
            }
            let check = Instant::now() + CHECK_EVERY;
            loop {
                tokio::select! {
                    () = token.cancelled() => {
                        running.ending.cancel();
                        let all = async { while tasks.join_next().await.is_some() {} };
                        if tokio::time::timeout(LAST_DELIVERY, all).await.is_err() {
                            tracing::debug!("log drains end before their receivers answered");
                        }
                        self.save(&running).await;
                        return Ok(());
                    }
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return Ok(()),
                    },
                    () = sleep_until(check) => break,
                    _ = saves.tick() => self.save(&running).await,
                    Some(ended) = tasks.join_next() => {
                        // A drain ends only by a panic or because it is not wanted any more.
                        if let Err(error) = ended && error.is_panic() {
                            tracing::error!(%error, "log drain failed");
                        }
                        running.drains.retain(|_, one| !one.task.is_finished());
                        break;
                    }
                }
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Ends what is not wanted, and starts what does not run.
    async fn adjust(&self, running: &mut Running, tasks: &mut JoinSet<()>, wanted: Vec<Drain>) {
        let wanted = first_of_each_app(wanted).into_iter();
        let wanted: BTreeMap<Key, Drain> = wanted.map(|drain| (drain.key(), drain)).collect();
        let mut is_changed = !running.are_opened;
        is_changed |= wanted.keys().any(|key| !running.drains.contains_key(key));
        running.drains.retain(|key, one| {
            let stays = wanted.contains_key(key);
            if !stays {
                is_changed = true;
                one.task.abort();
            }
            stays
        });
        if !is_changed {
            return;
        }
        // A drain that starts anew goes on where it was.
        self.save(running).await;
        let digests = wanted.keys().map(progress::digest).collect();
        let now = self.0.logs.now_nanos();
        let opened = self
            .0
            .logs
            .db()
            .write_without_wake(move |tx| store::open(tx, &digests, now));
        let mut opened = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, "cannot read how far the log drains got; they are not started yet");
                return;
            }
        };
        running.are_opened = true;
        for (key, drain) in wanted {
            if running.drains.contains_key(&key) {
                continue;
            }
            // Drains of one digest are one drain.
            let Some(progress) = opened.remove(&progress::digest(&key)) else {
                continue;
            };
            if progress.is_new {
                // Lines of a burst are ahead of the clock; those that are stored are not for a new drain.
                let all = self.0.logs.sources().totals().into_iter();
                let own = all.filter(|(source_id, _)| {
                    let wanted = drain.source_id.as_ref();
                    wanted.is_none_or(|wanted| wanted == source_id)
                });
                progress.advance(own.map(|(source_id, totals)| (source_id, totals.newest)));
            }
            let progress = Arc::new(progress);
            let (logs, settings) = (self.0.logs.clone(), self.0.settings.clone());
            let ending = running.ending.clone();
            let task = task::run(logs, drain, settings, (progress.clone(), ending));
            let task = tasks.spawn(task);
            running.drains.insert(key, RunningDrain { task, progress });
        }
    }

    /// Writes how far the drains got.
    async fn save(&self, running: &Running) {
        let all = running.drains.values().map(|one| one.progress.clone());
        let unsaved: Vec<_> = all
            .map(|progress| (progress.take_unsaved(), progress))
            .filter(|(unsaved, _)| !unsaved.is_empty())
            .collect();
        if unsaved.is_empty() {
            return;
        }
        let unsaved = Arc::new(unsaved);
        let written = {
            let unsaved = unsaved.clone();
            self.0.logs.db().write_without_wake(move |tx| {
                let saved = unsaved
                    .iter()
                    .map(|(unsaved, progress)| store::save(tx, progress, unsaved));
                saved.collect::<Result<Vec<_>, DbError>>()
            })
        };
        match written.await {
            Ok(gone) => {
                for ((_, progress), gone) in unsaved.iter().zip(gone) {
                    progress.forget(&gone);
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot write how far the log drains got; retrying");
                for (unsaved, progress) in unsaved.iter() {
                    progress.put_back(unsaved);
                }
            }
        }
    }
}

/// Each drain once, and not too many of an app.
fn first_of_each_app(wanted: Vec<Drain>) -> BTreeSet<Drain> {
    // The order is by app, then by URL.
    let wanted: BTreeSet<Drain> = wanted.into_iter().collect();
    let mut kept: BTreeSet<Drain> = BTreeSet::new();
    let mut last: (Option<Arc<str>>, usize) = (None, 0);
    for drain in wanted {
        if drain.source_id != last.0 {
            last = (drain.source_id.clone(), 0);
        }
        let is_same = kept
            .last()
            .is_some_and(|one| (&one.source_id, &one.url) == (&drain.source_id, &drain.url));
        if is_same || (drain.source_id.is_some() && last.1 >= MAX_PER_APP) {
            continue;
        }
        last.1 += 1;
        kept.insert(drain);
    }
    kept
}

/// Tells the owner of a drain what is wrong: in the app's own log, or in the platform's.
fn report(logs: &Logs, source_id: Option<&Arc<str>>, text: &str) {
    match source_id {
        Some(source_id) => logs.emit(Line {
            source_id,
            source_type: "LGR",
            instance_id: "0",
            stream: LogStream::Err,
            text,
        }),
        None => tracing::warn!("log drain: {text}"),
    }
}

#[cfg(test)]
mod tests;
