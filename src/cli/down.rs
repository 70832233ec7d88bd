//! `cflite down`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::process::State;
use super::{Session, block_on, process, show};
use crate::platform;

/// How to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Stop the apps' containers too; the next `up` starts them again
    #[arg(long)]
    stop_apps: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let mut was_running = false;
    if !matches!(process::find(&config.data_dir)?, State::Stopped) {
        let step = show::Step::begin("stop cflite");
        was_running = process::stop(&config.data_dir, Duration::from_secs(30))?;
        step.done("");
    }
    let mut stopped = 0;
    if arguments.stop_apps {
        let _lock = process::lock_data_dir(&config.data_dir)?;
        let step = show::Step::begin("stop apps");
        stopped = block_on(platform::cleanup::remove_containers(&config))?;
        step.done(&format!("{stopped} containers"));
    }
    if session.json {
        show::json(&json!({ "was_running": was_running, "containers_stopped": stopped }));
    } else if !was_running && !arguments.stop_apps {
        show::note("cflite was not running");
    } else if !arguments.stop_apps {
        show::note("Apps keep running; `cflite down --stop-apps` stops them too.");
    }
    Ok(ExitCode::SUCCESS)
}
