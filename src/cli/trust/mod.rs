//! `cflite trust`: the platform's own certificate authority for the programs and browsers of this
//! machine.
//!
//! Programs use the store of the system; Chromium and Firefox have databases of their own (NSS), which
//! belong to a user. Only what has our name is ever changed or removed.

mod browsers;
mod system;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::root::as_root;
use super::{Session, show};
use crate::base::public_file;
use crate::config::Config;
use crate::pki;
use browsers::Browsers;
use system::System;

/// What to do with the authority.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Trust the platform's certificates: in the system's store, in Chromium and in Firefox
    Install(Place),
    /// Trust them no longer
    Remove(Remove),
    /// Show who trusts them
    Status(Place),
    /// Write the authority's certificate (PEM)
    Export(Export),
}

/// Where files are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Folder in which `etc` and `usr` are
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What to remove.
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// Also the authorities of other platforms, as of those that are gone
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

/// Where to write.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// File to write [default: standard output]
    file: Option<PathBuf>,
}

/// The platform's authority.
struct Authority {
    pem: String,
    /// A part of its fingerprint, which distinguishes it from those of other platforms.
    id: String,
}

/// What happened to a store, or what it has.
struct Line {
    store: String,
    state: &'static str,
    /// Why it is not as wanted.
    why: Option<String>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let json = session.json;
    let config = session.options.clone().resolve()?;
    match arguments {
        Arguments::Install(place) => install(&config, &place.root, json),
        Arguments::Remove(arguments) => remove(&config, arguments, json),
        Arguments::Status(place) => status(&config, &place.root, json),
        Arguments::Export(export) => write(&config, export),
    }
}

impl Authority {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let Some(pem) = pki::authority_in(&config.data_dir.join("pki"))? else {
            bail!(
                "there is no platform in {} yet: `cflite up` makes its authority",
                config.data_dir.display()
            );
        };
        let chain = pki::client::certificates(&pem).unwrap_or_default();
        let der = chain.first().context("the authority has no certificate")?;
        let mut id = hex::encode(Sha256::digest(der));
        id.truncate(12);
        Ok(Self { pem, id })
    }
}

fn install(config: &Config, root: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (authority, system) = (Authority::of(config)?, System::at(root)?);
    let mut lines = Browsers::of_user(root).install(&authority);
    match system.install(&authority) {
        Ok(line) => lines.insert(0, line),
        Err(error) => return refused(error, config, "install", &lines, json),
    }
    report(&lines, json);
    if !json {
        show::note("Programs and browsers that run notice it when they are started again.");
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &Config, arguments: &Remove, json: bool) -> anyhow::Result<ExitCode> {
    let authority = if arguments.all {
        None
    } else {
        Some(Authority::of(config)?)
    };
    let (root, id) = (&arguments.place.root, authority.map(|one| one.id));
    let system = System::at(root)?;
    let mut lines = Browsers::of_user(root).remove(id.as_deref());
    match system.remove(id.as_deref()) {
        Ok(line) => lines.insert(0, line),
        Err(error) => return refused(error, config, "remove", &lines, json),
    }
    report(&lines, json);
    Ok(ExitCode::SUCCESS)
}

fn status(config: &Config, root: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let authority = Authority::of(config)?;
    let system = System::at(root)?.status(&authority);
    let is_trusted = system.state == TRUSTED;
    let mut lines = vec![system];
    lines.extend(Browsers::of_user(root).status(&authority));
    report(&lines, json);
    Ok(if is_trusted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

const TRUSTED: &str = "trusted";
const NOT_TRUSTED: &str = "not trusted";
const ADDED: &str = "added";
const REMOVED: &str = "removed";
const UNCHANGED: &str = "unchanged";
const LEFT_OUT: &str = "left out";

fn write(config: &Config, export: &Export) -> anyhow::Result<ExitCode> {
    let authority = Authority::of(config)?;
    match &export.file {
        Some(path) => std::path::absolute(path)
            .and_then(|full| public_file::replace(&full, authority.pem.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => show::print(&authority.pem),
    }
    Ok(ExitCode::SUCCESS)
}

fn report(lines: &[Line], json: bool) {
    if json {
        let one =
            |line: &Line| json!({ "store": line.store, "state": line.state, "why": line.why });
        return show::json(&json!({ "stores": lines.iter().map(one).collect::<Vec<_>>() }));
    }
    for line in lines {
        let why = line.why.as_ref().map(|why| format!(": {why}"));
        show::line(&format!(
            "{}: {}{}",
            line.store,
            line.state,
            why.unwrap_or_default()
        ));
    }
}

/// The store of the system belongs to root.
fn refused(
    error: anyhow::Error,
    config: &Config,
    verb: &str,
    done: &[Line],
    json: bool,
) -> anyhow::Result<ExitCode> {
    let is_denied = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    report(done, json);
    if !is_denied {
        return Err(error);
    }
    let command = as_root(&format!("trust {verb}"), config);
    bail!("this user may not change the store of the system: run\n  {command}")
}
