//! Whether other machines of the network can reach the platform, and by which addresses.
//!
//! Three things are needed: a listener that is not on loopback, a domain whose names lead here from
//! elsewhere, and HTTPS, as passwords cross the network.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use anyhow::bail;

use crate::config::{Config, Origin};
use crate::platform::Running;

/// Where participants find the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) console: String,
    /// What `cf` is told.
    pub(super) api: String,
    /// The scheme and port of apps, around their host.
    pub(super) apps: (String, String),
}

/// The facts that decide.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) bind: IpAddr,
    pub(super) domain: String,
    /// What names below the domain resolve to.
    pub(super) resolved: Vec<IpAddr>,
    /// This machine's address in its network, if it has one.
    pub(super) own: Option<IpAddr>,
    /// How commands find this platform: ` --data-dir …`, or nothing.
    pub(super) place: String,
}

impl Facts {
    /// Asks this machine.
    pub(super) fn of(running: &Running, config: &Config) -> Self {
        let host = format!("console.{}", running.domain);
        let resolved = (host.as_str(), 443).to_socket_addrs();
        Self {
            bind: running.bind,
            domain: running.domain.clone(),
            resolved: resolved.map_or_else(|_| Vec::new(), |all| all.map(|one| one.ip()).collect()),
            own: own_address(),
            place: match config.origins.get("data-dir") {
                Some(Origin::Flag) => format!(" --data-dir {}", config.data_dir.display()),
                _ => String::new(),
            },
        }
    }
}

/// The address from which this machine would ask others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // An address for documentation (RFC 5737).
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Refuses with the command that would help.
pub(super) fn check(facts: &Facts) -> anyhow::Result<()> {
    let is_local = facts.domain == "localhost" || facts.domain.ends_with(".localhost");
    let command = advice(facts, is_local);
    if facts.bind.is_loopback() {
        bail!(
            "other machines cannot reach the platform: it listens on {} only. Start it with\n  {command}",
            facts.bind
        );
    }
    if is_local {
        bail!(
            "on other machines {} leads to themselves. Start the platform with\n  {command}",
            facts.domain
        );
    }
    if !facts.resolved.iter().any(|address| !address.is_loopback()) {
        let found = facts.resolved.first();
        let found = found.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        bail!(
            "console.{} resolves to {found}, so that other machines do not find the platform. Let a \
             DNS server of the network answer *.{} with {}, or start the platform with\n  {command}",
            facts.domain,
            facts.domain,
            facts.own.map_or_else(
                || "this machine's address".to_owned(),
                |own| own.to_string()
            ),
        );
    }
    Ok(())
}

fn advice(facts: &Facts, needs_domain: bool) -> String {
    let domain = match facts.own {
        _ if !needs_domain && !facts.resolved.is_empty() => facts.domain.clone(),
        // A public DNS server answers these names with the address in them.
        Some(own) => format!("{own}.nip.io"),
        None => "YOUR.DOMAIN".to_owned(),
    };
    let place = &facts.place;
    format!("cflite down{place} && cflite up{place} --bind 0.0.0.0 --domain {domain}")
}

/// The addresses on the page.
pub(super) fn addresses(running: &Running, shared: bool) -> Addresses {
    if !shared {
        let around = running.app_url("*");
        let (before, after) = around.split_once('*').unwrap_or((&around, ""));
        return Addresses {
            console: running.console_url(),
            api: running.resolvable_api_url(),
            apps: (before.to_owned(), after.to_owned()),
        };
    }
    let port = match running.https_port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    Addresses {
        console: format!("https://console.{}{port}", running.domain),
        api: running.https_api_url(),
        apps: ("https://".to_owned(), port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_that_others_cannot_reach_is_refused_with_the_command() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let facts = |bind: &str, domain: &str, resolved: &[&str]| Facts {
            bind: ip(bind),
            domain: domain.to_owned(),
            resolved: resolved.iter().map(|one| ip(one)).collect(),
            own: Some(ip("192.168.1.20")),
            place: String::new(),
        };
        let nip = "cflite down && cflite up --bind 0.0.0.0 --domain 192.168.1.20.nip.io";
        for (facts, fault, command) in [
            (
                facts("127.0.0.1", "cf.localhost", &["127.0.0.1"]),
                "listens on 127.0.0.1 only",
                nip,
            ),
            (
                facts("127.0.0.1", "cf.lan", &["192.168.1.20"]),
                "listens on 127.0.0.1 only",
                "cflite up --bind 0.0.0.0 --domain cf.lan",
            ),
            (
                facts("0.0.0.0", "cf.localhost", &["127.0.0.1"]),
                "leads to themselves",
                nip,
            ),
            (
                facts("0.0.0.0", "cf.lan", &[]),
                "console.cf.lan resolves to nothing",
                "*.cf.lan with 192.168.1.20",
            ),
            (
                facts("::", "cf.lan", &["127.0.1.1"]),
                "resolves to 127.0.1.1",
                nip.split_once("--domain").map_or(nip, |(before, _)| before),
            ),
        ] {
            let error = check(&facts).expect_err("refused").to_string();
            assert!(error.contains(fault), "{error}");
            assert!(error.contains(command), "{error}");
        }
        check(&facts("0.0.0.0", "cf.lan", &["192.168.1.20"])).expect("it is reachable");
        check(&facts("192.168.1.20", "cf.lan", &["192.168.1.20"])).expect("it is reachable");
    }
}
