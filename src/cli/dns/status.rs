//! `cflite dns status`: what the platform answers, and what programs of this machine get.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::machine::Machine;
use super::{block_on, is_local, process, show};
use crate::config::Config;
use crate::network::dns::{self, HOST_NAME};

/// The most that a question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a name is, for the platform and for programs of this machine.
struct Asked {
    name: String,
    /// `Err` = why the server does not say.
    platform: Result<Vec<IpAddr>, String>,
    system: Vec<IpAddr>,
}

pub(super) fn run(config: &Config, machine: &Machine, json: bool) -> anyhow::Result<ExitCode> {
    let running = process::find(&config.data_dir)?.running();
    let server = running.as_ref().and_then(|running| running.dns_address());
    let domain = running.map_or_else(|| config.domain.clone(), |running| running.domain);
    let names = [
        format!("api.{domain}"),
        format!("some-app.{domain}"),
        HOST_NAME.to_owned(),
    ];
    let names = block_on(async {
        let mut all = Vec::new();
        for name in names {
            let platform = platform(server, &name).await;
            let system = system(name.clone()).await;
            all.push(Asked {
                name,
                platform,
                system,
            });
        }
        Ok(all)
    })?;
    if json {
        show::json(&document(server, &names, machine));
    } else {
        print(server, &names, machine, &domain);
    }
    // A hosts file has no wildcards, so that not every name can be the same.
    let agrees = |one: &Asked| one.platform.as_ref() == Ok(&one.system);
    Ok(if names.first().is_some_and(agrees) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn platform(server: Option<SocketAddr>, name: &str) -> Result<Vec<IpAddr>, String> {
    let Some(server) = server else {
        return Err("cflite is not running".to_owned());
    };
    let asked = dns::ask(server, name, PATIENCE).await;
    asked.map_err(|error| error.to_string())
}

/// As programs ask. A resolver may wait for a server that is not there.
async fn system(name: String) -> Vec<IpAddr> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A thread of its own: it may outlive the limit.
    std::thread::spawn(move || {
        let found = (name.as_str(), 80).to_socket_addrs();
        let mut found: Vec<IpAddr> = found
            .map(|all| all.map(|one| one.ip()).filter(IpAddr::is_ipv4).collect())
            .unwrap_or_default();
        found.dedup();
        // Nobody waits any more.
        drop(sender.send(found));
    });
    let found = tokio::time::timeout(PATIENCE, receiver).await;
    found.ok().and_then(Result::ok).unwrap_or_default()
}

fn document(server: Option<SocketAddr>, names: &[Asked], machine: &Machine) -> Value {
    let names = names.iter().map(|one| {
        let (found, error) = match &one.platform {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        json!({
            "name": one.name,
            "platform": found,
            "platform_error": error,
            "system": one.system,
        })
    });
    json!({
        "server": server,
        "way": machine.way().name(),
        "installed": machine.installed(),
        "names": names.collect::<Vec<_>>(),
    })
}

fn print(server: Option<SocketAddr>, names: &[Asked], machine: &Machine, domain: &str) {
    let server = server.map_or_else(|| "not running".to_owned(), |server| server.to_string());
    show::line(&format!("DNS server of the platform: {server}"));
    show::line(&format!(
        "This machine finds names by: {}",
        machine.way().name()
    ));
    let installed = machine.installed();
    if installed.is_empty() {
        show::line("Installed: nothing");
    }
    for path in installed {
        show::line(&format!("Installed: {}", path.display()));
    }
    show::line("");
    let text = |found: &[IpAddr]| {
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        if all.is_empty() {
            "nothing".to_owned()
        } else {
            all.join(", ")
        }
    };
    let rows: Vec<Vec<String>> = { names.iter() }
        .map(|one| {
            let platform = match &one.platform {
                Ok(found) => text(found),
                Err(error) => error.clone(),
            };
            vec![one.name.clone(), platform, text(&one.system)]
        })
        .collect();
    show::table(&["name", "the platform says", "this machine says"], &rows);
    if is_local(domain) {
        show::note(&format!(
            "Most resolvers take names below localhost for this machine and ask nobody, so {domain} needs \
             no DNS server."
        ));
    }
    if names.iter().any(|one| one.system.is_empty()) {
        show::note("`cflite dns install` lets this machine find the others.");
    }
}
