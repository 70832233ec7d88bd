//! `cflite services`: data services, what happened to them, and their backups.

mod backups;

use std::process::ExitCode;

use serde::Deserialize;

use super::registry_client::Client;
use super::{Session, show};

/// What to do with data services.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Show the databases and other services that run as containers of this machine
    List,
    /// Show a service, and what happened to it
    Show {
        /// Name or guid of the service instance
        name: String,
    },
    /// Show the backups of services, also of deleted ones
    Backups {
        /// Only those of this service instance, by its name or guid
        name: Option<String>,
    },
    /// Save a backup into a file
    Download {
        /// Id of the backup
        backup: String,
        /// Where to; `-` is the standard output [default: ID.EXTENSION]
        file: Option<String>,
    },
    /// Remove a backup for ever
    DeleteBackup {
        /// Id of the backup
        backup: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Deserialize)]
struct All {
    data_services: Vec<Service>,
}

#[derive(Deserialize)]
pub(super) struct Service {
    guid: String,
    name: String,
    offering: String,
    plan: String,
    version: String,
    running: bool,
    operation: Operation,
    memory_mb: i64,
    storage_mb: Option<i64>,
    storage_used_mb: Option<i64>,
    ports: std::collections::BTreeMap<String, u16>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Operation {
    r#type: String,
    state: String,
    description: String,
}

#[derive(Deserialize)]
struct Event {
    at: String,
    text: String,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = Client::of_running(&session.options.resolve()?, "data_services")?;
    match arguments {
        Arguments::List => list(&client, session.json),
        Arguments::Show { name } => describe(&client, name, session.json),
        Arguments::Backups { name } => backups::list(&client, name.as_deref(), session.json),
        Arguments::Download { backup, file } => backups::download(&client, backup, file.as_deref()),
        Arguments::DeleteBackup { backup, yes } => backups::delete(&client, backup, *yes),
    }
}

fn list(client: &Client, as_json: bool) -> anyhow::Result<ExitCode> {
    let found = client.list()?;
    if as_json {
        show::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let all: All = serde_json::from_value(found)?;
    if all.data_services.is_empty() {
        show::note(
            "There are no data services; `cf marketplace` shows what there is, `cf create-service` makes one.",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = all.data_services.iter().map(row).collect();
    show::table(
        &[
            "name", "offering", "plan", "version", "memory", "state", "guid",
        ],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}

fn row(service: &Service) -> Vec<String> {
    vec![
        service.name.clone(),
        service.offering.clone(),
        service.plan.clone(),
        service.version.clone(),
        format!("{} MB", service.memory_mb),
        state(service),
        service.guid.clone(),
    ]
}

fn state(service: &Service) -> String {
    let operation = &service.operation;
    match (operation.state.as_str(), service.running) {
        ("succeeded", true) => "running".to_owned(),
        ("succeeded", false) => "down".to_owned(),
        (state, _) => format!("{} {state}", operation.r#type),
    }
}

/// The guid of a service; names may be used in several spaces.
fn guid_of(client: &Client, name: &str) -> anyhow::Result<String> {
    let all: All = serde_json::from_value(client.list()?)?;
    let named: Vec<&Service> = { all.data_services.iter() }
        .filter(|service| service.name == name || service.guid == name)
        .collect();
    match named[..] {
        [] => anyhow::bail!("there is no data service {name}; `cflite services list` shows all"),
        [one] => Ok(one.guid.clone()),
        _ => {
            let guids: Vec<&str> = named.iter().map(|service| service.guid.as_str()).collect();
            anyhow::bail!(
                "several services are called {name}; use a guid: {}",
                guids.join(", ")
            )
        }
    }
}

fn describe(client: &Client, name: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let guid = guid_of(client, name)?;
    let found = client.get(&format!("/{guid}"))?;
    if as_json {
        show::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let service: Service = serde_json::from_value(found)?;
    let ports = service.ports.iter();
    let ports: Vec<String> = ports
        .map(|(name, port)| format!("127.0.0.1:{port} ({name})"))
        .collect();
    let storage = match (service.storage_mb, service.storage_used_mb) {
        (Some(all), Some(used)) => format!("{used} of {all} MB"),
        (Some(all), None) => format!("{all} MB"),
        _ => "nothing is stored".to_owned(),
    };
    let rows = [
        ("name", service.name.clone()),
        ("guid", service.guid.clone()),
        ("offering", format!("{} {}", service.offering, service.plan)),
        ("version", service.version.clone()),
        ("state", state(&service)),
        ("message", service.operation.description.clone()),
        ("memory", format!("{} MB", service.memory_mb)),
        ("storage", storage),
        ("reached at", ports.join(", ")),
    ];
    for (name, value) in rows {
        show::line(&format!("{name:<11} {value}"));
    }
    if !service.events.is_empty() {
        show::line("");
        let rows: Vec<Vec<String>> = { service.events.iter() }
            .map(|event| vec![event.at.clone(), event.text.clone()])
            .collect();
        show::table(&["time", "event"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}
