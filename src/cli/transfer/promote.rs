//! `cflite promote`: takes an app to another Cloud Foundry with the droplet that runs here.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::{Session, block_on, credentials, explain, process, show};
use super::assess::{Finding, Verdict, assess};
use super::carry::{Changes, carry, renamed};
use super::offers::{self, Offers};
use super::parcel::Parcel;
use super::place::There;

/// Which app, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The app there gets the very droplet that runs here, or the reference of its Docker image, its manifest
with the values of its environment, the services of the same names, and its routes under a domain there.
Everything that is missing there is named before anything is changed; `cflite check` only looks.

cflite promote shop --to https://api.example.com --org acme --space prod
CFLITE_TARGET_PASSWORD=… cflite promote shop --to https://api.example.com --user ada --org acme --space prod")]
pub(in crate::cli) struct Promote {
    /// APP, SPACE/APP or ORGANIZATION/SPACE/APP
    app: String,
    /// The API of the other Cloud Foundry
    #[arg(long, value_name = "API")]
    to: String,
    #[command(flatten)]
    there: There,
    /// Domain there for the routes of the app [default: the usual one]
    #[arg(long = "to-domain", value_name = "NAME")]
    to_domain: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(in crate::cli) fn run(session: Session, arguments: &Promote) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    let told = |findings: &[Finding], app: Option<&str>| {
        if session.json {
            show::json(&document(findings, app));
        }
    };
    block_on(async {
        let here = Client::sign_in(&running, &password).await?;
        let guid = explain::find(&here, &arguments.app).await?;
        let parcel = Parcel::read(&here, &guid).await?;
        let there = arguments.there.sign_in(&arguments.to).await?;
        let space = there.space().await?;
        let domain = arguments.to_domain.as_deref();
        let offers = offers::find(&here, &there, &parcel, domain).await?;
        let findings = assess(&parcel, &offers);
        if !session.json {
            super::table(&findings);
        }
        let (name, api) = (&parcel.name, &there.api);
        if super::is_blocked(&findings) {
            told(&findings, None);
            bail!("{name} cannot run at {api} yet; nothing was changed there");
        }
        if arguments.dry_run {
            told(&findings, None);
            return Ok(ExitCode::SUCCESS);
        }
        let org = there.org.as_deref().unwrap_or_default();
        let question = format!("Push {name} to {api} in {org}/{}?", space.name);
        if !arguments.yes && !show::confirm(&question) {
            show::note("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
        let changes = changes(&parcel, &offers);
        let step = show::Step::begin(&format!("promote {name}"));
        let clients = (&here, &there.client);
        match carry(&parcel, clients, &space.guid, &changes, &step).await {
            Ok(app) => {
                step.done("");
                told(&findings, Some(&app));
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                step.failed(&format!("{error:#}"));
                bail!("{name} is not complete there; the same command does the rest")
            }
        }
    })
}

fn document(findings: &[Finding], app: Option<&str>) -> Value {
    let all: Value = findings.iter().map(Finding::as_json).collect();
    json!({ "findings": all, "app": app })
}

/// What is otherwise there.
fn changes(parcel: &Parcel, offers: &Offers) -> Changes {
    let routes = parcel.manifest.get("routes").and_then(Value::as_array);
    let routes = routes.into_iter().flatten().filter_map(|route| {
        let name = offers.domains.mapped(route["route"].as_str()?)?;
        Some(renamed(route, &name))
    });
    let findings = assess(parcel, offers);
    let unknown = { findings.iter() }
        .filter(|one| one.what == "buildpack" && one.verdict == Verdict::Differs)
        .map(|one| one.here.clone());
    Changes {
        routes: routes.collect(),
        without: Vec::new(),
        unknown: unknown.collect(),
    }
}
