//! `cflite rewind NAME`: the whole platform back as it was when a snapshot was made.

use std::process::ExitCode;
use std::time::Duration;

use super::process::{Recorded, State};
use super::snapshot::{of, refuse_service, shown};
use super::{Session, block_on, process, show};
use crate::config::Config;
use crate::snapshots::{Name, Snapshots};

/// How to go back.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The snapshot
    name: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let name = Name::parse(&arguments.name)?;
    let stored = of(&config)?;
    // Nothing is stopped for a snapshot that cannot be used.
    let manifest = block_on(async { Ok(stored.check(&name).await?) })?;
    let started = started(&config, &name)?;
    let question = format!(
        "Put the platform in {} back as it was at {}? Everything that was changed since then is lost.",
        config.data_dir.display(),
        manifest.created_at
    );
    if !arguments.yes && !show::confirm(&question) {
        show::note("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    if !matches!(started, Started::No) {
        let step = show::Step::begin("stop cflite");
        process::stop(&config.data_dir, Duration::from_secs(30))?;
        step.done("apps keep running");
    }
    put_back(&config, &stored, &name)?;
    match started {
        Started::No => {}
        Started::As(recorded) => {
            let step = show::Step::begin("start cflite");
            let mut child = recorded.start(&config.data_dir)?;
            let limit = Duration::from_secs(60);
            process::wait_until_ready(Some(&mut child), &config.data_dir, limit)?;
            step.done("");
        }
        Started::Somehow => show::note("Start it again with `cflite up`."),
    }
    if session.json {
        show::json(&shown(&name, &manifest));
    } else {
        show::line(&format!(
            "The platform is as it was at {}.",
            manifest.created_at
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// How a platform was started that runs now.
enum Started {
    /// It does not run.
    No,
    /// With these words and variables.
    As(Recorded),
    /// Nobody knows.
    Somehow,
}

fn started(config: &Config, name: &Name) -> anyhow::Result<Started> {
    let holder = match process::find(&config.data_dir)? {
        State::Stopped => return Ok(Started::No),
        State::Changing(None) => return Ok(Started::Somehow),
        State::Running(_, holder) | State::Changing(Some(holder)) => holder,
    };
    match Recorded::of(holder.pid) {
        Some(recorded) if recorded.is_service() => {
            let command = format!("cflite rewind {name}");
            Err(refuse_service(&config.data_dir, &command))
        }
        Some(recorded) => Ok(Started::As(recorded)),
        None => Ok(Started::Somehow),
    }
}

fn put_back(config: &Config, stored: &Snapshots, name: &Name) -> anyhow::Result<()> {
    let step = show::Step::begin(&format!("put back the snapshot {name}"));
    let put_back = {
        let _lock = process::lock_data_dir(&config.data_dir)?;
        let progress = |text: &str| step.progress(text);
        block_on(async { Ok(stored.put_back(name, &progress).await?) })
    };
    match put_back {
        Ok(_) => {
            step.done("");
            Ok(())
        }
        Err(error) => {
            step.failed("the next `cflite up` or `cflite rewind` goes on with it");
            Err(error)
        }
    }
}
