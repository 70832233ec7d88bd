//! `cflite catalog`: what data services there are, and whether a catalog file is valid.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::{Session, show};
use crate::data_services::catalog::{BUILT_IN, Catalog};
use crate::platform;

/// What to do with catalogs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Show the offerings and plans of this platform's data services
    List,
    /// Check a catalog file; `services.yml` in the data directory is used at the next start
    Check {
        /// The file
        file: PathBuf,
    },
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match arguments {
        Arguments::List => {
            let config = session.options.resolve()?;
            list(&platform::service_catalog(&config.data_dir)?, session.json);
        }
        Arguments::Check { file } => {
            let catalog = check(file)?;
            if session.json {
                show::json(&catalog.as_osb());
            } else {
                list(&catalog, false);
                show::note(&format!("{} is valid.", file.display()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The catalog of a file alone; it may use the images of the built-in one.
fn check(file: &Path) -> anyhow::Result<Catalog> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let images = Catalog {
        offerings: Vec::new(),
        ..Catalog::read(BUILT_IN)?
    };
    images
        .extended(&text)
        .with_context(|| format!("{}", file.display()))
}

fn list(catalog: &Catalog, as_json: bool) {
    if as_json {
        show::json(&catalog.as_osb());
        return;
    }
    let mut rows = Vec::new();
    for offering in &catalog.offerings {
        for plan in &offering.plans {
            let storage = plan.spec.storage.as_ref();
            rows.push(vec![
                offering.name.clone(),
                plan.name.clone(),
                plan.spec.version.clone(),
                format!("{} MB", plan.spec.limits.memory.megabytes()),
                storage.map_or_else(String::new, |storage| {
                    format!("{} MB", storage.size.megabytes())
                }),
            ]);
        }
    }
    show::table(&["offering", "plan", "version", "memory", "storage"], &rows);
}
