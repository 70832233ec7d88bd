//! The package cache: the public registries of Python, JavaScript, Go, Maven, Ruby, PHP and Debian,
//! read through this machine. What was staged once stages again without a network.
//!
//! Staging containers reach it at an address of their own network ([`Reach`]); below it each registry
//! has a folder, and nothing else can be asked for ([`source`]). A file whose name has a version never
//! changes and is served from its copy for ever; an index is right for a minute, then its registry
//! says whether it changed, and when the registry cannot be asked the copy is served with a warning.
//! Links in indexes lead back to the cache ([`rewrite`]).
//!
//! Invariants:
//! - A copy is a row and a blob: the row is written after the whole blob is on disk, so that a process
//!   that dies leaves a blob without a row, which the sweep of [`crate::blobs`] removes.
//! - Nothing that ended early is kept, nor what differs from the digest in the registry's index
//!   ([`digests`]).
//! - One download serves all who ask for the same, and goes on without them ([`flights`]).
//! - Only GET and HEAD; servers and paths are those of a fixed table, redirects stay on public
//!   addresses.
//!
//! Omitted on purpose: credentials (all of this is public), and Range requests for what is still on
//! its way.

mod accept;
mod api;
mod collect;
mod digests;
mod failure;
mod flights;
mod listener;
mod names;
mod prefetch;
mod respond;
mod rewrite;
mod source;
mod store;
mod target;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::fs::File;
use url::Url;

use crate::base::{Clock, Live, Timestamp};
use crate::blobs::{Blobs, Growing};
use crate::db::{Db, DbError, ReadTx, WriteTx};
use crate::net::outside::Patience;

pub use collect::{Collected, Evicted};
pub use failure::Failure;
pub use listener::Reach;
pub use source::Source;

use flights::{Flights, Said};
use listener::Listening;
use store::{Head, Held, Key};
use target::{Kind, Target};
use upstream::Upstreams;

/// How long an index is right, and how long a missing file is missing.
const FRESH: Duration = Duration::from_secs(60);
/// How often it is noted that a copy is used.
const NOTED: Duration = Duration::from_secs(60);
/// The most missing files that are remembered.
const REMEMBERED: usize = 4096;

/// Settings of the package cache.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most bytes of copies; 0 = there is no package cache.
    pub limit: Live<u64>,
    /// No registry is asked.
    pub offline: bool,
    /// Servers to ask instead of the public ones.
    pub upstreams: BTreeMap<Source, Url>,
    /// How long registries are waited for.
    pub patience: Patience,
}

impl Settings {
    /// The public registries, with a limit.
    pub fn new(limit: u64) -> Self {
        Self {
            limit: Live::new(limit),
            offline: false,
            upstreams: BTreeMap::new(),
            patience: Patience::default(),
        }
    }
}

/// The package cache; cheap to clone.
#[derive(Clone)]
pub struct Packages(Arc<Inner>);

struct Inner {
    blobs: Blobs,
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Settings,
    upstreams: Upstreams,
    flights: Flights,
    missing: Mutex<HashMap<Key, (Timestamp, Failure)>>,
    listening: Listening,
}

/// A copy of something, or what becomes one.
enum Copied {
    Stored {
        held: Held,
        file: File,
        /// Why it may be an old one.
        stale: Option<Failure>,
    },
    Growing {
        head: Head,
        length: Option<u64>,
        growing: Growing<Failure>,
    },
}

impl Packages {
    /// A package cache on top of a blob store.
    pub fn new(blobs: Blobs, db: Db, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            upstreams: Upstreams::new(&settings.upstreams, settings.patience),
            flights: Flights::default(),
            missing: Mutex::default(),
            listening: Listening::default(),
            blobs,
            db,
            clock,
            settings,
        }))
    }

    /// Whether there is a package cache.
    pub fn is_on(&self) -> bool {
        self.limit() > 0
    }

    fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    /// Changes the most bytes of copies; what is beyond is evicted by the next sweep. Only from
    /// the start on there is a cache or none.
    pub fn set_limit(&self, limit: u64) {
        self.0.settings.limit.set(limit);
    }

    fn limit(&self) -> u64 {
        *self.0.settings.limit.get()
    }

    fn check_size(&self, target: &Target, size: u64) -> Result<(), Failure> {
        if size <= self.limit() {
            return Ok(());
        }
        Err(Failure::TooLarge {
            package: target.package.clone(),
            limit: self.limit(),
        })
    }

    /// A copy with its open file. One whose file is gone or damaged is none.
    async fn open(&self, key: &Key) -> Result<Option<(Held, File)>, Failure> {
        let name = key.clone();
        let read = move |tx: &ReadTx<'_>| store::find(tx, &name);
        let Some(held) = self.db().read(read).await? else {
            return Ok(None);
        };
        if let Some(file) = self.blobs().read(&held.blob.digest).await? {
            let length = file.metadata().await.map(|metadata| metadata.len());
            if length.is_ok_and(|length| length == held.blob.size) {
                return Ok(Some((held, file)));
            }
        }
        tracing::warn!(
            path = key.path,
            "the file of a package is damaged; it is fetched again"
        );
        self.forget(key).await?;
        Ok(None)
    }

    async fn forget(&self, key: &Key) -> Result<(), DbError> {
        let key = key.clone();
        let remove = move |tx: &WriteTx<'_>| store::remove(tx, &key);
        self.db().write_without_wake(remove).await
    }

    /// A registry says that it does not have this, any more or yet.
    async fn note_missing(&self, key: &Key, failure: &Failure) -> Result<(), DbError> {
        let now = self.now();
        {
            let mut missing = self.missing();
            if missing.len() >= REMEMBERED {
                missing.retain(|_, (since, _)| *since > now.minus(FRESH));
            }
            if missing.len() < REMEMBERED {
                missing.insert(key.clone(), (now, failure.clone()));
            }
        }
        self.forget(key).await
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, HashMap<Key, (Timestamp, Failure)>> {
        self.0
            .missing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy, fetched or confirmed by its registry where that is needed.
    async fn get(&self, target: &Target) -> Result<Copied, Failure> {
        let key = target.key();
        let now = self.now();
        let found = self.open(&key).await?;
        let (held, file) = found.map_or((None, None), |(held, file)| (Some(held), Some(file)));
        let is_right = |held: &Held| target.kind == Kind::File || held.fetched_at.plus(FRESH) > now;
        if let (Some(held), Some(file)) = (&held, file)
            && is_right(held)
        {
            self.note_use(&key, held, now).await?;
            let (held, stale) = (held.clone(), None);
            return Ok(Copied::Stored { held, file, stale });
        }
        if self.0.settings.offline {
            let package = target.package.clone();
            return self.stale(target, Failure::Offline { package }).await;
        }
        if let Some((since, failure)) = self.missing().get(&key)
            && since.plus(FRESH) > now
        {
            return Err(failure.clone());
        }
        match self.0.flights.answer(self, target, held).await {
            Ok(Said::New {
                head,
                length,
                growing,
            }) if target.kind == Kind::File => Ok(Copied::Growing {
                head,
                length,
                growing,
            }),
            Ok(Said::New { growing, .. }) => match growing.ended().await {
                Ok(_) => self.stored(&key).await,
                Err(failure) => self.stale(target, failure).await,
            },
            Ok(Said::Same) => self.stored(&key).await,
            Err(failure) => self.stale(target, failure).await,
        }
    }

    async fn stored(&self, key: &Key) -> Result<Copied, Failure> {
        let found = self.open(key).await?;
        let gone = || Failure::Storage(format!("{} was removed meanwhile", key.path));
        let (held, file) = found.ok_or_else(gone)?;
        let stale = None;
        Ok(Copied::Stored { held, file, stale })
    }

    /// The copy from before, also one of the other form, if this failure allows it.
    async fn stale(&self, target: &Target, failure: Failure) -> Result<Copied, Failure> {
        if !failure.allows_stale() {
            return Err(failure);
        }
        for target in [Some(target.clone()), target.other_form()]
            .into_iter()
            .flatten()
        {
            let key = target.key();
            if let Some((held, file)) = self.open(&key).await? {
                self.note_use(&key, &held, self.now()).await?;
                let stale = Some(failure);
                return Ok(Copied::Stored { held, file, stale });
            }
        }
        Err(failure)
    }

    /// Notes that a copy is used, now and then.
    async fn note_use(&self, key: &Key, held: &Held, now: Timestamp) -> Result<(), DbError> {
        if held.used_at > now.minus(NOTED) {
            return Ok(());
        }
        let key = key.clone();
        let note = move |tx: &WriteTx<'_>| store::note_use(tx, &key, now);
        self.db().write_without_wake(note).await
    }
}

#[cfg(test)]
mod tests;
