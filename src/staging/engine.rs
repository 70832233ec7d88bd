//! The worker: takes pending builds, at most a few at once, and answers each exactly once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::failure::Reason;
use super::output::BuildLog;
use super::parts::{Shared, StagingParts};
use super::run::{Attempt, Fault};
use super::{
    Builds, OWNER_CACHE, OWNER_DROPLET, PendingBuilds, Staged, StagingFailure, StagingRequest,
    container,
};
use crate::base::Supervisor;
use crate::base::guid::BuildGuid;
use crate::blobs::store;
use crate::db::DbError;
use crate::docker::DockerError;

/// Looked for work at least this often, should a wake-up be lost.
const TICK: Duration = Duration::from_secs(30);
/// A build that was interrupted is staged anew, but not for ever.
const MOST_ATTEMPTS: u32 = 2;
/// How long the daemon may be away before an interrupted build is given up.
const DAEMON_ABSENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(1);
/// An answer that the rows do not take is tried so often.
const MOST_REFUSALS: u32 = 10;
/// How long running builds get to remove their containers at a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);

/// The staging worker; cheap to clone.
#[derive(Clone)]
pub struct Staging(Arc<Shared>);

type Running = FuturesUnordered<BoxFuture<'static, BuildGuid>>;

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
        let mut running = Running::new();
        let mut cancels: BTreeMap<BuildGuid, CancellationToken> = BTreeMap::new();
        while !token.is_cancelled() {
            changes.mark_unchanged();
            let pause = match self.pending().await {
                Ok(mut pending) => {
                    for (guid, cancel) in &cancels {
                        if !pending.has(guid) {
                            cancel.cancel();
                        }
                    }
                    // What is under way has what it needs.
                    let new = |(guid, _): &(BuildGuid, _)| !cancels.contains_key(guid);
                    pending.unreadable.retain(new);
                    self.refuse(pending.unreadable).await;
                    for request in pending.requests {
                        let guid = request.build_guid.clone();
                        let full = cancels.len() >= self.0.settings.concurrency;
                        if full || cancels.contains_key(&guid) {
                            continue;
                        }
                        let cancel = token.child_token();
                        let before = attempts.get(guid.as_str()).copied().unwrap_or(0);
                        running.push(self.clone().serve(request, before, cancel.clone()).boxed());
                        cancels.insert(guid, cancel);
                    }
                    TICK
                }
                // The builds under way go on.
                Err(error) => {
                    tracing::warn!(%error, "builds cannot be read, trying again");
                    PAUSE
                }
            };
            tokio::select! {
                () = token.cancelled() => {}
                Some(done) = running.next(), if !running.is_empty() => {
                    cancels.remove(&done);
                }
                woken = changes.changed() => if woken.is_err() { break },
                () = tokio::time::sleep(pause) => {}
            }
        }
        // Children of the token are cancelled: they only clean up.
        let rest = async { while running.next().await.is_some() {} };
        drop(tokio::time::timeout(FAREWELL, rest).await);
        Ok(())
    }

    async fn pending(&self) -> Result<PendingBuilds, DbError> {
        let builds = self.0.builds.clone();
        self.0.db.read(move |tx| builds.pending(tx)).await
    }

    /// Fails builds that cannot be staged. What is not written now is tried in the next pass.
    async fn refuse(&self, unreadable: Vec<(BuildGuid, String)>) {
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
                tracing::error!(build.guid = %build_guid, %error, "an unreadable build stays as it is");
            }
        }
    }

    /// Removes the containers of an earlier process; tells which attempt each build was at. Tried
    /// until it works: nothing can be staged without Docker.
    async fn remove_leftovers(&self) -> BTreeMap<String, u32> {
        let mut attempts = BTreeMap::new();
        let mut pause = PAUSE;
        while let Err(error) = self.remove_those_left(&mut attempts).await {
            tracing::warn!(%error, "containers of earlier builds are not removed, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TICK);
        }
        attempts
    }

    /// A container is counted before it is removed, and kept count of when the removal fails.
    async fn remove_those_left(
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

    /// Serves one build to its end: a droplet, a failure or a cancellation.
    async fn serve(
        self,
        request: StagingRequest,
        attempts_before: u32,
        cancel: CancellationToken,
    ) -> BuildGuid {
        let guid = request.build_guid.clone();
        let log = BuildLog::new(&self.0.logs, &request.app_guid);
        let work = self.attempts(&request, attempts_before, &log, &cancel);
        let result = AssertUnwindSafe(work).catch_unwind().await;
        let reason = match result {
            Ok(Ok(()) | Err(Fault::Cancelled)) => return guid,
            Ok(Err(Fault::Failed(reason))) => reason,
            Ok(Err(Fault::Interrupted(why))) => Reason::Interrupted(why),
            Err(_) => {
                tracing::error!(build.guid = %guid, "staging panicked");
                Reason::Other("an internal error; the server's own log knows more".to_owned())
            }
        };
        let (error_id, message) = reason.describe();
        log.error(&message);
        let failure = StagingFailure {
            build_guid: guid.clone(),
            error_id,
            message,
        };
        let failed = self.answer(&cancel, move |tx, builds| builds.failed(tx, &failure));
        if let Err(error) = failed.await {
            tracing::error!(build.guid = %guid, %error, "the failure of a build was not stored");
        }
        guid
    }

    async fn attempts(
        &self,
        request: &StagingRequest,
        before: u32,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut last = "the platform was stopped while the app was staged".to_owned();
        for number in before + 1..=MOST_ATTEMPTS {
            if number > 1 {
                log.error(&format!("Staging was interrupted ({last}) and starts anew"));
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
                    let answer = move |tx: &crate::db::WriteTx<'_>, builds: &dyn Builds| {
                        if builds.staged(tx, &staged)? {
                            record(tx, &staged)?;
                        }
                        Ok(())
                    };
                    let answered = self.answer(cancel, answer).await;
                    attempt.clean_up().await;
                    return answered.map_err(|error| {
                        Fault::Failed(Reason::Other(format!(
                            "the droplet cannot be stored: {error}"
                        )))
                    });
                }
                Err(Fault::Interrupted(why)) => {
                    last = why;
                    self.daemon_is_back(cancel).await?;
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

    async fn daemon_is_back(&self, cancel: &CancellationToken) -> Result<(), Fault> {
        let back = async {
            while self.0.engine.info().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = cancel.cancelled() => Err(Fault::Cancelled),
            answered = tokio::time::timeout(DAEMON_ABSENCE, back) => answered.map_err(|_| {
                Fault::Failed(Reason::Other("Docker went away and did not come back".to_owned()))
            }),
        }
    }

    /// Writes an answer; tried until it is written, because staging again would change nothing. Given
    /// up after a while when the rows are at fault, which would keep others waiting for ever.
    async fn answer<F>(&self, cancel: &CancellationToken, write: F) -> Result<(), DbError>
    where
        F: Fn(&crate::db::WriteTx<'_>, &dyn Builds) -> Result<(), DbError>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let mut refusals = 0;
        loop {
            let (builds, write) = (self.0.builds.clone(), write.clone());
            let written = self.0.db.write(move |tx| write(tx, &*builds)).await;
            let Err(error) = written else { return Ok(()) };
            tracing::error!(%error, "the result of a build was not stored");
            refusals += u32::from(error.is_unreadable());
            if refusals >= MOST_REFUSALS {
                return Err(error);
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Keeps the blobs of a success alive; an older cache is given up.
fn record(tx: &crate::db::WriteTx<'_>, staged: &Staged) -> Result<(), DbError> {
    let droplet = staged.droplet_guid.as_str();
    store::reference(tx, &staged.layer.digest, OWNER_DROPLET, droplet)?;
    let app = staged.app_guid.as_str();
    store::release(tx, OWNER_CACHE, app)?;
    match &staged.cache {
        Some(cache) => store::reference(tx, &cache.digest, OWNER_CACHE, app),
        None => Ok(()),
    }
}
