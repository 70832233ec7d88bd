//! `cflite reset`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Session, block_on, process, show};
use crate::platform::cleanup::{self, StackImages};

/// How to reset.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Keep the stack images, which take minutes to build
    #[arg(long)]
    keep_images: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let question = format!(
        "Remove all apps, users and data in {} and every container and image of cflite?",
        config.data_dir.display()
    );
    if !arguments.yes && !show::confirm(&question) {
        show::note("Nothing was removed.");
        return Ok(ExitCode::FAILURE);
    }
    process::stop(&config.data_dir, Duration::from_secs(30))?;
    let _lock = process::lock_data_dir(&config.data_dir)?;
    let step = show::Step::begin("remove containers, networks, volumes and images");
    let stack_images = if arguments.keep_images {
        StackImages::Keep
    } else {
        StackImages::Remove
    };
    let removed = block_on(cleanup::remove_all(&config, stack_images))?;
    step.done(&format!(
        "{} containers, {} images",
        removed.containers, removed.images
    ));
    if !removed.kept_for.is_empty() {
        show::note(&format!(
            "The stack images were kept: other platforms on this Docker daemon use them ({}). If one \
             of them was deleted without a reset, `docker image ls cflite/in-use` shows its marks.",
            removed.kept_for.join(", ")
        ));
    }
    let step = show::Step::begin("remove data");
    if config.data_dir.exists() {
        std::fs::remove_dir_all(&config.data_dir)
            .with_context(|| format!("cannot remove {}", config.data_dir.display()))?;
    }
    step.done(&config.data_dir.display().to_string());
    if session.json {
        show::json(&json!({
            "containers": removed.containers,
            "images": removed.images,
            "stack_images_kept_for": removed.kept_for,
        }));
    }
    Ok(ExitCode::SUCCESS)
}
