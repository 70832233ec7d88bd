//! What a service manager is told (`sd_notify(3)`): that the platform is ready, reloads or stops,
//! what it waits for, and that it is alive.
//!
//! Without one (`NOTIFY_SOCKET` is not set) nothing happens. A message that cannot be sent is only
//! logged: the platform is worth more than its status.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::running::Running;
use crate::base::Supervisor;
use crate::net::http_client;

/// How long the first answer is waited for.
const FIRST_ANSWER: Duration = Duration::from_secs(30);
/// Pause between attempts to get it.
const PAUSE: Duration = Duration::from_millis(20);

/// The service manager of this process.
#[derive(Debug, Clone)]
pub(super) struct ServiceManager {
    is_there: bool,
    /// It ends the process after this time without a sign of life.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names.
    pub(super) fn of_this_process() -> Self {
        Self {
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()),
        }
    }

    /// What the platform does now.
    pub(super) fn status(&self, text: &str) {
        self.tell(&[NotifyState::Status(text)]);
    }

    /// Returns when the API has answered, at once without a service manager.
    pub(super) async fn wait_until_ready(&self, running: &Running) -> anyhow::Result<()> {
        if self.is_there {
            self.status("waiting for the first answer of the API");
            wait_for_answer(running).await?;
        }
        Ok(())
    }

    /// The platform serves.
    pub(super) fn ready(&self, running: &Running) {
        let status = format!("serving {}", running.api_url());
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// The configuration is read again; [`ServiceManager::ready`] ends this.
    pub(super) fn reloading(&self) {
        let status = NotifyState::Status("reading the configuration");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now, status]),
            Err(error) => tracing::warn!(%error, "cannot tell the service manager of a reload"),
        }
    }

    /// The platform ends.
    pub(super) fn stopping(&self) {
        let status = NotifyState::Status("ending the requests in progress");
        self.tell(&[NotifyState::Stopping, status]);
    }

    /// Starts signs of life, twice in the watchdog's time. Each follows an answer to a request over
    /// the network, so that threads of the front door, the runtime and the database took part in it.
    pub(super) fn watch(&self, supervisor: &Supervisor, running: &Running) {
        let Some(limit) = self.watchdog.filter(|_| self.is_there) else {
            return;
        };
        let (this, running) = (self.clone(), running.clone());
        supervisor.worker("watchdog", move |token| {
            let (this, running) = (this.clone(), running.clone());
            async move {
                this.keep_alive(limit / 2, &running, token).await;
                Ok::<_, Infallible>(())
            }
        });
    }

    async fn keep_alive(&self, every: Duration, running: &Running, token: CancellationToken) {
        loop {
            let next = Instant::now() + every;
            match timeout(every, answer(running)).await {
                Ok(Ok(())) => self.tell(&[NotifyState::Watchdog]),
                Ok(Err(error)) => tracing::error!(%error, "the platform does not answer itself"),
                Err(_) => tracing::error!("the platform does not answer itself in time"),
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if !self.is_there {
            return;
        }
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "cannot tell the service manager");
        }
    }
}

async fn wait_for_answer(running: &Running) -> anyhow::Result<()> {
    let deadline = Instant::now() + FIRST_ANSWER;
    loop {
        let failure = match timeout(FIRST_ANSWER, answer(running)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        if Instant::now() >= deadline {
            return Err(failure.context("the platform does not answer itself"));
        }
        sleep(PAUSE).await;
    }
}

/// Asks the platform over the network whether it is ready. Any status is an answer: `/healthz` says
/// what is wrong, and ending the process would not mend it.
async fn answer(running: &Running) -> anyhow::Result<()> {
    // A new connection each time: it has to be accepted.
    let client = http_client::plain().no_proxy().pool_max_idle_per_host(0);
    let url = format!("{}/readyz", running.local_url());
    let response = client.build()?.get(&url).send().await;
    let response = response.with_context(|| format!("GET {url}"))?;
    if response.headers().contains_key("x-cf-routererror") {
        bail!("{url} is not the platform");
    }
    Ok(())
}
