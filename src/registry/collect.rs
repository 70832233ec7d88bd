//! Garbage collection while in use: evicts copies of other registries' images when they take up too
//! much space, and removes what nothing needs.
//!
//! What a droplet, a stack or a pushed image needs is in a repository of its own, so it stays when
//! the copy it came from is evicted.

use std::collections::{HashMap, HashSet};

use crate::base::Timestamp;
use crate::blobs::{self, Digest};
use crate::db::{DbError, WriteTx};

use super::store::{self, HeldCopy};
use super::{Registry, RegistryError, UNTAGGED_GRACE};

/// Images that a list shows at most.
const MAX_LISTED: u32 = 10_000;

/// What a collection removed.
pub type Collected = blobs::Collected<Evicted>;

/// An evicted copy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evicted {
    /// Its repository, `cache/docker.io/library/nginx`.
    pub repository: String,
    /// Its manifest.
    pub digest: Digest,
}

/// What the registry holds.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Holdings {
    pub(super) images: Vec<store::ListedImage>,
    /// Bytes that only copies of other registries' images need.
    pub(super) cache_bytes: u64,
    /// The most of these that are kept.
    pub(super) cache_limit: u64,
}

impl Registry {
    /// Evicts copies, and removes manifests without a tag that nothing needs, links to blobs whose
    /// manifest never came, and uploads whose end never came. Run it before [`blobs::Blobs::sweep`],
    /// which then removes their blobs.
    pub async fn sweep(&self) -> Result<Vec<Evicted>, RegistryError> {
        let (limit, now) = (self.cache_limit(), self.now());
        let evicted = self
            .db()
            .write_without_wake(move |tx| sweep(tx, limit, now))
            .await?;
        for Evicted { repository, digest } in &evicted {
            tracing::info!(%repository, %digest, "evicted the copy of an image: the cache is full");
        }
        self.sweep_uploads().await?;
        Ok(evicted)
    }

    /// Removes what nothing needs.
    pub(super) async fn collect(&self) -> Result<Collected, RegistryError> {
        let evicted = self.sweep().await?;
        Ok(self.blobs().collect(evicted).await?)
    }

    /// What [`Registry::collect`] would remove now.
    pub(super) async fn preview(&self) -> Result<Collected, RegistryError> {
        let (limit, now) = (self.cache_limit(), self.now());
        let preview = self.blobs().preview(move |tx| sweep(tx, limit, now));
        Ok(preview.await?)
    }

    /// What is here.
    pub(super) async fn holdings(&self) -> Result<Holdings, RegistryError> {
        let cache_limit = self.cache_limit();
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let needed = store::needed_elsewhere(tx)?;
            Ok::<_, DbError>(Holdings {
                images: store::images(tx, MAX_LISTED)?,
                cache_bytes: Space::of(&store::copies(tx)?, &needed).bytes,
                cache_limit,
            })
        };
        Ok(self.db().read(read).await?)
    }
}

fn sweep(tx: &WriteTx<'_>, limit: u64, now: Timestamp) -> Result<Vec<Evicted>, DbError> {
    let needed = store::needed_elsewhere(tx)?;
    let mut evicted = Vec::new();
    for copy in to_evict(store::copies(tx)?, &needed, limit) {
        store::remove_copy(tx, &copy)?;
        evicted.push(Evicted {
            repository: copy.repository,
            digest: copy.digest,
        });
    }
    store::sweep(tx, now.minus(UNTAGGED_GRACE))?;
    Ok(evicted)
}

/// The space that only copies take up.
struct Space<'a> {
    /// Size, and how many copies need it.
    blobs: HashMap<Digest, (u64, u32)>,
    needed: &'a HashSet<Digest>,
    bytes: u64,
}

impl<'a> Space<'a> {
    fn of(copies: &[HeldCopy], needed: &'a HashSet<Digest>) -> Self {
        let mut space = Self {
            blobs: HashMap::new(),
            needed,
            bytes: 0,
        };
        for blob in copies.iter().flat_map(|copy| &copy.blobs) {
            if needed.contains(&blob.digest) {
                continue;
            }
            let known = space.blobs.entry(blob.digest.clone());
            let (_, copies) = known.or_insert_with(|| {
                space.bytes += blob.size;
                (blob.size, 0)
            });
            *copies += 1;
        }
        space
    }

    /// Whether removing a copy frees space, now or together with others.
    fn counts(&self, copy: &HeldCopy) -> bool {
        let own = |blob: &blobs::Blob| !self.needed.contains(&blob.digest);
        copy.blobs.iter().any(own)
    }

    fn remove(&mut self, copy: &HeldCopy) {
        for blob in &copy.blobs {
            if let Some((size, copies)) = self.blobs.get_mut(&blob.digest) {
                *copies -= 1;
                if *copies == 0 {
                    self.bytes -= *size;
                    self.blobs.remove(&blob.digest);
                }
            }
        }
    }
}

/// The copies to remove, so that the others take up at most `limit` bytes: those that nobody needed
/// for the longest time, which come first in `copies`. An index is kept as long as one of its images
/// is: it is small, and its tag is the name of that image.
fn to_evict(copies: Vec<HeldCopy>, needed: &HashSet<Digest>, limit: u64) -> Vec<HeldCopy> {
    let mut space = Space::of(&copies, needed);
    let mut evicted: Vec<HeldCopy> = Vec::new();
    for copy in copies {
        if space.bytes <= limit {
            break;
        }
        let gone = |child: &Digest| {
            let mut same = evicted.iter();
            same.any(|one| one.repository == copy.repository && one.digest == *child)
        };
        if space.counts(&copy) && copy.children.iter().all(gone) {
            space.remove(&copy);
            evicted.push(copy);
        }
    }
    evicted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Blob;

    fn blob(name: &str, size: u64) -> Blob {
        Blob {
            digest: Digest::of(name.as_bytes()),
            size,
        }
    }

    fn copy(name: &str, blobs: &[(&str, u64)]) -> HeldCopy {
        HeldCopy {
            repository: name.to_owned(),
            digest: Digest::of(name.as_bytes()),
            blobs: blobs.iter().map(|(name, size)| blob(name, *size)).collect(),
            children: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_copies_go_until_the_rest_fits() {
        let copies = || {
            vec![
                copy("old", &[("base", 50), ("old", 10)]),
                copy("pinned", &[("droplet", 500)]),
                copy("middle", &[("base", 50), ("middle", 20)]),
                copy("new", &[("new", 30)]),
            ]
        };
        let needed = HashSet::from([Digest::of(b"droplet")]);
        for (limit, expected) in [
            (110, &[][..]),
            (109, &["old"]),
            (100, &["old"]),
            (99, &["old", "middle"]),
            (30, &["old", "middle"]),
            (0, &["old", "middle", "new"]),
        ] {
            let evicted = to_evict(copies(), &needed, limit);
            let names: Vec<&str> = evicted.iter().map(|copy| &*copy.repository).collect();
            assert_eq!(names, expected, "{limit}");
        }
    }

    #[test]
    fn an_index_goes_after_its_last_image() {
        let mut index = copy("index", &[("index", 1)]);
        index.children = vec![Digest::of(b"amd"), Digest::of(b"arm")];
        let copies = || {
            let mut all = vec![copy("amd", &[("amd", 50)]), copy("arm", &[("arm", 50)])];
            for copy in &mut all {
                copy.repository = "index".to_owned();
            }
            all.push(index.clone());
            all
        };
        let count = |needed: &[&[u8]], limit| {
            let needed = needed.iter().map(|name| Digest::of(name)).collect();
            to_evict(copies(), &needed, limit).len()
        };
        assert_eq!(count(&[], 51), 1, "one image is enough");
        assert_eq!(count(&[], 0), 3);
        assert_eq!(count(&[b"amd"], 0), 1, "a droplet needs the other image");
    }
}
