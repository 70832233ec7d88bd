//! `cflite snapshot`: the whole platform as it is now, kept to come back to.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::process::State;
use super::registry_client::Client;
use super::{Session, block_on, process, show};
use crate::base::{Clock, SystemClock};
use crate::config::Config;
use crate::platform;
use crate::snapshots::{Error, Manifest, Name, Snapshots};

/// What to do with snapshots.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// The name of the new snapshot [default: the time]
    name: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all snapshots
    List,
    /// Remove a snapshot
    Remove {
        /// The snapshot
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Read every byte of a snapshot and compare it with what was written
    Verify {
        /// The snapshot
        name: String,
    },
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let stored = of(&config)?;
    match &arguments.command {
        None => create(&config, &stored, arguments.name.as_deref(), session.json),
        Some(Command::List) => list(&stored, session.json),
        Some(Command::Remove { name, yes }) => {
            remove(&stored, &Name::parse(name)?, (*yes, session.json))
        }
        Some(Command::Verify { name }) => verify(&stored, &Name::parse(name)?, session.json),
    }
}

fn create(
    config: &Config,
    stored: &Snapshots,
    name: Option<&str>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let name = match name {
        Some(name) => Name::parse(name)?,
        None => Name::of_time(SystemClock.now()),
    };
    let step = show::Step::begin(&format!("make the snapshot {name}"));
    match make(config, stored, &name, &step) {
        Ok(manifest) => {
            step.done("");
            Ok(report(&name, &manifest, as_json))
        }
        Err(error) => {
            step.failed("");
            Err(error)
        }
    }
}

/// Makes a snapshot of a platform, whether it runs or not.
pub(super) fn make(
    config: &Config,
    stored: &Snapshots,
    name: &Name,
    step: &show::Step,
) -> anyhow::Result<Manifest> {
    match process::find(&config.data_dir)? {
        State::Running(..) => by_platform(config, name),
        State::Stopped => by_this_process(config, stored, name, step),
        State::Changing(_) => bail!("cflite is starting or stopping: try again in a moment"),
    }
}

fn verify(stored: &Snapshots, name: &Name, as_json: bool) -> anyhow::Result<ExitCode> {
    let step = show::Step::begin(&format!("verify the snapshot {name}"));
    match stored.verify(name) {
        Ok(manifest) => {
            step.done("every byte is as it was written");
            Ok(report(name, &manifest, as_json))
        }
        Err(error) => {
            step.failed("");
            Err(error.into())
        }
    }
}

/// The snapshots of a data dir.
pub(super) fn of(config: &Config) -> anyhow::Result<Snapshots> {
    platform::snapshots::of_stopped(config, platform::connect_docker(config))
}

/// A running platform keeps its services from being changed meanwhile.
fn by_platform(config: &Config, name: &Name) -> anyhow::Result<Manifest> {
    let client = Client::of_running(config, "snapshots")?;
    let answer = client.post(&format!("?name={name}"))?;
    Ok(serde_json::from_value(answer)?)
}

fn by_this_process(
    config: &Config,
    stored: &Snapshots,
    name: &Name,
    step: &show::Step,
) -> anyhow::Result<Manifest> {
    let _lock = process::lock_data_dir(&config.data_dir)?;
    let progress = |text: &str| step.progress(text);
    block_on(async { Ok(stored.create(name, &progress).await?) })
}

fn remove(
    stored: &Snapshots,
    name: &Name,
    (yes, as_json): (bool, bool),
) -> anyhow::Result<ExitCode> {
    let all = stored.list()?;
    if !all.iter().any(|(known, _)| known == name) {
        return Err(Error::Missing(name.to_string()).into());
    }
    if !yes && !show::confirm(&format!("Remove the snapshot {name}?")) {
        show::note("Nothing was removed.");
        return Ok(ExitCode::FAILURE);
    }
    stored.remove(name)?;
    if as_json {
        show::json(&json!({ "removed": name.as_str() }));
    } else {
        show::line(&format!("Removed the snapshot {name}."));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(stored: &Snapshots, as_json: bool) -> anyhow::Result<ExitCode> {
    let all = stored.list()?;
    if as_json {
        let all: Vec<Value> = { all.iter() }
            .map(|(name, manifest)| match manifest {
                Ok(manifest) => shown(name, manifest),
                Err(error) => json!({ "name": name.as_str(), "error": error.to_string() }),
            })
            .collect();
        show::json(&json!({ "snapshots": all }));
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        show::note("There are no snapshots: `cflite snapshot NAME` makes one.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = { all.iter() }
        .map(|(name, manifest)| match manifest {
            Ok(manifest) => vec![
                name.to_string(),
                manifest.created_at.to_string(),
                manifest.version.clone(),
                manifest.volumes.len().to_string(),
                show::bytes(manifest.own_size()),
                show::bytes(manifest.shared_size()),
            ],
            Err(error) => vec![name.to_string(), error.to_string()],
        })
        .collect();
    show::table(
        &[
            "name",
            "created",
            "cflite",
            "services",
            "size",
            "shared blobs",
        ],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}

fn report(name: &Name, manifest: &Manifest, as_json: bool) -> ExitCode {
    if as_json {
        show::json(&shown(name, manifest));
        return ExitCode::SUCCESS;
    }
    let (own, shared) = (manifest.own_size(), manifest.shared_size());
    show::line(&format!(
        "{} for the database and {} of data services; {} of blobs are shared with the platform.",
        show::bytes(own),
        count(manifest.volumes.len(), "volume"),
        show::bytes(shared)
    ));
    if !manifest.missing.is_empty() {
        show::note(&format!(
            "{} of the platform had no file and are not in the snapshot.",
            count(manifest.missing.len(), "blob")
        ));
    }
    show::line(&format!(
        "`cflite rewind {name}` puts the platform back to it."
    ));
    ExitCode::SUCCESS
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

pub(super) fn shown(name: &Name, manifest: &Manifest) -> Value {
    json!({
        "name": name.as_str(),
        "created_at": manifest.created_at.to_string(),
        "version": manifest.version,
        "schema": manifest.schema,
        "domain": manifest.domain,
        "services": manifest.volumes.len(),
        "size": manifest.own_size(),
        "shared_size": manifest.shared_size(),
        "missing": manifest.missing.len(),
    })
}

/// What people who run a platform as a service have to do instead.
pub(super) fn refuse_service(data_dir: &Path, command: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "the platform in {} runs as a service, which its service manager stops and starts: run \
         `systemctl stop cflite`, then `{command}`, then `systemctl start cflite`",
        data_dir.display()
    )
}
