//! `cflite registry list`, `gc` and `prefetch`.

use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::registry_client::Client;
use super::{Session, block_on, show};
use crate::base::Timestamp;
use crate::platform;
use crate::registry::Evicted;

/// What to do with the image registry.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Show the images: droplets, stacks, what users pushed, copies from other registries
    List,
    /// Remove images and layers that no droplet and no tag needs, and copies beyond the limit of the
    /// cache
    Gc {
        /// Show what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy images from other registries now, so that later pushes need no network
    Prefetch {
        /// The images, such as nginx:1 or ghcr.io/me/app:2
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// The platform to copy for [default: the Docker daemon's]
        #[arg(long, value_name = "OS/ARCHITECTURE")]
        platform: Option<String>,
    },
}

#[derive(Deserialize)]
struct Holdings {
    images: Vec<Image>,
    cache_bytes: u64,
    cache_limit: u64,
}

#[derive(Deserialize)]
struct Image {
    repository: String,
    digest: String,
    tags: Vec<String>,
    size: u64,
    complete: bool,
    used_at: Timestamp,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let as_json = session.json;
    let config = session.options.resolve()?;
    let client = Client::of_running(&config, "registry")?;
    match arguments {
        Arguments::List => list(&client, as_json),
        Arguments::Gc { dry_run } => client.collect(*dry_run, as_json, |copy: &Evicted| {
            format!("{}@{}", kind(&copy.repository).1, copy.digest)
        }),
        Arguments::Prefetch { images, platform } => {
            let platform = match platform {
                Some(platform) => platform.clone(),
                None => block_on(async {
                    let info = platform::connect_docker(&config).info().await;
                    let info = info.context("which platform? Name it with --platform")?;
                    Ok(info.architecture)
                })?,
            };
            Ok(prefetch(&client, images, &platform, as_json))
        }
    }
}

fn list(client: &Client, as_json: bool) -> anyhow::Result<ExitCode> {
    let found = client.list()?;
    if as_json {
        show::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let holdings: Holdings = serde_json::from_value(found)?;
    if holdings.images.is_empty() {
        show::note("The registry is empty.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = holdings.images.iter().map(row).collect();
    show::table(&["kind", "image", "tags", "digest", "size", "used"], &rows);
    show::line("");
    show::line(&format!(
        "Copies of other registries' images: {} of at most {}, without what apps need",
        show::bytes(holdings.cache_bytes),
        show::bytes(holdings.cache_limit)
    ));
    Ok(ExitCode::SUCCESS)
}

fn row(image: &Image) -> Vec<String> {
    let (kind, name) = kind(&image.repository);
    let size = show::bytes(image.size);
    vec![
        kind.to_owned(),
        name.to_owned(),
        image.tags.join(", "),
        image.digest.get(..19).unwrap_or(&image.digest).to_owned(),
        if image.complete {
            size
        } else {
            format!("{size}, in part")
        },
        image.used_at.to_string(),
    ]
}

/// What a repository is for, and how people name it.
fn kind(repository: &str) -> (&'static str, &str) {
    if let Some(name) = repository.strip_prefix("cache/") {
        return ("copy", name);
    }
    let kind = match repository.split_once('/') {
        None => "droplet",
        Some(("cflite", _)) => "stack",
        Some(_) => "pushed",
    };
    (kind, repository)
}

fn prefetch(client: &Client, images: &[String], platform: &str, as_json: bool) -> ExitCode {
    let one = |image: &String| {
        let body = json!({ "image": image, "platform": platform });
        let fetch = |step: &show::Step| {
            block_on(client.long("/prefetch", &body, |text| step.progress(text)))
        };
        show::each(image, fetch, |done| {
            done["digest"].as_str().unwrap_or_default().to_owned()
        })
    };
    let fetched: Vec<Result<Value, String>> = images.iter().map(one).collect();
    show::fetched("image", images, fetched, as_json)
}
