//! The handle of the firewall: for those who start containers.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::inner::{Applied, Inner};
use super::settings::{Parts, Status};
use super::worker;
use crate::base::Supervisor;

/// How long the start of a container waits for its rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// The firewall of one platform; clones share it.
#[derive(Clone, Default)]
pub struct Firewall(Option<Arc<Inner>>);

impl fmt::Debug for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firewall").finish_non_exhaustive()
    }
}

impl Firewall {
    /// One that restricts nothing and lets everybody start at once.
    pub fn off() -> Self {
        Self::default()
    }

    /// A firewall that does nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self(Some(Arc::new(Inner::new(parts))))
    }

    /// Starts its workers.
    pub fn start(&self, supervisor: &Supervisor) {
        let Some(inner) = &self.0 else { return };
        let of_rules = inner.clone();
        supervisor.worker("network", move |token| {
            worker::keep_rules(of_rules.clone(), token)
        });
        let of_daemon = inner.clone();
        supervisor.worker("network.changes", move |token| {
            worker::follow_daemon(of_daemon.clone(), token)
        });
    }

    /// Before a container of an app starts with an address: returns when its rules are there, or when they
    /// cannot be ([`Firewall::status`] says why).
    pub async fn admit(&self, address: Ipv4Addr, app: &str) {
        let Some(inner) = &self.0 else { return };
        inner.known().admit(address, app, Instant::now());
        let has = |applied: &Applied| applied.instances.get(&address).is_some_and(|of| of == app);
        if !wait(inner, has).await {
            tracing::warn!(%address, app.guid = app, "a container starts before its network rules are there");
        }
    }

    /// Before the container of a build starts.
    pub async fn admit_build(&self) {
        let Some(inner) = &self.0 else { return };
        inner.known().expect_builds();
        if !wait(inner, |applied| applied.builds).await {
            tracing::warn!("a build starts before its network rules are there");
        }
    }

    /// What it does now.
    pub fn status(&self) -> Status {
        let inner = self.0.as_ref();
        inner.map_or(Status::Idle, |inner| inner.applied.borrow().status.clone())
    }
}

/// False when neither came in time.
async fn wait(inner: &Inner, is_there: impl Fn(&Applied) -> bool) -> bool {
    let mut applied = inner.applied.subscribe();
    inner.wake.notify_one();
    let done =
        |applied: &Applied| matches!(applied.status, Status::Inactive(_)) || is_there(applied);
    let waited = timeout(PATIENCE, applied.wait_for(done)).await;
    matches!(waited, Ok(Ok(_)))
}
