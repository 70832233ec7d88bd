//! The worker: processes pending builds with bounded concurrency and writes exactly one result for
//! each.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::failure::Reason;
use super::fault::Fault;
use super::output::BuildLog;
use super::parts::{Shared, StagingParts};
use super::run::Attempt;
use super::slots::{Bounds, Slots};
use super::{
    Builds, ImageStaging, OWNER_CACHE, OWNER_DROPLET, PackageStaging, PendingBuilds, Staged,
    StagingFailure, StagingRequest, container, image,
};
use crate::base::guid::BuildGuid;
use crate::base::{Backoff, Megabytes, Supervisor};
use crate::blobs;
use crate::db::DbError;
use crate::docker::DockerError;

/// The polling interval, in case a wake-up is lost.
const TICK: Duration = Duration::from_secs(30);
/// The maximum number of attempts for a build that gets interrupted.
const MAX_ATTEMPTS: u32 = 2;
/// How long the daemon may be unreachable before an interrupted build fails.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(300);
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The maximum number of attempts to write a result over unreadable rows.
const MAX_UNREADABLE: u32 = 10;
/// The time for running builds to remove their containers at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The staging worker; cheap to clone.
#[derive(Clone)]
pub struct Staging(Arc<Shared>);

/// The builds that run.
#[derive(Default)]
struct Underway {
    running: FuturesUnordered<BoxFuture<'static, BuildGuid>>,
    cancels: BTreeMap<BuildGuid, CancellationToken>,
    slots: Slots,
    /// Builds that were told that they wait.
    waiting: BTreeSet<BuildGuid>,
    /// The last attempt of each build by an earlier process.
    attempts: BTreeMap<String, u32>,
}

impl Staging {
    /// A worker that is not started yet.
    pub fn new(parts: StagingParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Starts it.
    pub fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("staging", move |token| {
            let this = this.clone();
            async move { this.run(token).await }
        });
    }

    async fn run(&self, token: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.0.db.changes();
        let attempts = tokio::select! {
            () = token.cancelled() => return Ok(()),
            attempts = self.remove_leftovers() => attempts,
        };
        let mut underway = Underway {
            attempts,
            ..Underway::default()
        };
        while !token.is_cancelled() {
            changes.mark_unchanged();
            let pause = match self.pending().await {
                Ok(pending) => {
                    self.take_up(&mut underway, pending, &token).await;
                    TICK
                }
                // Running builds continue.
                Err(error) => {
                    tracing::warn!(%error, "reading builds failed; retrying");
                    RETRY_DELAY
                }
            };
            tokio::select! {
                () = token.cancelled() => {}
                Some(done) = underway.running.next(), if !underway.running.is_empty() => {
                    underway.cancels.remove(&done);
                    underway.slots.leave(&done);
                }
                woken = changes.changed() => if woken.is_err() { break },
                () = tokio::time::sleep(pause) => {}
            }
        }
        // Child tokens are cancelled: the builds only clean up.
        let mut running = underway.running;
        let remaining = async { while running.next().await.is_some() {} };
        drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, remaining).await);
        Ok(())
    }

    /// Cancels builds that are not wanted any more, and starts those that there is a slot for.
    async fn take_up(
        &self,
        underway: &mut Underway,
        mut pending: PendingBuilds,
        token: &CancellationToken,
    ) {
        for (guid, cancel) in &underway.cancels {
            if !pending.has(guid) {
                cancel.cancel();
            }
        }
        underway.waiting.retain(|guid| pending.has(guid));
        // Running builds do not need their rows any more.
        let new = |(guid, _): &(BuildGuid, _)| !underway.cancels.contains_key(guid);
        pending.unreadable.retain(new);
        self.fail_unreadable(pending.unreadable).await;
        let bounds = self.bounds(pending.requests.len()).await;
        for request in pending.requests {
            let guid = request.build_guid().clone();
            if underway.slots.has(&guid) {
                continue;
            }
            if let Err(why) = underway.slots.take(&request, bounds) {
                if underway.waiting.insert(guid) {
                    BuildLog::new(&self.0.logs, request.app_guid())
                        .out(&format!("Waiting for other stagings to end: {why}"));
                }
                // Nobody overtakes the oldest one.
                return;
            }
            let cancel = token.child_token();
            let before = underway.attempts.get(guid.as_str()).copied().unwrap_or(0);
            let work = self.clone().process(request, before, cancel.clone());
            underway.running.push(work.boxed());
            underway.cancels.insert(guid, cancel);
        }
    }

    /// Half of the daemon's memory is for builds, the rest for apps.
    async fn bounds(&self, pending: usize) -> Bounds {
        let builds = self.0.settings.concurrency;
        let info = if pending > 1 {
            self.0.engine.info().await.ok()
        } else {
            None
        };
        let memory =
            info.map(|info| Megabytes(i64::try_from(info.memory >> 21).unwrap_or(i64::MAX)));
        Bounds { builds, memory }
    }

    async fn pending(&self) -> Result<PendingBuilds, DbError> {
        let builds = self.0.builds.clone();
        self.0.db.read(move |tx| builds.pending(tx)).await
    }

    /// Fails unreadable builds. Failed writes are retried in the next pass.
    async fn fail_unreadable(&self, unreadable: Vec<(BuildGuid, String)>) {
        for (build_guid, why) in unreadable {
            let why = format!("the build cannot be read from the database ({why}); push again");
            let (error_id, message) = Reason::Other(why).describe();
            let failure = StagingFailure {
                build_guid: build_guid.clone(),
                error_id,
                message,
            };
            let builds = self.0.builds.clone();
            let written = self.0.db.write(move |tx| builds.failed(tx, &failure));
            if let Err(error) = written.await {
                tracing::error!(build.guid = %build_guid, %error, "failing unreadable build failed; retrying");
            }
        }
    }

    /// Removes the containers of an earlier process; returns the last attempt of each build.
    /// Retries until it succeeds: nothing can be staged without Docker.
    async fn remove_leftovers(&self) -> BTreeMap<String, u32> {
        let mut attempts = BTreeMap::new();
        let backoff = Backoff {
            first: RETRY_DELAY,
            longest: TICK,
        };
        let mut pauses = backoff.pauses();
        while let Err(error) = self.try_remove_leftovers(&mut attempts).await {
            tracing::warn!(%error, "removing leftover staging containers failed; retrying");
            tokio::time::sleep(pauses.pause()).await;
        }
        attempts
    }

    /// Counts a container before removing it, so that the count survives a failed removal.
    async fn try_remove_leftovers(
        &self,
        attempts: &mut BTreeMap<String, u32>,
    ) -> Result<(), DockerError> {
        let labels = container::labels(&self.0.settings);
        for left in self.0.engine.list(&labels).await? {
            let (build, attempt) = container::identity(&left);
            if let Some(build) = build {
                let most: &mut u32 = attempts.entry(build).or_default();
                *most = attempt.max(*most);
            }
            self.0.engine.remove(&left.id).await?;
        }
        Ok(())
    }

    /// Processes one build to its end: a droplet, a failure or a cancellation.
    async fn process(
        self,
        request: StagingRequest,
        attempts_before: u32,
        cancel: CancellationToken,
    ) -> BuildGuid {
        let guid = request.build_guid().clone();
        let log = BuildLog::new(&self.0.logs, request.app_guid());
        let work = async {
            match &request {
                StagingRequest::Package(request) => {
                    self.attempts(request, attempts_before, &log, &cancel).await
                }
                StagingRequest::Image(request) => self.copy_image(request, &log, &cancel).await,
            }
        };
        let result = AssertUnwindSafe(work).catch_unwind().await;
        let reason = match result {
            Ok(Ok(()) | Err(Fault::Cancelled)) => return guid,
            Ok(Err(Fault::Failed(reason))) => reason,
            Ok(Err(Fault::Interrupted(why))) => Reason::Interrupted(why),
            Err(_) => {
                tracing::error!(build.guid = %guid, "staging panicked");
                Reason::Other("internal error; see the server log".to_owned())
            }
        };
        let (error_id, message) = reason.describe();
        log.error(&message);
        let failure = StagingFailure {
            build_guid: guid.clone(),
            error_id,
            message,
        };
        let failed = self.write_result(&cancel, move |tx, builds| builds.failed(tx, &failure));
        if let Err(error) = failed.await {
            tracing::error!(build.guid = %guid, %error, "recording build failure failed");
        }
        guid
    }

    /// Copies an image into the registry. There is nothing to clean up: an interrupted copy is
    /// started again by the next process, which finds the blobs that are complete.
    async fn copy_image(
        &self,
        request: &ImageStaging,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let copied = tokio::time::timeout(request.timeout, async {
            let mut last = String::new();
            for _ in 0..MAX_ATTEMPTS {
                match image::stage(&self.0, request, log).await {
                    Err(Fault::Interrupted(why)) => last = why,
                    done => return done,
                }
                self.wait_for_daemon(cancel).await?;
            }
            Err(Fault::Interrupted(last))
        });
        let staged = tokio::select! {
            () = cancel.cancelled() => return Err(Fault::Cancelled),
            copied = copied => match copied {
                Ok(staged) => staged?,
                Err(_) => return Err(Fault::Failed(Reason::Timeout(request.timeout))),
            },
        };
        self.store(staged, cancel).await
    }

    /// Records a success.
    async fn store(&self, staged: Staged, cancel: &CancellationToken) -> Result<(), Fault> {
        let write = move |tx: &crate::db::WriteTx<'_>, builds: &dyn Builds| {
            if builds.staged(tx, &staged)? {
                update_references(tx, &staged)?;
            }
            Ok(())
        };
        self.write_result(cancel, write).await.map_err(|error| {
            Fault::Failed(Reason::Other(format!(
                "storing the droplet failed: {error}"
            )))
        })
    }

    async fn attempts(
        &self,
        request: &PackageStaging,
        before: u32,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut last = "the platform was stopped during staging".to_owned();
        for number in before + 1..=MAX_ATTEMPTS {
            if number > 1 {
                log.error(&format!("Staging was interrupted ({last}); restarting"));
            }
            let attempt = Attempt {
                shared: self.0.clone(),
                request: request.clone(),
                number,
                log: log.clone(),
                cancelled: cancel.clone(),
            };
            match attempt.stage().await {
                Ok(staged) => {
                    let stored = self.store(staged, cancel).await;
                    attempt.clean_up().await;
                    return stored;
                }
                Err(Fault::Interrupted(why)) => {
                    last = why;
                    self.wait_for_daemon(cancel).await?;
                    attempt.clean_up().await;
                }
                Err(fault) => {
                    attempt.clean_up().await;
                    return Err(fault);
                }
            }
        }
        Err(Fault::Interrupted(last))
    }

    async fn wait_for_daemon(&self, cancel: &CancellationToken) -> Result<(), Fault> {
        let back = async {
            while self.0.engine.info().await.is_err() {
                tokio::time::sleep(RETRY_DELAY).await;
            }
        };
        tokio::select! {
            () = cancel.cancelled() => Err(Fault::Cancelled),
            answered = tokio::time::timeout(DAEMON_TIMEOUT, back) => answered.map_err(|_| {
                Fault::Failed(Reason::Other("Docker became unreachable and did not recover".to_owned()))
            }),
        }
    }

    /// Writes a result; retries until it succeeds, because staging again would not help. Gives up
    /// after some attempts if rows are unreadable, which would block other builds forever.
    async fn write_result<F>(&self, cancel: &CancellationToken, write: F) -> Result<(), DbError>
    where
        F: Fn(&crate::db::WriteTx<'_>, &dyn Builds) -> Result<(), DbError>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let mut failures = 0;
        loop {
            let (builds, write) = (self.0.builds.clone(), write.clone());
            let written = self.0.db.write(move |tx| write(tx, &*builds)).await;
            let Err(error) = written else { return Ok(()) };
            tracing::error!(%error, "recording build result failed; retrying");
            failures += u32::from(error.is_unreadable());
            if failures >= MAX_UNREADABLE {
                return Err(error);
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY_DELAY) => {}
            }
        }
    }
}

/// References the blobs of a success and releases the old cache.
fn update_references(tx: &crate::db::WriteTx<'_>, staged: &Staged) -> Result<(), DbError> {
    let droplet = staged.droplet_guid.as_str();
    if let Some(layer) = &staged.layer {
        blobs::reference(tx, &layer.digest, OWNER_DROPLET, droplet)?;
    }
    let app = staged.app_guid.as_str();
    blobs::release(tx, OWNER_CACHE, app)?;
    match &staged.cache {
        Some(cache) => blobs::reference(tx, &cache.digest, OWNER_CACHE, app),
        None => Ok(()),
    }
}
