//! The composition root: opens everything in a data dir, wires it, starts the workers, and stops
//! it.
//!
//! Only this module knows all the others. Engines get their dependencies through the traits they
//! define; the adapters are in `adapters`.

mod adapters;
pub mod cleanup;
mod console;
mod data_services;
mod droplet_images;
mod engines;
mod health;
mod identity;
mod lock;
mod metrics;
mod names;
mod open;
mod parts;
mod router_log;
mod routing;
mod running;
mod screen;
mod seed;
mod start;
mod sweeper;
mod workers;

pub use data_services::catalog as service_catalog;
pub use identity::{platform_id, prepare_data_dir, read_admin_password};
pub use lock::{DataDirLock, Holder, LockState};
pub use parts::Parts;
pub use running::Running;
pub use start::Platform;

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::base::blocking;
use crate::config::Config;
use crate::docker::{BollardEngine, DEFAULT_HOST, Engine};
use crate::telemetry::own_log;

/// Time limit for workers to end when the platform stops.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(10);

/// The configured Docker daemon; the first call connects.
pub fn connect_docker(config: &Config) -> Arc<dyn Engine> {
    Arc::new(BollardEngine::new(
        config.docker_host.as_deref().unwrap_or(DEFAULT_HOST),
    ))
}

/// Runs a platform in this process until SIGTERM or SIGINT; a second signal stops it at once.
pub fn run_until_stopped(config: Config) -> anyhow::Result<()> {
    own_log::to_stderr(config.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(blocking::THREADS)
        .thread_keep_alive(blocking::KEEP_ALIVE)
        .build()?;
    runtime.block_on(async {
        let Some(lock) = DataDirLock::take(&config.data_dir)? else {
            bail!("another cflite is running on {}", config.data_dir.display());
        };
        // A killed platform leaves it behind.
        Running::remove(&config.data_dir);
        let engine = connect_docker(&config);
        let data_dir = config.data_dir.clone();
        let platform = Platform::start(Parts::real(config, engine)).await?;
        platform
            .running()
            .write(&data_dir)
            .context("cannot write running.json")?;
        tracing::info!(api = %platform.running().api_url(), "ready");
        signalled().await?;
        tracing::info!("stopping");
        Running::remove(&data_dir);
        tokio::select! {
            clean = platform.shut_down(SHUTDOWN) => {
                if !clean {
                    tracing::warn!("some workers did not stop in time");
                }
            }
            second = signalled() => second?,
        }
        drop(lock);
        Ok(())
    })
}

async fn signalled() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The platform survives a closed terminal.
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {}
        }
    }
}
