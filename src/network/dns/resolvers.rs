//! The servers that this machine itself asks, from its `resolv.conf`.
//!
//! Where that names only the stub of systemd-resolved, the servers behind it are taken from the file
//! that systemd keeps for this purpose: containers cannot reach the stub, and the stub may ask us.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// As many as other resolvers use.
const MOST: usize = 3;
/// How often it is checked whether the files changed.
const CHECK: Duration = Duration::from_secs(1);
/// Where DNS servers listen.
const PORT: u16 = 53;
/// The stub of systemd-resolved.
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// More is no list of servers.
const LONGEST: u64 = 64 << 10;

/// Where this machine says whom it asks.
#[derive(Clone, Debug)]
pub struct Files {
    /// What programs read.
    pub resolv_conf: PathBuf,
    /// The servers behind systemd-resolved.
    pub behind_stub: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            behind_stub: PathBuf::from("/run/systemd/resolve/resolv.conf"),
        }
    }
}

/// The servers of this machine; clones share what was read.
#[derive(Clone, Debug)]
pub struct Resolvers(Arc<Source>);

#[derive(Debug)]
enum Source {
    Fixed(Vec<SocketAddr>),
    Files(Files, Mutex<Option<Known>>),
}

#[derive(Debug)]
struct Known {
    checked: Instant,
    stamp: [Option<Stamp>; 2],
    servers: Vec<SocketAddr>,
}

/// What changes with a file: when it was written, and its size.
type Stamp = (SystemTime, u64);

impl Resolvers {
    /// Reads these files, and again when they changed.
    pub fn of(files: Files) -> Self {
        Self(Arc::new(Source::Files(files, Mutex::default())))
    }

    /// Always these servers; none = nobody is asked.
    pub fn fixed(servers: Vec<SocketAddr>) -> Self {
        Self(Arc::new(Source::Fixed(servers)))
    }

    /// The servers in the order in which they are asked.
    pub fn servers(&self) -> Vec<SocketAddr> {
        match &*self.0 {
            Source::Fixed(servers) => servers.clone(),
            Source::Files(files, known) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                if let Some(known) = &*known
                    && now < known.checked + CHECK
                {
                    return known.servers.clone();
                }
                let stamp = [&files.resolv_conf, &files.behind_stub].map(|path| stamp(path));
                let servers = match known.take() {
                    Some(known) if known.stamp == stamp => known.servers,
                    _ => read(files),
                };
                *known = Some(Known {
                    checked: now,
                    stamp,
                    servers: servers.clone(),
                });
                servers
            }
        }
    }

    /// Those of them that a container can reach: its own loopback is another one, and the interface of
    /// a link-local address is not there.
    pub fn for_containers(&self) -> Vec<IpAddr> {
        let is_reachable = |address: &IpAddr| match address {
            IpAddr::V4(one) => !one.is_loopback() && !one.is_unspecified(),
            IpAddr::V6(one) => {
                !one.is_loopback() && !one.is_unspecified() && !one.is_unicast_link_local()
            }
        };
        let servers = self.servers().into_iter();
        // Containers ask the usual port only.
        let usual = servers.filter(|server| server.port() == PORT);
        usual
            .map(|server| server.ip())
            .filter(is_reachable)
            .collect()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(files: &Files) -> Vec<SocketAddr> {
    let listed = servers_in(&text(&files.resolv_conf));
    let behind = || servers_in(&text(&files.behind_stub));
    let mut servers = if listed.iter().all(|server| server.ip() == STUB) {
        // Without that file the stub is still better than nobody.
        Some(behind())
            .filter(|all| !all.is_empty())
            .unwrap_or(listed)
    } else {
        listed
    };
    servers.truncate(MOST);
    servers
}

fn text(path: &Path) -> String {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LONGEST) {
        return String::new();
    }
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The servers in the text of a `resolv.conf`.
fn servers_in(text: &str) -> Vec<SocketAddr> {
    let listed = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver");
        server(address.and_then(|_| words.next())?)
    };
    let mut found = Vec::new();
    for server in text.lines().filter_map(listed) {
        if !found.contains(&server) {
            found.push(server);
        }
    }
    found
}

/// An address, after `%` with its interface.
fn server(text: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let scope = match interface.parse() {
        Ok(number) => number,
        Err(_) => index_of(interface)?,
    };
    let address = SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope);
    Some(SocketAddr::V6(address))
}

/// The number of an interface, where the kernel shows it.
fn index_of(interface: &str) -> Option<u32> {
    let is_name = !interface.contains('/') && !interface.starts_with('.');
    let path = is_name.then(|| format!("/sys/class/net/{interface}/ifindex"))?;
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(resolv_conf: &str, behind_stub: Option<&str>) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = Files {
            resolv_conf: folder.path().join("resolv.conf"),
            behind_stub: folder.path().join("behind"),
        };
        std::fs::write(&files.resolv_conf, resolv_conf).expect("written");
        if let Some(text) = behind_stub {
            std::fs::write(&files.behind_stub, text).expect("written");
        }
        (folder, files)
    }

    fn ips(resolv_conf: &str, behind_stub: Option<&str>) -> Vec<String> {
        let (_folder, files) = files(resolv_conf, behind_stub);
        let servers = Resolvers::of(files).servers();
        servers
            .iter()
            .map(|server| server.ip().to_string())
            .collect()
    }

    #[test]
    fn servers_are_read_in_order_and_no_more_than_three() {
        let text = "# nameserver 9.9.9.9\nsearch x\nnameserver 10.0.0.1\n  nameserver\t10.0.0.2 # two\n\
                    nameserver 10.0.0.1\nnameserver nonsense\nnameserver\nnameserver fd00::1\nnameserver 10.0.0.4\n";
        assert_eq!(ips(text, None), ["10.0.0.1", "10.0.0.2", "fd00::1"]);
        assert_eq!(ips("", None), [""; 0]);
    }

    #[test]
    fn the_servers_behind_the_stub_of_systemd_are_asked_instead_of_it() {
        let stub = "nameserver 127.0.0.53\noptions edns0\n";
        assert_eq!(ips(stub, Some("nameserver 10.0.0.1\n")), ["10.0.0.1"]);
        assert_eq!(ips(stub, Some("# empty\n")), ["127.0.0.53"]);
        assert_eq!(ips(stub, None), ["127.0.0.53"]);
        let both = "nameserver 127.0.0.53\nnameserver 10.0.0.2\n";
        let found = ips(both, Some("nameserver 10.0.0.1\n"));
        assert_eq!(found, ["127.0.0.53", "10.0.0.2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn changed_files_are_read_again() {
        let (_folder, files) = files("nameserver 10.0.0.1\n", None);
        let resolvers = Resolvers::of(files.clone());
        assert_eq!(resolvers.servers().len(), 1);
        let text = "nameserver 10.0.0.1\nnameserver 10.0.0.2\n";
        std::fs::write(&files.resolv_conf, text).expect("written");
        assert_eq!(resolvers.servers().len(), 1, "checked a moment ago");
        tokio::time::advance(CHECK).await;
        assert_eq!(resolvers.servers().len(), 2);
        std::fs::remove_file(&files.resolv_conf).expect("removed");
        tokio::time::advance(CHECK).await;
        assert_eq!(resolvers.servers().len(), 0);
    }

    #[test]
    fn containers_get_no_server_on_a_loopback() {
        let text = "nameserver 127.0.0.1\nnameserver ::1\nnameserver 10.0.0.2\n";
        let (_folder, files) = files(text, None);
        let found = Resolvers::of(files).for_containers();
        assert_eq!(found, [IpAddr::from([10, 0, 0, 2])]);
        let found = Resolvers::fixed(vec![SocketAddr::from(([10, 0, 0, 2], 5353))]);
        assert!(found.for_containers().is_empty());
    }

    #[test]
    fn an_address_of_a_link_names_its_interface() {
        let found = server("fe80::1%7").expect("an address");
        assert_eq!(
            found,
            SocketAddrV6::new("fe80::1".parse().expect("valid"), 53, 0, 7).into()
        );
        assert_eq!(server("fe80::1%no-such-interface"), None);
    }
}
