//! What the cache holds, and evicting what nobody used for the longest time.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::store::{self, Listed};
use super::{Failure, Packages};
use crate::base::Timestamp;
use crate::blobs::{self, Digest};
use crate::db::{DbError, ReadTx, WriteTx};

/// What a collection removed.
pub type Collected = blobs::Collected<Evicted>;

/// An evicted copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// Its registry.
    pub registry: String,
    /// Its path below the registry's folder.
    pub path: String,
    /// Its bytes.
    pub size: u64,
}

/// A copy, as lists show it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    registry: String,
    /// `flask==3.1.0`, as `cflite packages prefetch` takes it behind the registry.
    name: String,
    path: String,
    /// Of an index, the form that is here.
    variant: String,
    size: u64,
    used_at: Timestamp,
}

/// What the cache holds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Holdings {
    packages: Vec<Entry>,
    cache_bytes: u64,
    cache_limit: u64,
}

impl Packages {
    /// Evicts copies beyond the limit. Run it before [`blobs::Blobs::sweep`], which then removes
    /// their bytes.
    pub async fn sweep(&self) -> Result<Vec<Evicted>, DbError> {
        let limit = self.limit();
        let evict = move |tx: &WriteTx<'_>| evict(tx, limit);
        let evicted = self.db().write_without_wake(evict).await?;
        if !evicted.is_empty() {
            tracing::info!(
                copies = evicted.len(),
                "removed packages that nobody used for the longest time: the package cache is full"
            );
        }
        Ok(evicted)
    }

    /// Removes what nothing needs.
    pub(super) async fn collect(&self) -> Result<Collected, Failure> {
        let evicted = self.sweep().await?;
        Ok(self.blobs().collect(evicted).await?)
    }

    /// What [`Packages::collect`] would remove now.
    pub(super) async fn preview(&self) -> Result<Collected, Failure> {
        let limit = self.limit();
        let preview = self.blobs().preview(move |tx| evict(tx, limit));
        Ok(preview.await?)
    }

    /// What is here.
    pub(super) async fn holdings(&self) -> Result<Holdings, Failure> {
        let read = |tx: &ReadTx<'_>| store::all(tx);
        let copies = self.db().read(read).await?;
        let cache_bytes = Space::of(&copies).bytes;
        let mut packages: Vec<Entry> = copies.into_iter().map(|copy| self.entry(copy)).collect();
        packages
            .sort_by(|a, b| (&a.registry, &a.name, &a.path).cmp(&(&b.registry, &b.name, &b.path)));
        Ok(Holdings {
            packages,
            cache_bytes,
            cache_limit: self.limit(),
        })
    }

    fn entry(&self, copy: Listed) -> Entry {
        let other = |source| self.upstreams().other(source).is_some();
        let path = format!("/{}/{}", copy.registry, copy.path);
        let target = super::Target::parse(&path, None, other);
        let name = target.ok().and_then(|target| {
            let (_, name) = target.package.split_once(':')?;
            Some(name.to_owned())
        });
        Entry {
            name: name.unwrap_or_else(|| copy.path.clone()),
            registry: copy.registry,
            path: copy.path,
            variant: copy.variant,
            size: copy.blob.size,
            used_at: copy.used_at,
        }
    }
}

fn evict(tx: &WriteTx<'_>, limit: u64) -> Result<Vec<Evicted>, DbError> {
    let copies = store::all(tx)?;
    let mut space = Space::of(&copies);
    let mut evicted = Vec::new();
    for copy in copies {
        if space.bytes <= limit {
            break;
        }
        store::evict(tx, &copy)?;
        space.remove(&copy);
        evicted.push(Evicted {
            registry: copy.registry,
            path: copy.path,
            size: copy.blob.size,
        });
    }
    Ok(evicted)
}

/// The space that copies take up; equal ones are one blob.
struct Space {
    copies: HashMap<Digest, u32>,
    bytes: u64,
}

impl Space {
    fn of(copies: &[Listed]) -> Self {
        let mut space = Self {
            copies: HashMap::new(),
            bytes: 0,
        };
        for copy in copies {
            let count = space.copies.entry(copy.blob.digest.clone()).or_default();
            if *count == 0 {
                space.bytes += copy.blob.size;
            }
            *count += 1;
        }
        space
    }

    fn remove(&mut self, copy: &Listed) {
        if let Some(count) = self.copies.get_mut(&copy.blob.digest) {
            *count -= 1;
            if *count == 0 {
                self.bytes -= copy.blob.size;
            }
        }
    }
}
