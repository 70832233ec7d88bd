//! Backups of data services.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;

use super::super::registry_client::Client;
use super::super::show;
use crate::base::private_file;

#[derive(Deserialize)]
struct All {
    backups: Vec<Backup>,
}

#[derive(Deserialize)]
struct Backup {
    guid: String,
    service_instance_guid: String,
    service_instance_name: String,
    offering: String,
    version: String,
    extension: String,
    size: u64,
    tag: String,
    reason: String,
    created_at: String,
    expires_at: Option<String>,
}

pub(super) fn list(client: &Client, name: Option<&str>, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut found = client.get("/backups")?;
    if let Some(name) = name
        && let Some(all) = found["backups"].as_array_mut()
    {
        all.retain(|one| {
            one["service_instance_name"] == name || one["service_instance_guid"] == name
        });
    }
    if as_json {
        show::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let all: All = serde_json::from_value(found)?;
    if all.backups.is_empty() {
        show::note(
            "There are no backups; `cf update-service NAME -c '{\"backup\":\"now\"}'` makes one.",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = all.backups.iter().map(row).collect();
    let header = [
        "id",
        "service",
        "offering",
        "size",
        "tag",
        "reason",
        "made",
        "kept until",
    ];
    show::table(&header, &rows);
    Ok(ExitCode::SUCCESS)
}

fn row(backup: &Backup) -> Vec<String> {
    vec![
        backup.guid.clone(),
        backup.service_instance_name.clone(),
        format!("{} {}", backup.offering, backup.version),
        show::bytes(backup.size),
        backup.tag.clone(),
        backup.reason.clone(),
        backup.created_at.clone(),
        backup.expires_at.clone().unwrap_or_default(),
    ]
}

pub(super) fn download(client: &Client, id: &str, file: Option<&str>) -> anyhow::Result<ExitCode> {
    let backup: Backup = serde_json::from_value(client.get(&format!("/backups/{id}"))?)?;
    let name = format!("{}.{}", backup.guid, backup.extension);
    let path = file.unwrap_or(&name);
    let mut out: Box<dyn Write> = if path == "-" {
        Box::new(std::io::stdout())
    } else {
        let made = private_file::options()
            .write(true)
            .create_new(true)
            .open(path);
        Box::new(made.with_context(|| format!("cannot create {path}"))?)
    };
    let size = client.download(&format!("/backups/{id}/download"), &mut out)?;
    anyhow::ensure!(
        size == backup.size,
        "the download broke off after {size} of {} bytes",
        backup.size
    );
    if path != "-" {
        show::note(&format!("Saved {} in {path}.", show::bytes(size)));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn delete(client: &Client, id: &str, yes: bool) -> anyhow::Result<ExitCode> {
    let backup: Backup = serde_json::from_value(client.get(&format!("/backups/{id}"))?)?;
    let question = format!(
        "Remove the backup {id} of {} ({}) for ever?",
        backup.service_instance_name, backup.service_instance_guid
    );
    if !yes && !show::confirm(&question) {
        return Ok(ExitCode::FAILURE);
    }
    client.delete(&format!("/backups/{id}"))?;
    show::note("Removed.");
    Ok(ExitCode::SUCCESS)
}
