//! Finds out the facts. Every question has a time limit, and what cannot be found out is left out.

use std::io::ErrorKind;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::client;
use super::super::process::State;
use super::facts::{Disk, Docker, Facts, Inotify, PortFault, Socket};
use crate::base::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::docker::{DEFAULT_HOST, Engine};
use crate::net::ports::{self, BindError, PortChoice};
use crate::platform;
use crate::staging::images;

/// The most that names and programs may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of them.
pub(super) async fn gather(config: &Config, found: &State) -> Facts {
    let engine = platform::connect_docker(config);
    let docker = docker(config, &*engine).await;
    let stack = match &docker {
        Docker::Answers(_) => images::list(&*engine)
            .await
            .ok()
            .map(|list| list.iter().filter(|image| image.current).count()),
        Docker::Fails { .. } => None,
    };
    let mut disks: Vec<Disk> = disk("data dir", existing(&config.data_dir))
        .into_iter()
        .collect();
    if let Docker::Answers(info) = &docker
        && Path::new(&info.facts.root_dir).is_dir()
    {
        disks.extend(disk("Docker's disk", PathBuf::from(&info.facts.root_dir)));
    }
    let hosts = ["api", "console", "some-app"].map(|name| format!("{name}.{}", config.domain));
    Facts {
        now: SystemClock.now(),
        docker,
        stack,
        disks,
        data_dir_mode: std::fs::metadata(&config.data_dir)
            .ok()
            .map(|meta| (config.data_dir.clone(), meta.permissions().mode() & 0o777)),
        newest: newest(config, found).await,
        inotify: Inotify {
            instances: number("/proc/sys/fs/inotify/max_user_instances"),
            watches: number("/proc/sys/fs/inotify/max_user_watches"),
        },
        filters_bridges: cfg!(target_os = "linux")
            .then(|| number("/proc/sys/net/bridge/bridge-nf-call-iptables") == Some(1)),
        open_files: open_files(),
        ports: if matches!(found, State::Stopped) {
            all_ports(config)
        } else {
            Vec::new()
        },
        names: resolved(hosts.to_vec()).await,
        is_local_domain: config.domain == "localhost" || config.domain.ends_with(".localhost"),
        bind: config.bind,
        proxy: proxy(|name| std::env::var(name).ok()),
        families: families(),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default(),
        cf: cf(),
    }
}

async fn docker(config: &Config, engine: &dyn Engine) -> Docker {
    let reason = match engine.info().await {
        Ok(info) => return Docker::Answers(Box::new(info)),
        Err(error) => error.to_string(),
    };
    let host = config.docker_host.clone();
    let host = host.or_else(|| std::env::var("DOCKER_HOST").ok());
    let host = host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
    Docker::Fails {
        socket: socket(&host),
        installed: ["docker", "dockerd"].iter().any(|name| on_path(name)),
        host,
        reason,
    }
}

fn socket(host: &str) -> Socket {
    let Some(path) = host.strip_prefix("unix://") else {
        return Socket::Elsewhere;
    };
    match UnixStream::connect(path) {
        Ok(_) => Socket::Connects,
        Err(error) if error.kind() == ErrorKind::NotFound => Socket::Missing,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Socket::Denied,
        Err(_) => Socket::Refused,
    }
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(sbin)
        .any(|folder| folder.join(name).is_file())
}

/// The folder, or the one in which it would be made.
fn existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.exists());
    found.unwrap_or(path).to_owned()
}

fn disk(what: &'static str, path: PathBuf) -> Option<Disk> {
    let stat = nix::sys::statvfs::statvfs(&path).ok()?;
    Some(Disk {
        what,
        path,
        free: stat.blocks_available().saturating_mul(stat.fragment_size()),
        free_files: stat.files_available(),
        files: stat.files(),
    })
}

/// The newest time in what the platform wrote: its last event where it runs, else its files.
async fn newest(config: &Config, found: &State) -> Option<(Timestamp, &'static str)> {
    if let State::Running(running, _) = found {
        let password = super::super::credentials::password(config).ok()?;
        let client = client::Client::sign_in(running, &password);
        let client = tokio::time::timeout(PATIENCE, client).await.ok()?.ok()?;
        let path = "/v3/audit_events?order_by=-created_at&per_page=1";
        let event = client.first(path).await.ok()??;
        let time: jiff::Timestamp = event["created_at"].as_str()?.parse().ok()?;
        return Some((
            Timestamp::from_micros(time.as_microsecond()),
            "the last event",
        ));
    }
    let times = ["cflite.db", "cflite.db-wal", "running.json"]
        .iter()
        .filter_map(|name| {
            let meta = std::fs::metadata(config.data_dir.join(name)).ok()?;
            let since = meta
                .modified()
                .ok()?
                .duration_since(std::time::UNIX_EPOCH)
                .ok()?;
            i64::try_from(since.as_micros()).ok()
        });
    let newest = times.max()?;
    Some((Timestamp::from_micros(newest), "the database's file"))
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// From this process's limits, which the platform inherits.
fn open_files() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    let mut words = line["Max open files".len()..].split_whitespace();
    let mut next = || {
        let word = words.next()?;
        Some(word.parse().unwrap_or(u64::MAX))
    };
    Some((next()?, next()?))
}

fn all_ports(config: &Config) -> Vec<(&'static str, Result<u16, PortFault>)> {
    let mut all = vec![
        ("http-port", config.bind, config.http_port),
        ("https-port", config.bind, config.https_port),
    ];
    all.extend({ config.ssh_port }.map(|choice| ("ssh-port", config.bind, choice)));
    all.push(("dns-port", config.bind, config.dns_port));
    let loopback = IpAddr::from([127, 0, 0, 1]);
    all.push((
        "registry-port",
        loopback,
        PortChoice::Exactly(config.registry_port),
    ));
    let probed = all.into_iter().map(|(option, bind, choice)| {
        let port = ports::probe(bind, choice).map_err(|error| PortFault {
            port: match &error {
                BindError::Taken { address, .. }
                | BindError::Denied { address }
                | BindError::Other { address, .. } => address.port(),
            },
            denied: matches!(error, BindError::Denied { .. }),
            text: error.to_string(),
        });
        (option, port)
    });
    probed.collect()
}

/// A resolver may wait for a server that is not there.
async fn resolved(hosts: Vec<String>) -> Vec<(String, Vec<IpAddr>)> {
    let mut all = Vec::new();
    for host in hosts {
        let name = host.clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A thread of its own: it may outlive the limit.
        std::thread::spawn(move || {
            let found = (name.as_str(), 80).to_socket_addrs();
            let found = found.map(|all| all.map(|one| one.ip()).collect::<Vec<_>>());
            // Nobody waits any more.
            drop(sender.send(found.unwrap_or_default()));
        });
        let found = tokio::time::timeout(PATIENCE, receiver).await;
        all.push((host, found.ok().and_then(Result::ok).unwrap_or_default()));
    }
    all
}

/// Variables of a proxy; a password in an address is left out.
fn proxy(environment: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        for name in [name.to_owned(), name.to_lowercase()] {
            let Some(value) = environment(&name).filter(|value| !value.is_empty()) else {
                continue;
            };
            let shown = match value.rsplit_once('@') {
                Some((before, after)) => {
                    let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
                    format!("{scheme}…@{after}")
                }
                None => value,
            };
            all.push((name, shown));
        }
    }
    all
}

/// Whether there are addresses other than loopback, by the kernel's tables.
fn families() -> (bool, bool) {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v4 = routes.lines().skip(1).any(|line| !line.starts_with("lo\t"));
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    // Address, index, prefix length, scope (20 = of a link) and flags, interface.
    let v6 = table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.last() != Some(&"lo") && words.get(3) == Some(&"00")
    });
    (v4, v6)
}

fn cf() -> Option<String> {
    let out = Command::new("cf").arg("version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    out.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_are_left_out() {
        let environment = |name: &str| match name {
            "https_proxy" => Some("http://user:p@ss@proxy:3128".to_owned()),
            "NO_PROXY" => Some("localhost".to_owned()),
            _ => None,
        };
        let found = proxy(environment);
        assert_eq!(
            found,
            [
                ("https_proxy".to_owned(), "http://…@proxy:3128".to_owned()),
                ("NO_PROXY".to_owned(), "localhost".to_owned()),
            ]
        );
    }

    #[test]
    fn a_socket_that_is_not_there_is_told_from_one_that_nobody_serves() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("docker.sock");
        let host = format!("unix://{}", path.display());
        assert_eq!(socket(&host), Socket::Missing);
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(socket(&host), Socket::Connects);
        drop(listener);
        assert_eq!(socket(&host), Socket::Refused);
        assert_eq!(socket("tcp://127.0.0.1:2375"), Socket::Elsewhere);
    }
}
