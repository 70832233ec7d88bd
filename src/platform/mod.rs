//! The composition root: opens everything in a data dir, wires it, starts the workers, and stops
//! it.
//!
//! Only this module knows all the others. Engines get their dependencies through the traits they
//! define; the adapters are in `adapters`.

mod adapters;
mod certificates;
pub mod cleanup;
mod console;
mod data_services;
mod dns;
mod droplet_images;
mod engines;
mod health;
mod identity;
mod lock;
mod metrics;
mod names;
mod network;
mod open;
mod parts;
mod paused;
mod reload;
mod router_log;
mod routing;
mod running;
mod screen;
mod seed;
mod service;
mod signals;
pub mod snapshots;
mod ssh;
mod start;
mod sweeper;
mod workers;

pub use data_services::catalog as service_catalog;
pub use identity::{platform_id, prepare_data_dir, read_admin_password};
pub use lock::{DataDirLock, Holder, LockState};
pub use parts::Parts;
pub use paused::Paused;
pub use reload::Reloaded;
pub use running::Running;
pub use start::Platform;

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::base::blocking;
use crate::config::{Config, ConfigError};
use crate::docker::{BollardEngine, DEFAULT_HOST, Engine};
use crate::net::inherited::Inherited;
use crate::telemetry::own_log;
use service::ServiceManager;
use signals::{Signal, Signals};

/// Time limit for workers to end when the platform stops.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(10);

/// The configured Docker daemon; the first call connects.
pub fn connect_docker(config: &Config) -> Arc<dyn Engine> {
    Arc::new(BollardEngine::new(
        config.docker_host.as_deref().unwrap_or(DEFAULT_HOST),
    ))
}

/// Runs a platform in this process until SIGTERM or SIGINT; a second signal stops it at once.
/// SIGHUP makes it take over the configuration that `resolve` gives then.
pub fn run_until_stopped(
    config: Config,
    resolve: impl Fn() -> Result<Config, ConfigError>,
) -> anyhow::Result<()> {
    own_log::to_stderr(config.log_format);
    // Before there are threads: it changes the environment.
    let inherited =
        Inherited::take(parts::SOCKET_NAMES).context("sockets of the service manager")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(blocking::THREADS)
        .thread_keep_alive(blocking::KEEP_ALIVE)
        .build()?;
    runtime.block_on(async {
        let manager = ServiceManager::of_this_process();
        manager.status("opening the data and asking the Docker daemon");
        let mut signals = Signals::listen()?;
        let Some(lock) = DataDirLock::take(&config.data_dir)? else {
            bail!("another cflite is running on {}", config.data_dir.display());
        };
        // A killed platform leaves it behind.
        Running::remove(&config.data_dir);
        let engine = connect_docker(&config);
        let data_dir = config.data_dir.clone();
        Paused::remove(&data_dir);
        let parts = Parts {
            inherited,
            ..Parts::real(config, engine)
        };
        let started = async {
            let platform = Platform::start(parts).await?;
            let running = platform.running();
            running
                .write(&data_dir)
                .context("cannot write running.json")?;
            manager.wait_until_ready(running).await?;
            anyhow::Ok(platform)
        };
        let platform = tokio::select! {
            platform = started => platform?,
            () = signals.stopped() => {
                tracing::info!("stopped while starting");
                Running::remove(&data_dir);
                return Ok(());
            }
        };
        let running = platform.running();
        manager.ready(running);
        manager.watch(platform.supervisor(), running);
        tracing::info!(api = %running.api_url(), "ready");
        while signals.next().await == Signal::Reload {
            manager.reloading();
            reload(&platform, &resolve);
            manager.ready(running);
        }
        tracing::info!("stopping");
        manager.stopping();
        Running::remove(&data_dir);
        shut_down(&platform, &mut signals).await;
        drop(lock);
        Ok(())
    })
}

/// Lets requests in progress end, until a second signal.
async fn shut_down(platform: &Platform, signals: &mut Signals) {
    tokio::select! {
        clean = platform.shut_down(SHUTDOWN) => {
            if !clean {
                tracing::warn!("some workers did not stop in time");
            }
        }
        () = signals.stopped() => {}
    }
}

fn reload(platform: &Platform, resolve: impl Fn() -> Result<Config, ConfigError>) {
    let reloaded = resolve()
        .map_err(anyhow::Error::from)
        .and_then(|config| platform.reload(config));
    match reloaded {
        Ok(done) => {
            tracing::info!(changed = %done.changed.join(", "), "read the configuration again");
            if !done.at_the_next_start.is_empty() {
                let options = done.at_the_next_start.join(", ");
                tracing::warn!(%options, "these options changed and take effect at the next start");
            }
        }
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "cannot use the configuration; the one in force stays");
        }
    }
}
