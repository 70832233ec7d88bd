//! Drains: lines and metrics go on to other log servers, by the URLs of service bindings and, for
//! all apps, of the configuration.
//!
//! A worker compares the wanted drains ([`DrainSource`]) with those that run, whenever the database
//! changed. Each drain has a queue and a task of its own, so that one that is down delays no other.
//! The message at the head of a queue is tried until it is delivered; only a full queue loses some,
//! and the app's own log says so.
//!
//! Messages over TCP are handed to the kernel: what the receiver had not read when the connection
//! broke is lost, as it is with every sender of this protocol.

mod format;
mod https;
mod mark;
mod options;
mod resolve;
mod target;
mod task;
mod tcp;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use format::hostname;
pub use target::showable;

use super::Line;
use super::Logs;
use super::envelope::LogStream;
use crate::base::{Secret, Supervisor};

/// The maximum number of drains of an app; the first by URL count.
const MAX_PER_APP: usize = 5;
/// Changes of the database come in groups.
const SETTLE: Duration = Duration::from_millis(50);
/// The wanted drains are read again at least this often.
const CHECK_EVERY: Duration = Duration::from_secs(60);

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
    pub blocked: Vec<IpAddr>,
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
        let mut running: BTreeMap<Key, AbortHandle> = BTreeMap::new();
        // Dropping it ends all tasks.
        let mut tasks = JoinSet::new();
        loop {
            changes.mark_unchanged();
            match self.0.source.wanted().await {
                Ok(wanted) => self.adjust(&mut running, &mut tasks, wanted),
                // What runs goes on meanwhile.
                Err(error) => tracing::error!(%error, "cannot read the log drains"),
            }
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(CHECK_EVERY) => {}
                Some(ended) = tasks.join_next() => {
                    // A drain ends only by a panic or because it is not wanted any more.
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "log drain failed");
                    }
                    running.retain(|_, task| !task.is_finished());
                }
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Ends what is not wanted, and starts what does not run.
    fn adjust(
        &self,
        running: &mut BTreeMap<Key, AbortHandle>,
        tasks: &mut JoinSet<()>,
        wanted: Vec<Drain>,
    ) {
        let wanted = first_of_each_app(wanted).into_iter();
        let wanted: BTreeMap<Key, Drain> = wanted.map(|drain| (drain.key(), drain)).collect();
        running.retain(|key, task| {
            let stays = wanted.contains_key(key);
            if !stays {
                task.abort();
            }
            stays
        });
        for (key, drain) in wanted {
            running.entry(key).or_insert_with(|| {
                let (logs, settings) = (self.0.logs.clone(), self.0.settings.clone());
                tasks.spawn(task::run(logs, drain, settings))
            });
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
