//! The snapshots of a data dir's platform, whether it runs or not.

use std::sync::Arc;

use anyhow::{Context, bail};

use super::data_services::Part;
use super::parts::{CoreServices, Parts};
use super::{identity, platform_id};
use crate::base::{SystemClock, private_file};
use crate::cloud_controller::flows::seed;
use crate::config::Config;
use crate::db::{WriteTx, holds_data};
use crate::docker::Engine;
use crate::snapshots::{self, Nobody, Pending, Places, Snapshots, archive};

/// Those of a platform that runs in this process.
pub(super) fn of_running(parts: &Parts, core: &CoreServices, data_services: &Part) -> Snapshots {
    Snapshots::new(snapshots::Parts {
        places: Places::of(&parts.config.data_dir),
        engine: parts.engine.clone(),
        clock: parts.clock.clone(),
        platform_id: core.id.clone(),
        domain: parts.config.domain.clone(),
        holder: data_services.holder(),
    })
}

/// Those of a platform that does not run; the caller has the lock on its data dir when it makes one or puts
/// the platform back.
pub fn of_stopped(config: &Config, engine: Arc<dyn Engine>) -> anyhow::Result<Snapshots> {
    let id = platform_id(&config.data_dir)?.with_context(|| {
        format!(
            "there is no platform in {}: start one with `cflite up`",
            config.data_dir.display()
        )
    })?;
    Ok(Snapshots::new(snapshots::Parts {
        places: Places::of(&config.data_dir),
        engine,
        clock: Arc::new(SystemClock),
        platform_id: id,
        domain: config.domain.clone(),
        holder: Arc::new(Nobody),
    }))
}

/// Ends a rewind that was cut off, before a platform is started. The caller has the lock.
pub(super) async fn finish(config: &Config, engine: &Arc<dyn Engine>) -> anyhow::Result<()> {
    refuse_unfinished(config)?;
    if Pending::read(&Places::of(&config.data_dir))?.is_none() {
        return Ok(());
    }
    let snapshots = of_stopped(config, engine.clone())?;
    let finished = snapshots.finish().await.context(
        "a rewind was cut off and cannot be ended now; `cflite rewind` to another snapshot ends it as well",
    )?;
    if let Some(name) = finished {
        tracing::info!(snapshot = %name, "ended a rewind that was cut off");
    }
    Ok(())
}

/// While it is in a data dir, a backup is being restored there.
const RESTORING: &str = "restoring";

/// Makes a platform of a backup, under another id and with the configured domain: nothing of it collides
/// with the one that was backed up. The caller has the lock on the data dir, which has no platform.
pub async fn restore(
    config: &Config,
    engine: Arc<dyn Engine>,
    source: &archive::Source<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<archive::Contents> {
    let marker = config.data_dir.join(RESTORING);
    if holds_data(&identity::database(&config.data_dir)) && !marker.exists() {
        bail!(
            "there is a platform in {}: remove it with `cflite reset`, or restore into another folder with \
             --data-dir",
            config.data_dir.display()
        );
    }
    // A file that is no backup, or of a newer cflite, leaves the folder as it is.
    source.contents()?;
    private_file::touch(&marker).with_context(|| format!("cannot write {}", marker.display()))?;
    let id = identity::ensure_platform_id(&config.data_dir)?;
    tracing::debug!(id, "restoring");
    let snapshots = of_stopped(config, engine)?;
    let adapt = |tx: &WriteTx<'_>, domain: &str| seed::rename_domain(tx, domain, &config.domain);
    let restored = snapshots.restore(source, &config.data_dir, adapt, progress);
    let contents = restored.await?;
    std::fs::remove_file(&marker)
        .and_then(|()| private_file::sync_folder(&marker))
        .with_context(|| format!("cannot remove {}", marker.display()))?;
    Ok(contents)
}

/// Refuses a data dir into which half of a backup was restored.
fn refuse_unfinished(config: &Config) -> anyhow::Result<()> {
    if config.data_dir.join(RESTORING).exists() {
        bail!(
            "a restore into {} was cut off: run `cflite restore FILE` again, or remove the folder",
            config.data_dir.display()
        );
    }
    Ok(())
}
