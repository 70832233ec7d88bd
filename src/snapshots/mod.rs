//! Snapshots: the whole state of a platform as a folder, made while it works, and put back.
//!
//! A snapshot is a folder in the data dir: a copy of the database, hard links to the blobs that it
//! references, a tar of every volume of a data service, and `snapshot.json`, which lists all of them with
//! sizes and digests and is written last. A folder without it is no snapshot and is removed with the next
//! one that is made.
//!
//! Invariants:
//! - The database is copied in one read transaction. Blobs are immutable; those that a collection removed
//!   in between are found missing, and both are copied again.
//! - Nobody changes data services meanwhile ([`Holder`]). The processes of a service are frozen while its
//!   volume is read, so the copy is what a power cut would leave, which every engine recovers from. Frozen
//!   services go on at the latest when the supervisor looks at them.
//! - A platform is put back while nothing runs on its data dir. A marker file says so from before the first
//!   change until after the last one; all steps can be repeated, and a start that finds the marker repeats
//!   them ([`Snapshots::finish`]). The database is replaced last.
//! - Containers of apps are not touched: the scheduler compares them with the rows, as after any start.

pub mod archive;
mod create;
mod error;
mod manifest;
mod name;
mod operator;
mod places;
mod put_back;
mod restore;
mod volumes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::{Bounds, Clock, WorkQueue};
use crate::data_services::DataServices;
use crate::docker::Engine;

pub use create::Listed;
pub use error::Error;
pub use manifest::{Manifest, VolumeCopy};
pub use name::Name;
pub use places::Places;
pub use put_back::Pending;

/// How long operations on data services may take that are carried out when a snapshot begins.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Keeps everybody from changing data services while what it returns lives.
#[async_trait]
pub trait Holder: Send + Sync + 'static {
    /// Waits for what is carried out now; an error says why that does not end.
    async fn hold(&self) -> Result<Box<dyn Send>, String>;
}

/// For a platform that does not run: nobody changes anything.
pub struct Nobody;

#[async_trait]
impl Holder for Nobody {
    async fn hold(&self) -> Result<Box<dyn Send>, String> {
        Ok(Box::new(()))
    }
}

#[async_trait]
impl Holder for DataServices {
    async fn hold(&self) -> Result<Box<dyn Send>, String> {
        let held = DataServices::hold(self, PATIENCE).await;
        let held = held.map_err(|failure| failure.to_string())?;
        Ok(Box::new(held))
    }
}

/// What snapshots are made of.
pub struct Parts {
    /// Where the platform keeps its state.
    pub places: Places,
    /// Docker.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The platform.
    pub platform_id: String,
    /// Its system domain.
    pub domain: String,
    /// Keeps data services as they are.
    pub holder: Arc<dyn Holder>,
}

/// The snapshots of one platform; cheap to clone.
#[derive(Clone)]
pub struct Snapshots(Arc<Inner>);

struct Inner {
    parts: Parts,
    work: WorkQueue,
    /// One is made at a time.
    making: tokio::sync::Mutex<()>,
}

impl Snapshots {
    /// The snapshots of a platform; nothing is read or made yet.
    pub fn new(parts: Parts) -> Self {
        let bounds = Bounds {
            at_once: 1,
            waiting: 16,
            timeout: PATIENCE,
        };
        Self(Arc::new(Inner {
            parts,
            work: WorkQueue::new("snapshots", bounds),
            making: tokio::sync::Mutex::default(),
        }))
    }

    fn places(&self) -> &Places {
        &self.0.parts.places
    }

    /// Runs work with files on a blocking thread.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Places) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let places = self.places().clone();
        self.0.work.run(move || work(&places)).await?
    }
}
