//! Removes unused blobs, images, passwords and jobs at the start and every ten minutes. A failure of one kind
//! does not affect the others.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Clock;
use crate::blobs::Blobs;
use crate::cloud_controller::{actions, engines};
use crate::db::Db;
use crate::packages::Packages;
use crate::registry::Registry;

const EVERY: Duration = Duration::from_secs(600);

/// What is swept.
#[derive(Clone)]
pub(super) struct Sweeper {
    pub(super) db: Db,
    pub(super) registry: Registry,
    pub(super) packages: Packages,
    pub(super) blobs: Blobs,
    pub(super) clock: Arc<dyn Clock>,
}

impl Sweeper {
    /// Runs until cancelled.
    pub(super) async fn run(self, token: CancellationToken) -> Result<(), Infallible> {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            report(
                "blobs without an owner",
                engines::leftovers::delete(&self.db).await,
            );
            report("images", self.registry.sweep().await);
            report("packages", self.packages.sweep().await);
            report("blobs", self.blobs.sweep().await);
            let now = self.clock.now();
            let passwords = self
                .db
                .write_without_wake(move |tx| actions::packages::forget_unused_passwords(tx, now));
            report("unused passwords of registries", passwords.await);
            let old_jobs = self
                .db
                .write_without_wake(move |tx| actions::jobs::remove_old(tx, now));
            report("old jobs", old_jobs.await);
        }
    }
}

fn report<T: fmt::Debug>(what: &str, done: Result<T, impl fmt::Display>) {
    match done {
        Ok(done) => tracing::debug!(what, ?done, "swept"),
        Err(error) => tracing::error!(what, %error, "sweep failed; retrying with the next tick"),
    }
}
