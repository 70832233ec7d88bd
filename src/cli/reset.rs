//! `cflite reset`.

use std::io;
use std::path::Path;
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
        remove_data(&config.data_dir)
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

/// Removes a folder; only what is in it where the folder itself is a mount point or another user's.
fn remove_data(folder: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(folder).or_else(|error| {
        let is_empty = std::fs::read_dir(folder).is_ok_and(|mut left| left.next().is_none());
        if is_empty { Ok(()) } else { Err(error) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_a_failure_unless_it_is_the_empty_folder() {
        let place = tempfile::tempdir().expect("temporary folder");
        let folder = place.path().join("data");
        std::fs::create_dir_all(folder.join("blobs")).expect("created");
        remove_data(&folder).expect("removed");
        assert!(!folder.exists());
        remove_data(&folder).expect_err("it is not there");
        // The system's own: nobody removes it, and it is not empty.
        remove_data(Path::new("/proc/self/task")).expect_err("not removed");
    }
}
