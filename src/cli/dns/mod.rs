//! `cflite dns`: the names of the platform for the programs of this machine.
//!
//! What the machine has decides how ([`machine::Way`]): systemd-resolved gets a drop-in, macOS a file
//! for each domain, and others a block in their hosts file. Each is written whole and can be written
//! again; removing takes away only what has our mark.

mod machine;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::client::Client;
use super::root::as_root;
use super::{Session, block_on, credentials, process, show};
use crate::config::Config;
use crate::net::origin::PLATFORM_NAMES;
use crate::network::dns::{HOST_NAME, OWN_DOMAIN};
use crate::platform::Running;
use machine::{Change, Machine, Wanted};

/// What to do with names.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Let the programs of this machine find the names of the platform and its apps
    Install(Place),
    /// Take that away again
    Remove(Place),
    /// Show what the platform and this machine answer
    Status(Place),
}

/// Where files are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Folder in which `etc` and `run` are
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let json = session.json;
    let config = session.options.resolve()?;
    match arguments {
        Arguments::Install(place) => install(&config, &Machine::at(&place.root), json),
        Arguments::Remove(place) => remove(&config, &Machine::at(&place.root), json),
        Arguments::Status(place) => status::run(&config, &Machine::at(&place.root), json),
    }
}

fn install(config: &Config, machine: &Machine, json: bool) -> anyhow::Result<ExitCode> {
    let running = process::get(&config.data_dir)?;
    let wanted = wanted(config, &running)?;
    let changes = machine.install(&wanted)?;
    apply(config, machine, "install", &changes)?;
    let way = machine.way();
    if json {
        show::json(&json!({
            "way": way.name(),
            "changed": paths(&changes),
            "domains": wanted.domains,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    if changes.is_empty() {
        show::line(&format!("{} is up to date.", way.what()));
    }
    for change in &changes {
        show::line(&format!("{} {}", change.verb(), change.path.display()));
    }
    show::note(way.remark());
    if is_local(&running.domain) {
        show::note(&format!(
            "Most programs take *.localhost for this machine without asking, so {} works anyway.",
            running.domain
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &Config, machine: &Machine, json: bool) -> anyhow::Result<ExitCode> {
    let changes = machine.remove()?;
    apply(config, machine, "remove", &changes)?;
    if json {
        show::json(&json!({ "changed": paths(&changes) }));
    } else if changes.is_empty() {
        show::line("There is nothing of cflite to remove.");
    } else {
        for change in &changes {
            show::line(&format!("{} {}", change.verb(), change.path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the changes; says how to do it as root where this user may not.
fn apply(config: &Config, machine: &Machine, verb: &str, changes: &[Change]) -> anyhow::Result<()> {
    let refused = |path: &std::path::Path| {
        let command = as_root(&format!("dns {verb}"), config);
        format!(
            "this user may not write {}: run\n  {command}",
            path.display()
        )
    };
    for change in changes {
        match change.apply() {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                bail!(refused(&change.path))
            }
            Err(error) => {
                let path = change.path.display();
                return Err(error).with_context(|| format!("cannot write {path}"));
            }
        }
    }
    machine.reload(changes)
}

fn paths(changes: &[Change]) -> Vec<String> {
    let paths = changes.iter();
    paths.map(|one| one.path.display().to_string()).collect()
}

fn is_local(domain: &str) -> bool {
    domain == "localhost" || domain.ends_with(".localhost")
}

/// What the machine is to know.
fn wanted(config: &Config, running: &Running) -> anyhow::Result<Wanted> {
    let server: SocketAddr = running.dns_address().context(
        "the platform that runs has no DNS server: it is of an earlier version; restart it with `cflite up`",
    )?;
    let password = credentials::password(config)?;
    let (internal, hosts) = block_on(async {
        let client = Client::sign_in(running, &password).await?;
        let domains = client.all("/v3/domains?per_page=5000").await?;
        let routes = client.all("/v3/routes?per_page=5000").await?;
        let internal: Vec<&serde_json::Value> = domains
            .iter()
            .filter(|one| one["internal"] == true)
            .collect();
        let is_internal = |route: &serde_json::Value| {
            let domain = &route["relationships"]["domain"]["data"]["guid"];
            internal.iter().any(|one| one["guid"] == *domain)
        };
        let hosts = routes.iter().filter(|route| !is_internal(route));
        let hosts: Vec<String> = hosts.filter_map(host_of).collect();
        let names = internal.iter().filter_map(|one| one["name"].as_str());
        anyhow::Ok((names.map(str::to_owned).collect::<Vec<_>>(), hosts))
    })?;
    Ok(wanted_of(server, &running.domain, internal, hosts))
}

/// The host of a route.
fn host_of(route: &serde_json::Value) -> Option<String> {
    let url = route["url"].as_str()?;
    let host = url.split(['/', ':']).next().unwrap_or(url);
    Some(host.to_ascii_lowercase())
}

fn wanted_of(
    server: SocketAddr,
    domain: &str,
    internal: Vec<String>,
    routes: Vec<String>,
) -> Wanted {
    let is_below = |host: &String| {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let own = [domain, OWN_DOMAIN].map(str::to_owned).into_iter();
    // A wildcard route is all names below its domain.
    let others = { routes.iter() }
        .filter(|host| !is_below(host))
        .map(|host| host.trim_start_matches("*.").to_owned());
    let mut domains: Vec<String> = own.chain(internal).chain(others).collect();
    let mut seen = std::collections::HashSet::new();
    domains.retain(|domain| seen.insert(domain.clone()));
    let platform = PLATFORM_NAMES.iter().map(|name| format!("{name}.{domain}"));
    let named = routes.into_iter().filter(|host| !host.starts_with("*."));
    let own = [domain.to_owned(), HOST_NAME.to_owned()];
    let mut hosts: Vec<String> = own.into_iter().chain(platform).chain(named).collect();
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    Wanted {
        server,
        domains,
        hosts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_of_the_platform_and_of_routes_elsewhere() {
        let routes = [
            "shop.cf.example",
            "shop.example.org",
            "*.wild.example.org",
            "shop.example.org",
        ];
        let found = wanted_of(
            ([127, 0, 0, 1], 8053).into(),
            "cf.example",
            vec!["apps.internal".to_owned()],
            routes.map(str::to_owned).to_vec(),
        );
        assert_eq!(
            found.domains,
            [
                "cf.example",
                "cflite.internal",
                "apps.internal",
                "shop.example.org",
                "wild.example.org"
            ]
        );
        assert_eq!(
            found.hosts[..3],
            ["cf.example", "host.cflite.internal", "api.cf.example"]
        );
        let last = found.hosts.len() - 2;
        assert_eq!(found.hosts[last..], ["shop.cf.example", "shop.example.org"]);
    }

    #[test]
    fn the_host_of_a_route_has_no_port_or_path() {
        let host = |url: &str| host_of(&json!({ "url": url }));
        assert_eq!(
            host("Shop.cf.example/api").as_deref(),
            Some("shop.cf.example")
        );
        assert_eq!(
            host("tcp.cf.example:61001").as_deref(),
            Some("tcp.cf.example")
        );
        assert_eq!(host_of(&json!({})), None);
    }
}
