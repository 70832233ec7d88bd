//! Keeps the table current: it is made anew when somebody starts, when rows change and when the daemon's
//! containers do, and put in place again from time to time, as other programs may remove it.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::addresses::apps;
use super::helper::{self, Failure};
use super::inner::{Applied, Inner};
use super::ruleset::Scene;
use super::settings::Status;
use crate::base::backoff::{Backoff, Pauses};
use crate::db::DbError;
use crate::docker::{DockerError, LABEL_OWNER, Labels, NetworkAddresses};

/// The table is put in place again after this time.
const TICK: Duration = Duration::from_secs(60);
/// Changes that come together lead to one table.
const SETTLING: Duration = Duration::from_millis(100);
/// Limit on finding an address of the machine's proxy.
const LOOKUP: Duration = Duration::from_secs(2);
const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};
const RECONNECTS: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(5),
};

#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Helper(#[from] Failure),
}

/// What one pass leaves for the next.
struct Passes {
    /// What is in place, and since when.
    placed: Option<(String, Instant)>,
    networks: Option<(NetworkAddresses, Option<NetworkAddresses>)>,
    always: Vec<SocketAddrV4>,
    retries: Pauses,
}

/// Runs until cancelled.
pub(super) async fn keep_rules(inner: Arc<Inner>, token: CancellationToken) -> Result<(), DbError> {
    let mut changes = inner.parts.db.changes();
    let mut passes = Passes {
        placed: None,
        networks: None,
        always: Vec::new(),
        retries: RETRIES.pauses(),
    };
    inner.stale.store(true, Ordering::Relaxed);
    loop {
        changes.mark_unchanged();
        let pause = match passes.pass(&inner).await {
            Ok(()) => {
                passes.retries.reset();
                TICK
            }
            Err(error) => passes.failed(&inner, &error),
        };
        let wait = async {
            tokio::select! {
                () = inner.wake.notified() => true,
                changed = changes.changed() => {
                    sleep(SETTLING).await;
                    changed.is_ok()
                }
                () = sleep(pause) => true,
            }
        };
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            goes_on = wait => if !goes_on { return Ok(()) },
        }
    }
}

impl Passes {
    async fn pass(&mut self, inner: &Inner) -> Result<(), PassError> {
        let parts = &inner.parts;
        if inner.stale.swap(false, Ordering::Relaxed) {
            self.observe(inner).await.inspect_err(|_| {
                inner.stale.store(true, Ordering::Relaxed);
            })?;
        }
        let (instances, services, building, has_builds) = {
            let known = inner.known();
            if known.is_empty() && self.placed.is_none() {
                return Ok(());
            }
            (
                known.instances(),
                known.services().clone(),
                known.builds().clone(),
                known.has_builds(),
            )
        };
        let (source, wanted_apps) = (parts.source.clone(), apps(&instances));
        let read = (parts.db).read(move |tx| source.load(tx, &wanted_apps));
        let wanted = read.await?;
        let (of_apps, of_builds) = self.networks(inner, has_builds).await?;
        let table = helper::table(&parts.settings.platform_id);
        let scene = Scene {
            table: &table,
            apps: &of_apps,
            builds: of_builds.as_ref(),
            instances: &instances,
            services: &services,
            building: &building,
            wanted: &wanted,
            always: &self.always,
            names: parts.settings.names,
            enforcement: parts.settings.enforcement,
        };
        let text = scene.text();
        let builds = of_builds.is_some();
        let mut status = inner.applied.borrow().status.clone();
        let is_placed = { self.placed.as_ref() }
            .is_some_and(|(placed, since)| *placed == text && since.elapsed() < TICK);
        if !is_placed {
            let id = &parts.settings.platform_id;
            let applied = helper::apply(&*parts.engine, &*parts.image, id, &text).await?;
            self.placed = Some((text, Instant::now()));
            status = Status::Active {
                between_containers: applied.between_containers,
            };
        }
        tell(inner, &status);
        inner.applied.send_replace(Applied {
            status,
            instances,
            builds,
        });
        Ok(())
    }

    /// Asks the daemon who has which address, and finds what all may reach.
    async fn observe(&mut self, inner: &Inner) -> Result<(), PassError> {
        let parts = &inner.parts;
        let listed = parts.engine.list(&owned(inner)).await?;
        inner
            .known()
            .observe(&listed, parts.settings.services, Instant::now());
        // Networks that nothing uses may have been pruned.
        self.networks = None;
        self.always = Vec::new();
        for place in &parts.settings.always {
            let Ok(Ok(found)) = timeout(LOOKUP, lookup_host(place)).await else {
                tracing::debug!(place, "cannot find an address for the firewall");
                continue;
            };
            let found = found.filter_map(|address| match address {
                SocketAddr::V4(address) => Some(address),
                SocketAddr::V6(_) => None,
            });
            self.always.extend(found);
        }
        self.always.sort_unstable();
        self.always.dedup();
        Ok(())
    }

    async fn networks(
        &mut self,
        inner: &Inner,
        has_builds: bool,
    ) -> Result<(NetworkAddresses, Option<NetworkAddresses>), PassError> {
        let parts = &inner.parts;
        if let Some(known) = &self.networks
            && (known.1.is_some() || !has_builds)
        {
            return Ok(known.clone());
        }
        let of_apps = parts.engine.ensure_network(&parts.apps).await?;
        let of_builds = if has_builds {
            Some(parts.engine.ensure_network(&parts.builds).await?)
        } else {
            None
        };
        Ok(self.networks.insert((of_apps, of_builds)).clone())
    }

    /// Containers start without rules; told when the reason is another one.
    fn failed(&mut self, inner: &Inner, error: &PassError) -> Duration {
        self.placed = None;
        let pause = self.retries.pause();
        let status = Status::Inactive(error.to_string());
        if inner.applied.borrow().status != status {
            tracing::warn!(
                %error,
                "security groups and network policies are not enforced; retrying in {} s",
                pause.as_secs()
            );
        }
        inner.applied.send_replace(Applied {
            status,
            ..Applied::default()
        });
        pause
    }
}

/// Logs a new status.
fn tell(inner: &Inner, status: &Status) {
    if inner.applied.borrow().status == *status {
        return;
    }
    match status {
        Status::Active {
            between_containers: false,
        } => tracing::warn!("{status} (sysctl net.bridge.bridge-nf-call-iptables=1 changes that)"),
        _ => tracing::info!("{status}"),
    }
}

fn owned(inner: &Inner) -> Labels {
    let id = &inner.parts.settings.platform_id;
    Labels::from([(LABEL_OWNER.to_owned(), id.clone())])
}

/// Wakes the other worker when containers start and end; runs until cancelled.
pub(super) async fn follow_daemon(
    inner: Arc<Inner>,
    token: CancellationToken,
) -> Result<(), DockerError> {
    let mut retries = RECONNECTS.pauses();
    loop {
        let followed = async {
            let mut changes = inner.parts.engine.changes(&owned(&inner)).await?;
            let begun = Instant::now();
            stale(&inner);
            while let Some(change) = changes.next().await {
                if matches!(change?.action.as_str(), "start" | "die" | "destroy") {
                    // Containers that change together are listed once.
                    sleep(SETTLING).await;
                    stale(&inner);
                }
            }
            Ok::<_, DockerError>(begun)
        };
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            ended = followed => match ended {
                Ok(begun) if begun.elapsed() > RECONNECTS.longest => retries.reset(),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "docker event stream failed; reconnecting"),
            },
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = sleep(retries.pause()) => {}
        }
    }
}

fn stale(inner: &Inner) {
    inner.stale.store(true, Ordering::Relaxed);
    inner.wake.notify_one();
}
