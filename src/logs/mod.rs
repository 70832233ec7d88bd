//! Logs and metrics of apps: ingested from Docker and from the platform's components, stored with
//! limits, and read through the Log Cache API.
//!
//! ```text
//! containers -> Docker -> Ingest --\                /-> memory (newest) --\
//!                                   Inbox -> writer                        read -> /api/v1/read
//! CELL API STG RTR lines -> emit --/                \-> SQLite (older) ---/
//! ```
//!
//! Invariants:
//! - Timestamps are unique and strictly increasing within a source, also across restarts.
//! - A container's lines are stored exactly once: lines and their cursor are committed together.
//! - [`Emitter`] never blocks; dropped lines are counted and reported in the source's own log.
//! - Readers never block the writer: they take snapshots.
//! - Lines of a source without an owner ([`SourceOwners`]) are not stored, and its old lines are
//!   swept.
//! - Memory and disk are bounded per source and in total ([`Limits`]).
//!
//! Decisions: blocks of envelopes, not rows, because a row per line costs ten times the writer
//! time; no reads from Docker on demand, because Docker deletes the logs with the container.

mod access;
mod api;
mod cursor;
mod doppler;
mod drains;
mod emit;
mod envelope;
mod follow;
mod followers;
mod gateway;
mod grant;
mod inbox;
mod ingest;
mod ingest_worker;
mod live;
mod marks;
mod promql;
mod promql_api;
mod query;
mod rate_limit;
mod read;
mod search;
mod segment;
mod sources;
mod speakers;
mod split;
mod store;
mod streams;
mod warning;
mod writer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

pub use access::{LogAccess, Readable};
pub use drains::{
    Drain, DrainSource, Drains, MARK as DRAIN_MARK, Settings as DrainSettings, Tls as DrainTls,
    hostname as drain_hostname, showable as showable_drain,
};
pub use emit::Emitter;
pub use envelope::{Envelope, GaugeValue, Kinds, LogStream, Message, Tags};
pub use ingest::Ingest;
pub use live::{Item, Loss, Selection, Shard, Subscription, TooManyStreams, Want, Wanted};
pub use query::{DEFAULT_LIMIT, Query};
pub(crate) use rate_limit::{RateLimit, Verdict};
pub use search::{
    Bounds, Filter, Level, LogSources, NamedSource, OWN, Results, Search, Stop, StopBy,
};
pub use split::LONGEST_LINE;

pub use crate::docker::{
    LABEL_INSTANCE_ID, LABEL_RATE_LIMIT, LABEL_SIDECARS, LABEL_SOURCE_ID, LABEL_SOURCE_TYPE,
    LABEL_TAG_PREFIX,
};

use crate::base::blocking::WorkQueue;
use crate::base::{Clock, Timestamp};
use crate::db::{Db, DbError, ReadTx};
use followers::Followers;
use inbox::Inbox;
use live::Hub;
use sources::{MemoryLimits, Sources};
use store::DiskLimits;

/// Storage limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Envelopes of one source in memory.
    pub memory_count: usize,
    /// Bytes of one source in memory.
    pub memory_bytes: usize,
    /// Bytes of all sources in memory.
    pub memory_total: usize,
    /// Envelopes of one source on disk.
    pub disk_count: i64,
    /// Bytes of one source on disk.
    pub disk_bytes: i64,
    /// Bytes of all sources on disk.
    pub disk_total: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_count: 10_000,
            memory_bytes: 2 << 20,
            memory_total: 12 << 20,
            disk_count: 100_000,
            disk_bytes: 32 << 20,
            disk_total: 512 << 20,
        }
    }
}

impl Limits {
    fn memory(&self) -> MemoryLimits {
        MemoryLimits {
            source_count: self.memory_count,
            source_bytes: self.memory_bytes,
            total_bytes: self.memory_total,
        }
    }

    fn disk(&self) -> DiskLimits {
        DiskLimits {
            source_count: self.disk_count,
            source_bytes: self.disk_bytes,
            total_bytes: self.disk_total,
        }
    }
}

/// Names that may change while containers run (of app, space and organization), looked up when
/// envelopes are stored. Called once per source and batch; must answer from memory.
pub trait TagSource: Send + Sync + 'static {
    /// Tags of a source; they replace those of the container's labels.
    fn tags(&self, source_id: &str) -> BTreeMap<String, String>;
}

/// Decides which sources are kept. Called inside the transaction that stores lines, so that nothing
/// is stored for a source whose owner is gone.
pub trait SourceOwners: Send + Sync + 'static {
    /// Whether the source has an owner.
    fn keep(&self, tx: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError>;
}

/// One of the platform's own lines about a source.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The app's guid.
    pub source_id: &'a str,
    /// `API`, `STG`, `CELL`, `RTR`, …
    pub source_type: &'a str,
    /// Index of the instance, or the number of the component.
    pub instance_id: &'a str,
    /// stdout or stderr.
    pub stream: LogStream,
    /// The line; several lines become several envelopes.
    pub text: &'a str,
}

/// The totals of a source, for `/api/v1/meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMeta {
    /// Envelopes that can be read.
    pub count: i64,
    /// Envelopes that were trimmed.
    pub expired: i64,
    /// Nanoseconds since 1970.
    pub oldest: i64,
    /// Nanoseconds since 1970.
    pub newest: i64,
}

/// The log store of one platform; cheap to clone.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    limits: Limits,
    inbox: Inbox,
    sources: Mutex<Sources>,
    lost: Mutex<HashMap<Arc<str>, u64>>,
    /// Lost lines of all sources.
    all_lost: AtomicU64,
    /// Sequence of the inbox up to which everything is stored.
    written: watch::Sender<u64>,
    names: OnceLock<Arc<dyn TagSource>>,
    place: OnceLock<Tags>,
    followers: Followers,
    hub: Hub,
    owners: OnceLock<Arc<dyn SourceOwners>>,
    opened_at: Timestamp,
    /// Evaluates PromQL.
    queries: WorkQueue,
}

impl Logs {
    /// Opens the store of an earlier run. Call [`Logs::start`], too; otherwise nothing is written.
    pub async fn open(db: Db, clock: Arc<dyn Clock>) -> Result<Self, DbError> {
        Self::open_with(db, clock, Limits::default()).await
    }

    /// Like [`Logs::open`], with other limits.
    pub async fn open_with(db: Db, clock: Arc<dyn Clock>, limits: Limits) -> Result<Self, DbError> {
        let known = db.read(store::sources).await?;
        Ok(Self(Arc::new(Inner {
            db,
            opened_at: clock.now(),
            clock,
            limits,
            inbox: Inbox::default(),
            sources: Mutex::new(Sources::new(known)),
            lost: Mutex::default(),
            all_lost: AtomicU64::new(0),
            written: watch::Sender::new(0),
            names: OnceLock::new(),
            place: OnceLock::new(),
            followers: Followers::default(),
            hub: Hub::default(),
            owners: OnceLock::new(),
            queries: promql_api::work_queue(),
        })))
    }

    /// Sets the source of current names; only the first call has an effect.
    pub fn set_tag_source(&self, names: Arc<dyn TagSource>) {
        self.0.names.get_or_init(|| names);
    }

    /// Sets the tags that say where this platform is (`deployment`, `index`, `ip`); every envelope
    /// has them. Only the first call has an effect.
    pub fn set_place(&self, tags: Tags) {
        self.0.place.get_or_init(|| tags);
    }

    /// Sets which sources are kept; by default all are. Only the first call has an effect.
    pub fn set_source_owners(&self, owners: Arc<dyn SourceOwners>) {
        self.0.owners.get_or_init(|| owners);
    }

    /// Every source with its totals.
    pub fn meta(&self) -> BTreeMap<String, SourceMeta> {
        let totals = self.sources().totals();
        let meta = totals.into_iter().map(|(source_id, totals)| {
            let meta = SourceMeta {
                count: totals.count,
                expired: totals.expired,
                oldest: totals.oldest,
                newest: totals.newest,
            };
            (source_id.as_ref().to_owned(), meta)
        });
        meta.collect()
    }

    /// Lines that were dropped since the start because too many were waiting.
    pub fn lost(&self) -> u64 {
        self.0.all_lost.load(Ordering::Relaxed)
    }

    /// Removes all envelopes of a source asynchronously. Later lines are kept while the source has
    /// an owner.
    pub fn forget(&self, source_id: &str) {
        let mut lost = self.0.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.remove(source_id);
        drop(lost);
        self.0.inbox.forget_source(source_id);
    }

    /// Removes the envelopes of sources without an owner; returns the number of sources.
    pub async fn sweep(&self) -> Result<usize, DbError> {
        let Some(owners) = self.0.owners.get().cloned() else {
            return Ok(0);
        };
        let totals = self.sources().totals().into_iter();
        let mut known: BTreeSet<Arc<str>> = totals.map(|(source_id, _)| source_id).collect();
        let gone = self.0.db.read(move |tx| {
            // Recently stored sources may not be in memory yet.
            known.extend(store::sources(tx)?.into_iter().map(|(id, _)| id));
            let mut gone = Vec::new();
            for source_id in known {
                if !owners.keep(tx, &source_id)? {
                    gone.push(source_id);
                }
            }
            Ok::<_, DbError>(gone)
        });
        let gone = gone.await?;
        for source_id in &gone {
            self.forget(source_id);
        }
        Ok(gone.len())
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    fn queries(&self) -> &WorkQueue {
        &self.0.queries
    }

    fn followers(&self) -> &Followers {
        &self.0.followers
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn written(&self) -> &watch::Sender<u64> {
        &self.0.written
    }

    fn tag_source(&self) -> Option<&Arc<dyn TagSource>> {
        self.0.names.get()
    }

    fn place(&self) -> Option<&Tags> {
        self.0.place.get()
    }

    fn source_owners(&self) -> Option<&Arc<dyn SourceOwners>> {
        self.0.owners.get()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn now_nanos(&self) -> i64 {
        self.now().as_nanos()
    }

    fn opened_at(&self) -> Timestamp {
        self.0.opened_at
    }

    /// Adds to the lost lines of a source since the start and returns the sum.
    fn count_lost(&self, source_id: &Arc<str>, count: u64) -> u64 {
        let mut lost = self.0.lost.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.all_lost.fetch_add(count, Ordering::Relaxed);
        let total = lost.entry(source_id.clone()).or_default();
        *total += count;
        *total
    }
}

#[cfg(test)]
mod tests;
