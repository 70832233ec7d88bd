//! `cflite restore`: a platform made of a backup.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Session, backup, block_on, passphrase, process, show};
use crate::platform;
use crate::snapshots::archive::Source;

/// What to restore.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    passphrase: passphrase::Arguments,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let file = arguments.file.as_path();
    let passphrase = backup::of_file(file, &arguments.passphrase)?;
    platform::prepare_data_dir(&config.data_dir)?;
    let _lock = process::lock_data_dir(&config.data_dir)?;
    let step = show::Step::begin(&format!("restore {}", file.display()));
    let restored = {
        let source = Source {
            file,
            passphrase: passphrase.as_ref(),
            progress: &backup::percent(&step),
        };
        let engine = platform::connect_docker(&config);
        let texts = |text: &str| step.progress(text);
        let restored = platform::snapshots::restore(&config, engine, &source, &texts);
        block_on(restored)
    };
    let contents = match restored {
        Ok(contents) => contents,
        Err(error) => {
            step.failed("");
            return Err(error);
        }
    };
    step.done("");
    let size = std::fs::metadata(file).map_or(0, |found| found.len());
    if session.json {
        show::json(&backup::shown(file, &contents, size));
        return Ok(ExitCode::SUCCESS);
    }
    backup::describe(&contents);
    let was = &contents.manifest.domain;
    if *was != config.domain {
        show::line(&format!(
            "Its domain {was} is {} now, in the addresses of all apps.",
            config.domain
        ));
    }
    show::line("`cflite up` starts it.");
    Ok(ExitCode::SUCCESS)
}
