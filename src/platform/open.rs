//! Opens what the engines need: sockets, database, secrets, blobs, registry, logs and UAA.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::parts::{CoreServices, Parts, Sockets};
use super::running::Running;
use super::{adapters, certificates, identity, network, seed, snapshots};
use crate::alerts::{Alerts, Sink, SinkError};
use crate::base::{Live, Secret};
use crate::blobs::Blobs;
use crate::cloud_controller::engines;
use crate::config::Config;
use crate::db::{Db, Vault};
use crate::docker::trust;
use crate::docker::{DockerError, Engine};
use crate::logs::{Logs, Tags};
use crate::net::ports::{self, PortChoice};
use crate::network::dns;
use crate::packages::{self, Packages};
use crate::registry::{self, Registry};
use crate::uaa::{self, Uaa};
use crate::{scheduler, staging};

/// How long the start waits for the Docker daemon.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(5);

/// The sockets that the service manager passed, else newly bound ones.
pub(super) fn sockets(parts: &mut Parts) -> anyhow::Result<Sockets> {
    let config = &parts.config;
    let inherited = &mut parts.inherited;
    let mut open = |name, choice| -> anyhow::Result<Vec<TcpListener>> {
        let passed = inherited.remove(name);
        if passed.is_empty() {
            return Ok(vec![ports::bind(config.bind, choice)?]);
        }
        for socket in &passed {
            let address = socket.local_addr()?;
            tracing::info!(%address, "serving {name} on a socket of the service manager");
        }
        Ok(passed)
    };
    Ok(Sockets {
        dns: dns::Sockets::bind(config.bind, config.dns_port).context("DNS port")?,
        http: open("http", config.http_port).context("HTTP port")?,
        https: open("https", config.https_port).context("HTTPS port")?,
        ssh: match config.ssh_port {
            Some(choice) => open("ssh", choice).context("SSH port")?,
            None if inherited.remove("ssh").is_empty() => Vec::new(),
            None => bail!(
                "the service manager passed a socket for SSH, which is off: disable cflite-ssh.socket, or set ssh = true"
            ),
        },
    })
}

pub(super) async fn core_services(
    parts: &Parts,
    sockets: &Sockets,
) -> anyhow::Result<CoreServices> {
    let config = &parts.config;
    let data_dir = &config.data_dir;
    snapshots::finish(config, &parts.engine).await?;
    let id = identity::ensure_platform_id(data_dir)?;
    let password = identity::ensure_admin_password(config)?;
    let database = identity::database(data_dir);
    let vault = Vault::open(&data_dir.join("secret-key"), &database)?;
    let db = Db::open(&database)?;
    let now = parts.clock.now();
    seed::insert_missing(&db, config, now, &parts.guids).await?;
    let blobs = Blobs::open(&data_dir.join("blobs"), db.clone(), parts.clock.clone())?;
    let registry_socket = loopback(config.registry_port).context("registry port")?;
    let mirror_socket = config.registry_mirror_port.map(loopback).transpose();
    let mirror_socket = mirror_socket.context("port of the registry's mirror")?;
    let port = registry_socket.local_addr()?.port();
    let settings = registry_settings(config, port, registry::token(&db, &vault).await?);
    let registry = Registry::new(blobs.clone(), db.clone(), parts.clock.clone(), settings)
        .with_daemon(parts.engine.clone());
    let settings = package_settings(config);
    let packages = Packages::new(blobs.clone(), db.clone(), parts.clock.clone(), settings);
    let logs = Logs::open(db.clone(), parts.clock.clone()).await?;
    let host_ip = host_ip(config.bind);
    logs.set_place(place(&id, host_ip));
    logs.set_source_owners(Arc::new(engines::log_access::Owners));
    let log = logs.clone();
    db.on_unreadable(move |row| adapters::log_unreadable(&log, row));
    let uaa = uaa(parts, &db, &vault, &password).await?;
    let access = engines::RegistryAccess::new(uaa.clone(), db.clone());
    let apps = engines::RegistryApps::new(db.clone(), staging::lifecycle_files());
    let registry = registry.with_access(Arc::new(access), Arc::new(apps));
    let sinks = sinks(config).context("option alert")?;
    let alerts = Alerts::new(parts.clock.clone(), sinks);
    let pki = certificates::open(parts)?;
    let authorities = trust::authorities(&config.ca_certificates);
    let network = scheduler::Network::of_platform(&id);
    Ok(CoreServices {
        firewall: network::firewall(parts, &db, (&id, &network), sockets.dns.address().port()),
        network,
        resolvers: resolvers(config),
        lifecycle: scheduler::Lifecycle::new(&id, staging::lifecycle_files()),
        trust: certificates::trust(&id, &authorities, &pki),
        authorities,
        pki,
        id,
        db,
        vault,
        blobs,
        registry,
        registry_socket,
        mirror_socket,
        packages,
        logs,
        alerts,
        log_drains: Live::new(config.log_drains.clone()),
        uaa,
        host_ip,
    })
}

/// UAA with the admin.
async fn uaa(
    parts: &Parts,
    db: &Db,
    vault: &Vault,
    password: &Secret<String>,
) -> anyhow::Result<Uaa> {
    let uaa = Uaa::open(uaa::Parts {
        db: db.clone(),
        vault: vault.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        issuer: None,
    })
    .await?;
    uaa.ensure_admin(password)
        .await
        .map_err(|error| anyhow::anyhow!("cannot create the admin: {error:?}"))?;
    Ok(uaa)
}

/// Who is told of alerts.
pub(super) fn sinks(config: &Config) -> Result<Vec<Sink>, SinkError> {
    let urls = config.alerts.iter();
    urls.map(|url| Sink::parse(url.expose())).collect()
}

/// The tags of every envelope that say where it comes from.
fn place(platform_id: &str, host_ip: IpAddr) -> Tags {
    let ip = host_ip.to_string();
    let tags = [
        ("deployment", "cflite"),
        ("index", platform_id),
        ("ip", &ip),
    ];
    tags.map(|(tag, value)| (tag.to_owned(), value.to_owned()))
        .into()
}

/// A listener for this machine only.
fn loopback(port: u16) -> anyhow::Result<TcpListener> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(ports::bind(address, PortChoice::Exactly(port))?)
}

fn registry_settings(config: &Config, port: u16, token: Secret<String>) -> registry::Settings {
    registry::Settings {
        port,
        token,
        anonymous_pull: false,
        names: vec![format!("registry.{}", config.domain)],
        upstreams: config.registry_upstreams.clone(),
        upstream: registry::upstream::Settings {
            offline: config.offline,
            ..registry::upstream::Settings::default()
        },
        cache_limit: Live::new(config.registry_cache),
    }
}

fn package_settings(config: &Config) -> packages::Settings {
    let named = config.package_upstreams.iter();
    packages::Settings {
        offline: config.offline,
        upstreams: named
            .filter_map(|(name, url)| Some((packages::Source::named(name)?, url.clone())))
            .collect(),
        ..packages::Settings::new(config.package_cache)
    }
}

/// The address at which containers can reach this machine. Connecting a datagram socket sends
/// nothing; it only asks the kernel for the address it would use.
fn host_ip(bind: IpAddr) -> IpAddr {
    if !bind.is_loopback() && !bind.is_unspecified() {
        return bind;
    }
    let asked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    asked.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

pub(super) fn running(
    parts: &Parts,
    sockets: &Sockets,
    core: &CoreServices,
) -> anyhow::Result<Running> {
    let first = |sockets: &[TcpListener]| -> anyhow::Result<SocketAddr> {
        Ok(sockets.first().context("no socket")?.local_addr()?)
    };
    let http = first(&sockets.http)?;
    Ok(Running {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: parts.clock.now(),
        domain: parts.config.domain.clone(),
        bind: http.ip(),
        http_port: http.port(),
        https_port: first(&sockets.https)?.port(),
        ssh_port: match sockets.ssh.first() {
            Some(socket) => Some(socket.local_addr()?.port()),
            None => None,
        },
        dns_port: Some(sockets.dns.address().port()),
        registry_port: core.registry_socket.local_addr()?.port(),
        registry_mirror_port: match &core.mirror_socket {
            Some(socket) => Some(socket.local_addr()?.port()),
            None => None,
        },
    })
}

/// Who is asked for names of others: nobody offline.
fn resolvers(config: &Config) -> dns::Resolvers {
    if config.offline {
        dns::Resolvers::fixed(Vec::new())
    } else {
        dns::Resolvers::of(dns::Files::default())
    }
}

/// The daemon's version. It may be down: the platform starts without it.
pub(super) async fn docker_version(engine: &dyn Engine) -> String {
    let asked = tokio::time::timeout(DOCKER_TIMEOUT, engine.info()).await;
    let answer = asked.unwrap_or_else(|_| {
        let seconds = DOCKER_TIMEOUT.as_secs();
        Err(DockerError::Unreachable(format!(
            "no answer within {seconds} s"
        )))
    });
    match answer {
        Ok(info) => info.version,
        Err(error) => {
            tracing::warn!(%error, "starting without Docker");
            format!("not reachable: {error}")
        }
    }
}
