//! `cflite pause` and `cflite resume`: the memory of apps and services back for a while.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::process::{Recorded, State};
use super::snapshot::refuse_service;
use super::{Session, block_on, client, process, show};
use crate::base::{Clock, SystemClock};
use crate::config::Config;
use crate::platform::{self, Paused, Running};

/// How long `resume` waits for the instances that ran.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn pause(session: Session) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let (running, holder) = match process::find(&config.data_dir)? {
        State::Running(running, holder) => (running, holder),
        State::Changing(_) => bail!("cflite is starting or stopping: try again in a moment"),
        State::Stopped => match Paused::read(&config.data_dir) {
            Some(paused) => bail!("cflite is paused since {}: `cflite resume`", paused.at),
            None => bail!(
                "cflite is not running on {}: `cflite down --stop-apps` stops apps that are left",
                config.data_dir.display()
            ),
        },
    };
    let recorded = Recorded::of(holder.pid)
        .context("cannot find out how the platform was started: use `cflite down --stop-apps`")?;
    if recorded.is_service() {
        return Err(refuse_service(&config.data_dir, "cflite down --stop-apps"));
    }
    let paused = Paused {
        at: SystemClock.now(),
        instances: block_on(instances(&running))?,
        arguments: recorded.arguments().to_vec(),
        environment: recorded.settings(),
    };
    paused
        .write(&config.data_dir)
        .context("cannot write paused.json")?;
    let step = show::Step::begin("stop cflite");
    process::stop(&config.data_dir, Duration::from_secs(30))?;
    step.done("");
    let step = show::Step::begin("stop apps and data services");
    let _lock = process::lock_data_dir(&config.data_dir)?;
    let stopped = match block_on(platform::cleanup::stop_in_order(&config)) {
        Ok(stopped) => stopped,
        Err(error) => {
            step.failed("`cflite down --stop-apps` stops the others, `cflite resume` starts all");
            return Err(error);
        }
    };
    step.done(&format!("{} containers", stopped.containers));
    if session.json {
        show::json(&json!({
            "containers": stopped.containers,
            "memory": stopped.memory,
            "instances": paused.instances,
        }));
    } else {
        show::line(&format!(
            "{} of memory are free again. `cflite resume` goes on: apps and data are as they were.",
            show::bytes(stopped.memory)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn resume(session: Session) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let paused = match (
        Paused::read(&config.data_dir),
        process::find(&config.data_dir)?,
    ) {
        (_, State::Running(..)) => bail!("cflite is running already"),
        (_, State::Changing(_)) => bail!("cflite is starting or stopping: try again in a moment"),
        (None, State::Stopped) => bail!(
            "cflite is not paused on {}: start it with `cflite up`",
            config.data_dir.display()
        ),
        (Some(paused), State::Stopped) => paused,
    };
    let step = show::Step::begin("start cflite");
    let mut child = Recorded::with(&paused).start_with_own(&config.data_dir)?;
    let limit = Duration::from_secs(60);
    let running = process::wait_until_ready(Some(&mut child), &config.data_dir, limit)?;
    step.done("");
    let step = show::Step::begin("start apps and data services");
    let back = block_on(wait_for(&running, paused.instances, &step))?;
    let all = paused.instances;
    if back < all {
        step.failed(&format!("{back} of {all} instances take requests"));
        bail!(
            "{} of {all} instances do not run after {} s: `cflite explain APP` says why",
            all - back,
            PATIENCE.as_secs()
        );
    }
    step.done(&format!("{back} instances take requests"));
    report(&config, &running, back, session.json);
    Ok(ExitCode::SUCCESS)
}

fn report(config: &Config, running: &Running, instances: u64, as_json: bool) {
    if as_json {
        show::json(&json!({
            "instances": instances,
            "api": running.api_url(),
            "data_dir": config.data_dir,
        }));
    } else {
        show::line(&format!("API  {}", running.api_url()));
    }
}

async fn wait_for(running: &Running, wanted: u64, step: &show::Step) -> anyhow::Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    let mut shown = u64::MAX;
    loop {
        let found = instances(running).await?;
        if found >= wanted || Instant::now() > deadline {
            return Ok(found);
        }
        if found != shown {
            step.progress(&format!("{found} of {wanted} instances"));
            shown = found;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Instances of apps that take requests.
async fn instances(running: &Running) -> anyhow::Result<u64> {
    let health: Value = client::health(running).await?;
    health["counts"]["routable instances"]
        .as_u64()
        .context("the platform does not say how many instances run")
}
