//! Profiles: several platforms on one machine. Each has a data dir beside the default one, and a
//! configuration file in it with ports of its own, chosen when it is started for the first time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use super::values::default_data_dir;
use super::{ConfigError, Options, file};
use crate::base::private_file;

const LONGEST: usize = 32;
/// The first ports that profiles get: HTTP, HTTPS, SSH, registry, DNS.
const FIRST: [u16; 5] = [8081, 8444, 2223, 5001, 8054];
/// The first port of TCP routes that a profile gets, behind those of data services, and how many it gets.
const FIRST_TCP: u16 = 62_201;
const TCP_PORTS: u16 = 100;
/// Ranges from there on.
const TCP_RANGES: u16 = 33;
/// That of the platform that is no profile.
const USUAL_TCP: &str = "61001-61100";
/// Profiles on one machine.
const MOST: u16 = 100;

/// The data dir of a profile.
pub(super) fn data_dir(name: &str) -> Result<PathBuf, ConfigError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if !begins || name.len() > LONGEST || !name.bytes().all(allowed) {
        return Err(ConfigError::Value {
            option: "profile",
            reason: format!(
                "{name:?} is not the name of a profile: it has 1 to {LONGEST} lower-case letters, digits and \
                 dashes, and begins with a letter or a digit"
            ),
        });
    }
    Ok(folder_of_all().join(name))
}

fn folder_of_all() -> PathBuf {
    let mut folder = default_data_dir().into_os_string();
    folder.push("-profiles");
    folder.into()
}

/// The names of all profiles that were started, in order.
pub fn list() -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder_of_all()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if data_dir(&name).is_ok() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Gives a profile its ports, unless it has a configuration file. Those of other profiles are left to them,
/// whether they run or not.
pub fn prepare(options: &Options) -> Result<(), ConfigError> {
    let Some(name) = &options.profile else {
        return Ok(());
    };
    let folder = data_dir(name)?;
    let path = folder.join("cflite.toml");
    if path.exists() || options.config.is_some() {
        return Ok(());
    }
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ConfigError::Unreadable { path, source }
    };
    let (mut taken, mut taken_tcp) = (Vec::new(), Vec::new());
    for other in list().map_err(unreadable(&folder_of_all()))? {
        let path = data_dir(&other)?.join("cflite.toml");
        if path.exists() {
            let theirs = file::read(&path)?;
            taken.extend([theirs.http_port, theirs.https_port]);
            taken.extend([theirs.ssh_port, theirs.registry_port, theirs.dns_port]);
            taken_tcp.extend(theirs.tcp_ports);
        }
    }
    let taken: Vec<u16> = taken.into_iter().flatten().collect();
    let tcp = choose_tcp(&taken_tcp);
    let [http, https, ssh, registry, dns] = choose(&taken, is_free).ok_or_else(|| ConfigError::Value {
        option: "profile",
        reason: format!("there are no free ports for {name}: give it --http-port, --https-port and --registry-port"),
    })?;
    let text = format!(
        "# Ports of the profile {name}, chosen when it was started for the first time.\n\
         http-port = {http}\nhttps-port = {https}\nssh-port = {ssh}\nregistry-port = {registry}\n\
         dns-port = {dns}\ntcp-ports = \"{tcp}\"\n"
    );
    private_file::create_folder(&folder)
        .and_then(|()| private_file::replace(&path, text.as_bytes()))
        .map_err(unreadable(&path))
}

fn choose(taken: &[u16], is_free: impl Fn(u16) -> bool) -> Option<[u16; 5]> {
    let mut chosen = [0; 5];
    for (chosen, first) in chosen.iter_mut().zip(FIRST) {
        let mut candidates = first..first + MOST;
        *chosen = candidates.find(|port| !taken.contains(port) && is_free(*port))?;
    }
    Some(chosen)
}

/// The first range that no other profile has. When there is none it shares one: a
/// port that another platform has open is told of, and the others work.
fn choose_tcp(taken: &[String]) -> String {
    let mut all = (0..TCP_RANGES).map(|number| {
        let first = FIRST_TCP + number * TCP_PORTS;
        format!("{first}-{}", first + TCP_PORTS - 1)
    });
    let free = all.find(|range| !taken.contains(range));
    free.unwrap_or_else(|| USUAL_TCP.to_owned())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_folders() {
        for good in ["a", "2026", "work-shop"] {
            let folder = data_dir(good).expect(good);
            assert!(folder.ends_with(good), "{}", folder.display());
        }
        for bad in ["", "-a", "A", "a/b", "..", "a.b", &"x".repeat(33)] {
            data_dir(bad).expect_err(bad);
        }
    }

    #[test]
    fn ports_of_others_and_ports_in_use_are_left() {
        assert_eq!(choose(&[], |_| true), Some([8081, 8444, 2223, 5001, 8054]));
        assert_eq!(
            choose(&[8081, 5001], |port| port != 8082),
            Some([8083, 8444, 2223, 5002, 8054])
        );
        assert_eq!(choose(&[], |port| port < 8400), None);
    }

    #[test]
    fn every_profile_has_ports_of_its_own_for_tcp_routes() {
        let mut taken = Vec::new();
        for _ in 0..TCP_RANGES {
            let chosen = choose_tcp(&taken);
            assert!(!taken.contains(&chosen), "{chosen}");
            crate::net::PortRanges::parse(&chosen).expect(&chosen);
            taken.push(chosen);
        }
        assert_eq!(taken[0], "62201-62300");
        assert_eq!(choose_tcp(&taken), "61001-61100");
    }
}
