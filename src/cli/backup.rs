//! `cflite backup`: the whole platform in one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::snapshot::{make, of};
use super::{Session, passphrase, show};
use crate::base::{Clock, Secret, SystemClock};
use crate::snapshots::Name;
use crate::snapshots::archive::{Contents, Source, Target, is_encrypted};

/// What to do with backups.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    /// The file; it appears when it is complete
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Encrypt it with a passphrase
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read every byte of a backup and compare it with what was written
    Verify {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        passphrase: passphrase::Arguments,
    },
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Command::Verify { file, passphrase }) = &arguments.command {
        return verify(file, passphrase, session.json);
    }
    let file = arguments.file.as_deref().context("no file is given")?;
    let encrypts = arguments.encrypt || arguments.passphrase.is_given();
    let passphrase = if encrypts {
        Some(arguments.passphrase.choose()?)
    } else {
        None
    };
    let config = session.options.resolve()?;
    let stored = of(&config)?;
    let name = Name::parse(&format!("backup-{}", Name::of_time(SystemClock.now())))?;
    let step = show::Step::begin("copy the platform as it is now");
    if let Err(error) = make(&config, &stored, &name, &step) {
        step.failed("");
        return Err(error);
    }
    step.done("");
    let step = show::Step::begin(&format!("write {}", file.display()));
    let written = {
        let target = Target {
            file,
            passphrase: passphrase.as_ref(),
            progress: &percent(&step),
        };
        target.write(&config.data_dir, &name)
    };
    let removed = stored.remove(&name);
    let contents = match written {
        Ok(contents) => contents,
        Err(error) => {
            step.failed("");
            return Err(error.into());
        }
    };
    removed?;
    let size = std::fs::metadata(file).map_or(0, |found| found.len());
    step.done(&show::bytes(size));
    if session.json {
        show::json(&shown(file, &contents, size));
        return Ok(ExitCode::SUCCESS);
    }
    if !encrypts {
        show::note(
            "It holds the keys and passwords of the platform: keep it where only you can read it.",
        );
    }
    show::line(&format!(
        "`cflite restore {}` makes a platform of it, here or on another machine.",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn verify(
    file: &Path,
    passphrase: &passphrase::Arguments,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let passphrase = of_file(file, passphrase)?;
    let step = show::Step::begin(&format!("verify {}", file.display()));
    let verified = {
        let source = Source {
            file,
            passphrase: passphrase.as_ref(),
            progress: &percent(&step),
        };
        source.verify()
    };
    match verified {
        Ok(contents) => {
            step.done("every byte is as it was written");
            let size = std::fs::metadata(file).map_or(0, |found| found.len());
            if as_json {
                show::json(&shown(file, &contents, size));
            } else {
                describe(&contents);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            step.failed("");
            Err(error.into())
        }
    }
}

/// The passphrase of a backup that has one.
pub(super) fn of_file(
    file: &Path,
    passphrase: &passphrase::Arguments,
) -> anyhow::Result<Option<Secret<String>>> {
    if is_encrypted(file)? {
        return passphrase.get().map(Some);
    }
    Ok(None)
}

/// Shows each percent once.
pub(super) fn percent(step: &show::Step) -> impl Fn(u64, u64) + '_ {
    let last = std::cell::Cell::new(0);
    move |done, all| {
        let now = done.saturating_mul(100) / all.max(1);
        // Every tenth is enough for a log, and for people.
        if now / 10 > last.get() / 10 {
            step.progress(&format!("{now} %"));
        }
        last.set(now);
    }
}

pub(super) fn describe(contents: &Contents) {
    let manifest = &contents.manifest;
    show::line(&format!(
        "Made at {} by cflite {} of the platform {}: {} data services, {} of data.",
        manifest.created_at,
        manifest.version,
        manifest.domain,
        manifest.volumes.len(),
        show::bytes(contents.size())
    ));
}

pub(super) fn shown(file: &Path, contents: &Contents, size: u64) -> Value {
    let manifest = &contents.manifest;
    json!({
        "file": file,
        "size": size,
        "created_at": manifest.created_at.to_string(),
        "version": manifest.version,
        "schema": manifest.schema,
        "domain": manifest.domain,
        "services": manifest.volumes.len(),
        "blobs": manifest.blobs.len(),
        "uncompressed_size": contents.size(),
    })
}
