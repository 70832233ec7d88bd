//! `cflite status`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::process::State;
use super::{Session, block_on, client, process, show};
use crate::platform::Paused;

pub(super) fn run(session: Session) -> anyhow::Result<ExitCode> {
    let json = session.json;
    let config = session.options.resolve()?;
    let found = process::find(&config.data_dir)?;
    let changing = matches!(found, State::Changing(_));
    let Some(running) = found.running() else {
        show_not_running(json, changing, &config.data_dir);
        return Ok(ExitCode::from(3));
    };
    let health = block_on(client::health(&running))?;
    if json {
        show::json(&json!({ "running": true, "platform": running, "health": health }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![
        vec!["process".to_owned(), running.pid.to_string()],
        vec!["version".to_owned(), running.version.clone()],
        vec!["since".to_owned(), running.started_at.to_string()],
        vec!["API".to_owned(), running.api_url()],
        vec!["API (TLS)".to_owned(), running.https_api_url()],
        vec![
            "SSH".to_owned(),
            running.ssh_address().unwrap_or_else(|| "off".to_owned()),
        ],
        vec![
            "DNS".to_owned(),
            running
                .dns_address()
                .map_or_else(|| "off".to_owned(), |address| address.to_string()),
        ],
        vec!["data".to_owned(), config.data_dir.display().to_string()],
        vec!["docker".to_owned(), text(&health["docker"])],
        vec!["network".to_owned(), text(&health["network"])],
    ];
    let unavailable = health["unavailable_tcp_ports"].as_array();
    for port in unavailable.into_iter().flatten() {
        let text = "not open: another program has it; `cflite logs` names it";
        rows.push(vec![format!("TCP port {port}"), text.to_owned()]);
    }
    for (name, value) in health["counts"].as_object().into_iter().flatten() {
        rows.push(vec![name.clone(), text(value)]);
    }
    show::table(&["what", "value"], &rows);
    show::line("");
    show_workers(&health["workers"]);
    Ok(ExitCode::SUCCESS)
}

fn show_workers(workers: &Value) {
    let rows: Vec<Vec<String>> = workers
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, worker)| {
            let state = if worker["running"] == true {
                "running"
            } else {
                "stopped"
            };
            vec![
                name.clone(),
                state.to_owned(),
                text(&worker["restarts"]),
                text(&worker["last_error"]),
            ]
        })
        .collect();
    show::table(&["worker", "state", "restarts", "last error"], &rows);
}

/// Reports that no platform runs on `data_dir`.
fn show_not_running(json: bool, changing: bool, data_dir: &Path) {
    let folder = data_dir.display();
    if json {
        show::json(&json!({
            "running": false,
            "starting_or_stopping": changing,
            "paused": Paused::read(data_dir).is_some(),
            "data_dir": data_dir,
        }));
    } else if changing {
        show::line(&format!("cflite is starting or stopping on {folder}"));
    } else {
        match Paused::read(data_dir) {
            Some(paused) => {
                show::line(&format!("cflite is paused on {folder} since {}", paused.at));
                show::note("`cflite resume` goes on.");
            }
            None => {
                show::line(&format!("cflite is not running on {folder}"));
                show::note("Start it with `cflite up`.");
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
