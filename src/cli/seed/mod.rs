//! `cflite seed`: makes organizations, spaces, users, quotas, services and apps what one file says.
//!
//! It works through the public API with the admin's account. `file` is what the file wants, `found`
//! reads what there is, `plan` compares them without effects, and `apply` does what differs, in the
//! order of the plan. Nothing that the file does not name is changed or deleted.

mod apply;
mod apps;
mod file;
mod found;
mod plan;
pub(super) mod quota;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::{Session, block_on, credentials, deploy, process, show};
use plan::{Change, Item, Thing};

pub(super) use apply::{assign, org_quota};
pub(super) use apps::{apply as push_app, is_seeded};
pub(super) use file::{App, Source, app as app_of};

/// Which file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file, with every key that may be left out in brackets below what it belongs to:

  feature_flags: {diego_docker: true}
  quotas: [{name: small, memory: 2G, instances: 10, services: 5}]
  users: [{name: ada, password_env: ADA_PASSWORD}]
  orgs:
  - name: acme
    quota: small
    managers: [ada]
    spaces:
    - name: dev
      developers: [ada]
      services:
      - {name: db, offering: postgresql, plan: small}
      - {name: mail, credentials: {uri: 'smtp://mail'}}
      apps:
      - {name: web, path: ../web, memory: 128M, services: [db]}
      - {name: page, docker: {image: 'nginx:1'}}

docs/seed.md has all keys. It shows what differs, asks, and changes only that. What the file does
not name stays as it is; nothing is deleted.")]
pub(super) struct Arguments {
    /// File with what there has to be
    file: PathBuf,
    /// Only show what differs
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = file::read(&text, folder).with_context(|| path.display().to_string())?;
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        let found = found::find(&client, &file).await?;
        let items = plan::plan(&file, &found).with_context(|| path.display().to_string())?;
        let offered = check_offers(&client, &items).await;
        offered.with_context(|| path.display().to_string())?;
        if session.json {
            show::json(&items.iter().map(as_json).collect());
        } else {
            show_items(&items);
        }
        let is_done = items.iter().all(|item| item.change == Change::Nothing);
        if is_done || arguments.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        if !arguments.yes && !show::confirm("Apply these changes?") {
            show::note("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
        apply_all(&client, &items).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn apply_all(client: &Client, items: &[Item<'_>]) -> anyhow::Result<()> {
    for item in items {
        if item.change == Change::Nothing {
            continue;
        }
        let (kind, name) = item.thing.shown();
        let step = show::Step::begin(&format!("{kind} {name}"));
        if let Err(error) = apply::apply(client, item, &step).await {
            step.failed(&format!("{error:#}"));
            bail!(
                "the {kind} {name} is not as the file wants it; what comes after it was not done. \
                 The next run goes on there"
            );
        }
        step.done("");
    }
    Ok(())
}

/// Refuses services that the marketplace does not offer, before anything is changed.
async fn check_offers(client: &Client, items: &[Item<'_>]) -> anyhow::Result<()> {
    for item in items {
        if let (Thing::Managed(.., wanted), Change::Create) = (item.thing, &item.change) {
            let (_, name) = item.thing.shown();
            let plan = deploy::plan_guid(client, &wanted.offering, &wanted.plan).await;
            plan.with_context(|| format!("service {name}"))?;
        }
    }
    Ok(())
}

fn as_json(item: &Item<'_>) -> Value {
    let (kind, name) = item.thing.shown();
    let (change, differences) = match &item.change {
        Change::Create => ("create", &[][..]),
        Change::Update(differences) => ("update", &differences[..]),
        Change::Nothing => ("none", &[][..]),
    };
    json!({ "kind": kind, "name": name, "change": change, "differences": differences })
}

fn show_items(items: &[Item<'_>]) {
    let rows: Vec<Vec<String>> = { items.iter() }
        .map(|item| {
            let (kind, name) = item.thing.shown();
            let (mark, text) = match &item.change {
                Change::Create => ("+", "create".to_owned()),
                Change::Update(differences) => ("~", differences.join(", ")),
                Change::Nothing => ("=", "unchanged".to_owned()),
            };
            vec![mark.to_owned(), kind.to_owned(), name, text]
        })
        .collect();
    show::table(&["", "kind", "name", "change"], &rows);
}
