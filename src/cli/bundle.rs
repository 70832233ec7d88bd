//! `cflite bundle create` and `bundle load`: everything that a machine without a network needs, in one
//! file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::client::json_of;
use super::registry_client::Client;
use super::{Session, block_on, show};
use crate::base::private_file::NewFile;
use crate::config::Config;
use crate::docker::Engine;
use crate::platform;
use crate::staging::images;

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(1);
const CHUNK: usize = 256 * 1024;

/// What to do with a bundle.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Write the stack and copies of other registries' images into a file
    Create {
        /// The file; it appears when it is complete
        file: PathBuf,
        /// A copy to include; may be repeated [default: all]
        #[arg(long = "image", value_name = "IMAGE")]
        images: Vec<String>,
        /// Leave the stack out
        #[arg(long)]
        without_stack: bool,
    },
    /// Load a file into the running platform; it is checked as a whole before anything is loaded
    Load {
        /// The file
        file: PathBuf,
    },
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let as_json = session.json;
    let config = session.options.resolve()?;
    let client = Client::of_running(&config, "registry")?;
    let done = match arguments {
        Arguments::Create {
            file,
            images,
            without_stack,
        } => block_on(async {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(images.iter().map(|image| ("image", image)));
            if !without_stack {
                let stack = stack(&config, &client).await?;
                query.extend_pairs(stack.iter().map(|image| ("own", image)));
            }
            create(&client, file, &query.finish()).await
        })?,
        Arguments::Load { file } => block_on(load(&client, file))?,
    };
    if as_json {
        show::json(&done);
    }
    Ok(ExitCode::SUCCESS)
}

/// The stack's images, which the registry has then.
async fn stack(config: &Config, client: &Client) -> anyhow::Result<Vec<String>> {
    let engine = platform::connect_docker(config);
    let mut current = images::list(&*engine).await?;
    current.retain(|image| image.current);
    if current.len() < images::PER_STACK {
        bail!(
            "the stack images are not complete: build them with `cflite images build`, or leave them out with \
             --without-stack"
        );
    }
    let held = json_of(client.request(Method::GET, "").send().await?).await?;
    let mut names = Vec::new();
    for image in current {
        let name = image.reference;
        if !holds(&held, &name) {
            copy_to_registry(&*engine, client, &name).await?;
        }
        names.push(name);
    }
    Ok(names)
}

fn holds(held: &Value, name: &str) -> bool {
    let images = held["images"].as_array().into_iter().flatten();
    let mut same = images.filter(|image| {
        let tags = image["tags"].as_array().into_iter().flatten();
        let repository = image["repository"].as_str().unwrap_or_default();
        let mut tags = tags.filter_map(Value::as_str);
        tags.any(|tag| name == format!("{repository}:{tag}"))
    });
    same.next().is_some()
}

async fn copy_to_registry(engine: &dyn Engine, client: &Client, name: &str) -> anyhow::Result<()> {
    let step = show::Step::begin(&format!("copy {name} into the registry"));
    let saved = engine.save(name).await?;
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("name", name)
        .finish();
    let request = client.request(Method::POST, &format!("/saved?{query}"));
    let body = Body::wrap_stream(ReaderStream::with_capacity(saved, CHUNK));
    json_of(request.body(body).send().await?).await?;
    step.done("");
    Ok(())
}

async fn create(client: &Client, file: &Path, query: &str) -> anyhow::Result<Value> {
    let step = show::Step::begin(&format!("write {}", file.display()));
    match write(client, file, query, &step).await {
        Ok(size) => {
            step.done(&show::bytes(size));
            Ok(json!({ "file": file, "size": size }))
        }
        Err(error) => {
            step.failed("");
            Err(error)
        }
    }
}

async fn write(
    client: &Client,
    file: &Path,
    query: &str,
    step: &show::Step,
) -> anyhow::Result<u64> {
    let answer = client.request(Method::GET, &format!("/bundle?{query}"));
    let answer = answer.send().await?;
    if !answer.status().is_success() {
        json_of(answer).await?;
        bail!("the platform answered without a bundle");
    }
    let cannot = || format!("cannot write {}", file.display());
    let mut out = NewFile::begin(file).with_context(cannot)?;
    let (mut size, mut shown) = (0_u64, Instant::now());
    let mut bytes = answer.bytes_stream();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.context("the platform stopped before the end; see `cflite logs`")?;
        out.append(&chunk).with_context(cannot)?;
        size += chunk.len() as u64;
        if shown.elapsed() > PROGRESS {
            shown = Instant::now();
            step.progress(&show::bytes(size));
        }
    }
    out.finish().with_context(cannot)?;
    Ok(size)
}

async fn load(client: &Client, file: &Path) -> anyhow::Result<Value> {
    let cannot = || format!("cannot read {}", file.display());
    let source = File::open(file).await.with_context(cannot)?;
    let size = source.metadata().await.with_context(cannot)?.len();
    let step = show::Step::begin(&format!("load {}", file.display()));
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let chunks = ReaderStream::with_capacity(source, CHUNK).inspect(move |chunk| {
        let length = chunk.as_ref().map_or(0, bytes::Bytes::len);
        counter.fetch_add(length as u64, Ordering::Relaxed);
    });
    let request = client.request(Method::POST, "/bundle");
    let request = request.body(Body::wrap_stream(chunks));
    let loading = async { json_of(request.send().await?).await };
    tokio::pin!(loading);
    let mut ticks = tokio::time::interval(PROGRESS);
    let loaded = loop {
        tokio::select! {
            loaded = &mut loading => break loaded,
            _ = ticks.tick() => {
                let sent = show::bytes(sent.load(Ordering::Relaxed));
                step.progress(&format!("{sent} of {}", show::bytes(size)));
            }
        }
    };
    match loaded {
        Ok(loaded) => {
            let names = loaded["images"].as_array().into_iter().flatten();
            let names: Vec<&str> = names.filter_map(Value::as_str).collect();
            step.done(&names.join(", "));
            Ok(loaded)
        }
        Err(error) => {
            step.failed("");
            Err(error)
        }
    }
}
