//! `cflite images build` and `cflite images list`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Session, block_on, show};
use crate::config::Config;
use crate::docker::{Engine, trust};
use crate::platform;
use crate::staging::images;

/// What to do with the stack images.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Build the images that are missing or whose recipe changed
    Build,
    /// Show the images and whether they are up to date
    List,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let engine = platform::connect_docker(&config);
    match arguments {
        Arguments::Build => {
            build_all(&config)?;
            if session.json {
                show::json(&listed(&block_on(async {
                    Ok(images::list(&*engine).await?)
                })?));
            }
        }
        Arguments::List => {
            let found = block_on(async { Ok(images::list(&*engine).await?) })?;
            if session.json {
                show::json(&listed(&found));
            } else if found.is_empty() {
                show::note("There are no stack images yet; build them with `cflite images build`.");
            } else {
                let rows: Vec<Vec<String>> = found.iter().map(row).collect();
                show::table(&["stack", "role", "image", "size", "state"], &rows);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what is missing as a step of its own.
pub(super) fn build_all(config: &Config) -> anyhow::Result<()> {
    let engine = platform::connect_docker(config);
    let step = show::Step::begin("stack images");
    let built = block_on(async {
        build(&*engine, config, &step).await?;
        // A platform without an id was never started; it marks them at its first start.
        if let Some(id) = platform::platform_id(&config.data_dir)? {
            images::mark(&*engine, &id).await?;
        }
        Ok(())
    });
    match built {
        Ok(()) => {
            step.done("up to date");
            Ok(())
        }
        Err(error) => {
            step.failed("");
            Err(error)
        }
    }
}

/// Builds what is missing, and shows progress.
pub(super) async fn build(
    engine: &dyn Engine,
    config: &Config,
    step: &show::Step,
) -> Result<(), images::ImagesError> {
    let (progress, mut texts) = tokio::sync::mpsc::unbounded_channel::<String>();
    let authorities = trust::authorities(&config.ca_certificates);
    let machine = images::Machine {
        offline: config.offline,
        authorities: &authorities,
    };
    let work = images::build_all(engine, machine, &progress);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            Some(text) = texts.recv() => step.progress(&text),
        }
    }
}

fn row(image: &images::Listed) -> Vec<String> {
    vec![
        image.stack.clone(),
        image.role.clone(),
        image.reference.clone(),
        format!("{} MB", image.size / 1_000_000),
        state(image).to_owned(),
    ]
}

fn state(image: &images::Listed) -> &'static str {
    if image.current { "up to date" } else { "old" }
}

fn listed(found: &[images::Listed]) -> Value {
    found
        .iter()
        .map(|image| {
            json!({
                "stack": image.stack,
                "role": image.role,
                "reference": image.reference,
                "size": image.size,
                "state": state(image),
            })
        })
        .collect()
}
