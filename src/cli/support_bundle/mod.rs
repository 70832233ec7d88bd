//! `cflite support-bundle`: what somebody needs who helps with a platform, in one file, without secrets.
//!
//! Each part is made of facts that are no secrets: versions, options as `cflite config` shows them, the
//! doctor's findings, health, numbers of rows. The log is the only free text. Then known secrets and
//! what looks like one are taken out of every part ([`redact`]), and a part that cannot be made says why.

mod redact;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use super::process::State;
use super::{Session, block_on, client, credentials, doctor, process, show, version};
use crate::base::private_file;
use crate::config::Config;
use crate::docker::{LABEL_KIND, LABEL_OWNER, Labels};
use crate::{db, platform};
use redact::Redactor;

/// The last lines of the platform's log.
const LINES: usize = 5000;
/// Files of the data dir that are secrets.
const SECRET_FILES: [&str; 2] = ["admin-password", "secret-key"];

/// Where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It has the version, the configuration, what `cflite doctor` found, status and health, the last lines of
the platform's log, the number of rows of each table, and what Docker says of itself and of the
platform's containers. It has no names, variables, logs or files of apps but those in the platform's
log; passwords, tokens and keys are taken out. Look into it before you send it: tar -xzOf FILE.")]
pub(super) struct Arguments {
    /// The file to write, such as support.tar.gz
    file: PathBuf,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let redactor = Redactor::new(secrets(&config))?;
    let mut parts: Vec<(&str, String)> = Vec::new();
    let mut add = |name: &'static str, part: anyhow::Result<Value>| {
        let part = part.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        parts.push((name, format!("{part:#}\n")));
    };
    let step = show::Step::begin("collect");
    add("version.json", Ok(version::document()));
    add("config.json", Ok(options(&config)));
    add("doctor.json", doctor::document(&config));
    add("status.json", status(&config));
    add("rows.json", rows(&config.data_dir));
    add("docker.json", block_on(docker(&config)));
    parts.push(("cflite.log", process::tail(&config.data_dir, LINES)));
    let written: Vec<(&str, String)> = { parts.iter() }
        .map(|(name, text)| (*name, redactor.redact(text)))
        .collect();
    let bytes = archive(&written)?;
    private_file::replace(&arguments.file, &bytes)
        .with_context(|| format!("cannot write {}", arguments.file.display()))?;
    step.done(&format!(
        "{}, {}",
        arguments.file.display(),
        show::bytes(bytes.len() as u64)
    ));
    if session.json {
        let names: Vec<&str> = written.iter().map(|(name, _)| *name).collect();
        show::json(&json!({ "file": arguments.file, "size": bytes.len(), "parts": names }));
    }
    Ok(ExitCode::SUCCESS)
}

/// The secrets that this user can know: they must not be in the bundle.
fn secrets(config: &Config) -> Vec<String> {
    let mut known = Vec::new();
    known.extend(
        credentials::password(config)
            .ok()
            .map(|password| password.expose().clone()),
    );
    for name in SECRET_FILES {
        if let Ok(bytes) = std::fs::read(config.data_dir.join(name)) {
            known.push(hex::encode(&bytes));
            known.extend(String::from_utf8(bytes));
        }
    }
    let workshop = std::fs::read(config.data_dir.join("workshop.json")).unwrap_or_default();
    let workshop: Value = serde_json::from_slice(&workshop).unwrap_or_default();
    for one in workshop["participants"].as_array().into_iter().flatten() {
        known.extend(one["password"].as_str().map(str::to_owned));
    }
    for name in [
        "CF_DOCKER_PASSWORD",
        "CFLITE_TARGET_PASSWORD",
        "CFLITE_BACKUP_PASSPHRASE",
    ] {
        known.extend(std::env::var(name).ok());
    }
    known
}

fn options(config: &Config) -> Value {
    let all = config.settings().into_iter().map(|one| {
        let value = json!({ "value": one.value, "from": one.origin.word() });
        (one.name.to_owned(), value)
    });
    Value::Object(all.collect())
}

fn status(config: &Config) -> anyhow::Result<Value> {
    Ok(match process::find(&config.data_dir)? {
        State::Running(running, _) => {
            let health = block_on(client::health(&running))?;
            json!({ "running": true, "platform": running, "health": health })
        }
        State::Changing(_) => json!({ "running": "starting or stopping" }),
        State::Stopped => json!({ "running": false }),
    })
}

fn rows(data_dir: &Path) -> anyhow::Result<Value> {
    let counts = db::row_counts(&data_dir.join("cflite.db"))?;
    let counts = counts
        .into_iter()
        .map(|(table, count)| (table, json!(count)));
    Ok(Value::Object(counts.collect::<Map<_, _>>()))
}

/// What the daemon says of itself and of the platform's containers, without their environment.
async fn docker(config: &Config) -> anyhow::Result<Value> {
    let engine = platform::connect_docker(config);
    let info = engine.info().await?;
    let mut owner = Labels::new();
    let id = platform::platform_id(&config.data_dir)?;
    owner.insert(LABEL_OWNER.to_owned(), id.unwrap_or_default());
    let containers = engine.list(&owner).await?;
    let containers = containers.iter().map(|one| {
        json!({
            "name": one.name,
            "kind": one.labels.get(LABEL_KIND),
            "image": one.image,
            "state": format!("{:?}", one.state),
            "created_at": one.created_at.to_string(),
        })
    });
    let containers: Value = containers.collect();
    Ok(json!({
        "version": info.version,
        "architecture": info.architecture,
        "cpus": info.cpus,
        "memory": info.memory,
        "containers_routable": info.containers_routable,
        "cgroup_version": info.facts.cgroup_version,
        "cgroup_driver": info.facts.cgroup_driver,
        "storage_driver": info.facts.storage_driver,
        "root_dir": info.facts.root_dir,
        "rootless": info.facts.rootless,
        "warnings": info.facts.warnings,
        "containers": containers,
    }))
}

fn archive(parts: &[(&str, String)]) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        let path = format!("cflite-support/{name}");
        tar.append_data(&mut header, path, text.as_bytes())?;
    }
    Ok(tar.into_inner()?.finish()?)
}
