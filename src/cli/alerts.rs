//! `cflite alerts`: what needs a person now.

use std::process::ExitCode;

use serde::Deserialize;

use super::registry_client::Client;
use super::{Session, show};

/// What to do with alerts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Show the alerts that hold
    List,
    /// Send a test to everybody who is told of alerts, and show what became of it
    Test,
}

#[derive(Deserialize)]
struct All {
    alerts: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    severity: String,
    summary: String,
    detail: String,
    since: String,
    count: u64,
}

#[derive(Deserialize)]
struct Tested {
    sinks: Vec<Sink>,
}

#[derive(Deserialize)]
struct Sink {
    sink: String,
    error: Option<String>,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = Client::of_running(&session.options.resolve()?, "alerts")?;
    match arguments {
        Arguments::List => list(&client, session.json),
        Arguments::Test => test(&client, session.json),
    }
}

fn list(client: &Client, as_json: bool) -> anyhow::Result<ExitCode> {
    let listed = client.list()?;
    if as_json {
        show::json(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    let all: All = serde_json::from_value(listed)?;
    if all.alerts.is_empty() {
        show::line("No alerts: nothing needs a person.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = { all.alerts.into_iter() }
        .map(|told| {
            let count = told.count.to_string();
            vec![told.severity, told.since, count, told.summary, told.detail]
        })
        .collect();
    show::table(&["severity", "since", "raised", "what", "detail"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn test(client: &Client, as_json: bool) -> anyhow::Result<ExitCode> {
    let answered = client.post("/test")?;
    if as_json {
        show::json(&answered);
    }
    let tested: Tested = serde_json::from_value(answered)?;
    let is_told = tested.sinks.iter().all(|sink| sink.error.is_none());
    if !as_json {
        if tested.sinks.is_empty() {
            show::line("Only the log is told; name others with the option --alert of cflite up.");
        }
        let rows: Vec<Vec<String>> = { tested.sinks.into_iter() }
            .map(|sink| vec![sink.sink, sink.error.unwrap_or_else(|| "told".to_owned())])
            .collect();
        if !rows.is_empty() {
            show::table(&["who", "result"], &rows);
        }
    }
    Ok(if is_told {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
