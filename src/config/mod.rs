//! Configuration: flag > environment > `cflite.toml` > default.
//!
//! Every option of `up` has one name in three spellings: `--http-port`, `CFLITE_HTTP_PORT`,
//! `http-port` in the file. Options are read once at start; nothing else reads the environment. For
//! an unknown key in the file, the error suggests the nearest known one.

mod drains;
mod file;
pub mod profiles;
mod proxy;
mod shown;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::base::Secret;
use crate::net::ports::PortChoice;
use crate::net::{Network, PortRanges};
use crate::network::Enforcement;
use crate::telemetry::{otlp, own_log};
pub use shown::{Origin, Setting};
use values::{
    absolute, check_domain, default_data_dir, docker_host, export, log_format, package_upstreams,
    port, size, ssh_port, stand_ins, tcp_ports, upstreams,
};

/// The space for copies of other registries' images.
const DEFAULT_CACHE: u64 = 20 << 30;
/// The space for packages.
const DEFAULT_PACKAGES: u64 = 10 << 30;
/// Behind those that Linux gives to outgoing connections.
const DEFAULT_TCP_PORTS: &str = "61001-61100";
/// Where Debian and Ubuntu keep authorities that the owner of a machine added.
const OWN_AUTHORITIES: &str = "/usr/local/share/ca-certificates";
/// When a service whose broker is elsewhere is made on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandInMode {
    /// When its broker cannot be reached.
    #[default]
    Auto,
    /// Whenever it can be.
    Always,
    /// Only when a user asks for it.
    Never,
}

/// Options as given; an absent one comes from the next source.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Folder for the database, blobs, keys and logs
    #[arg(long, global = true, env = "CFLITE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Another platform on this machine, with a data dir and ports of its own
    #[arg(
        long,
        global = true,
        env = "CFLITE_PROFILE",
        value_name = "NAME",
        conflicts_with = "data_dir"
    )]
    #[serde(skip)]
    pub profile: Option<String>,
    /// System domain; apps live under it too
    #[arg(long, global = true, env = "CFLITE_DOMAIN", value_name = "NAME")]
    pub domain: Option<String>,
    /// Address to listen on
    #[arg(long, global = true, env = "CFLITE_BIND", value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Port for HTTP: apps and all platform APIs
    #[arg(long, global = true, env = "CFLITE_HTTP_PORT", value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Port for HTTPS
    #[arg(long, global = true, env = "CFLITE_HTTPS_PORT", value_name = "PORT")]
    pub https_port: Option<u16>,
    /// Port for SSH into instances [default: 2222 if it is free, else another one]
    #[arg(long, global = true, env = "CFLITE_SSH_PORT", value_name = "PORT")]
    pub ssh_port: Option<u16>,
    /// Let developers into the instances of their apps by SSH [default: true]
    #[arg(
        long,
        global = true,
        env = "CFLITE_SSH",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub ssh: Option<bool>,
    /// Port of the DNS server for the names of the platform and its apps [default: 8053 if it is free,
    /// else another one]
    #[arg(long, global = true, env = "CFLITE_DNS_PORT", value_name = "PORT")]
    pub dns_port: Option<u16>,
    /// Port of the image registry on 127.0.0.1
    #[arg(long, global = true, env = "CFLITE_REGISTRY_PORT", value_name = "PORT")]
    pub registry_port: Option<u16>,
    /// Ports of TCP routes, such as 61001-61100; routes that are there keep theirs when they change
    /// [default: 61001-61100]
    #[arg(long, global = true, env = "CFLITE_TCP_PORTS", value_name = "PORTS")]
    pub tcp_ports: Option<String>,
    /// Docker daemon, e.g. unix:///var/run/docker.sock
    #[arg(long, global = true, env = "CFLITE_DOCKER_HOST", value_name = "URL")]
    pub docker_host: Option<String>,
    /// File with the admin's password
    #[arg(
        long,
        global = true,
        env = "CFLITE_ADMIN_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub admin_password_file: Option<PathBuf>,
    /// Include the revision in apps' log lines, as in [APP/REV/3/PROC/WEB/0] [default: false]
    #[arg(
        long,
        global = true,
        env = "CFLITE_APP_LOG_REVISION",
        value_name = "true|false"
    )]
    pub app_log_revision: Option<bool>,
    /// Where another image registry answers, such as docker.io=http://127.0.0.1:5001; may be
    /// repeated [default: HOST=https://HOST]
    #[arg(
        long,
        global = true,
        env = "CFLITE_REGISTRY_UPSTREAM",
        value_name = "HOST=URL",
        value_delimiter = ','
    )]
    pub registry_upstream: Option<Vec<String>>,

    /// Port of a mirror of Docker Hub on 127.0.0.1, for the registry-mirrors of a Docker daemon
    /// [default: none]
    #[arg(
        long,
        global = true,
        env = "CFLITE_REGISTRY_MIRROR_PORT",
        value_name = "PORT"
    )]
    pub registry_mirror_port: Option<u16>,
    /// The most space for copies of other registries' images, such as 500M; those that nobody used
    /// for the longest time are removed [default: 20G]
    #[arg(
        long,
        global = true,
        env = "CFLITE_REGISTRY_CACHE",
        value_name = "SIZE"
    )]
    pub registry_cache: Option<String>,
    /// The most space for packages of public registries, which builds get through a cache; those
    /// that nobody used for the longest time are removed; 0 switches the cache off [default: 10G]
    #[arg(long, global = true, env = "CFLITE_PACKAGE_CACHE", value_name = "SIZE")]
    pub package_cache: Option<String>,
    /// Where the package cache asks instead of a public registry (pypi, npm, go, maven, rubygems,
    /// composer or debian), by its URL; may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_PACKAGE_UPSTREAM",
        value_name = "REGISTRY=URL",
        value_delimiter = ','
    )]
    pub package_upstream: Option<Vec<String>>,
    /// Folder with the certificate authorities (*.crt) that the owner of this machine added to it:
    /// builds and apps trust them, too [default: /usr/local/share/ca-certificates]
    #[arg(
        long,
        global = true,
        env = "CFLITE_CA_CERTIFICATES",
        value_name = "DIR"
    )]
    pub ca_certificates: Option<PathBuf>,
    /// Offer databases, caches and queues as services, in containers of this machine [default: true]
    #[arg(
        long,
        global = true,
        env = "CFLITE_DATA_SERVICES",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub data_services: Option<bool>,
    /// When a service whose broker is elsewhere is made on this machine instead, if its plan or
    /// --stand-in names what to run: auto = the broker cannot be reached [default: auto]
    #[arg(
        long,
        global = true,
        env = "CFLITE_STAND_INS",
        value_name = "auto|always|never"
    )]
    pub stand_ins: Option<StandInMode>,
    /// What to run instead of services of an offering, by its name or a tag; may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_STAND_IN",
        value_name = "NAME=OFFERING/PLAN",
        value_delimiter = ','
    )]
    pub stand_in: Option<Vec<String>>,
    /// Who is told of what needs a person, besides the log: https://HOST/PATH (gets a POST),
    /// smtp://USER:PASSWORD@HOST:PORT?to=ADDRESS, or exec:/PATH (gets JSON); may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_ALERT",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub alert: Option<Vec<String>>,
    /// Where the logs of all apps go, such as syslog-tls://logs.example.com; may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_LOG_DRAIN",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub log_drain: Option<Vec<String>>,
    /// Address or network that no log drain may lead to, such as 169.254.0.0/16; may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_LOG_DRAIN_BLOCKED",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub log_drain_blocked: Option<Vec<String>>,
    /// Whether security groups and network policies restrict where apps and builds connect to: strict as in
    /// Cloud Foundry, or open [default: strict]
    #[arg(
        long,
        global = true,
        env = "CFLITE_NETWORK_ENFORCE",
        value_name = "strict|open"
    )]
    pub network_enforce: Option<Enforcement>,
    /// Ask no other machine for anything [default: false]
    #[arg(
        long,
        global = true,
        env = "CFLITE_OFFLINE",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub offline: Option<bool>,
    /// How the platform writes its own log: text, or json with one object a line [default: text]
    #[arg(
        long,
        global = true,
        env = "CFLITE_LOG_FORMAT",
        value_name = "text|json"
    )]
    pub log_format: Option<String>,

    /// Configuration file [default: DATA_DIR/cflite.toml]
    #[arg(long, global = true, env = "CFLITE_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder for the database, blobs, keys and logs.
    pub data_dir: PathBuf,
    /// System domain.
    pub domain: String,
    /// Address to listen on.
    pub bind: IpAddr,
    /// HTTP port.
    pub http_port: PortChoice,
    /// HTTPS port.
    pub https_port: PortChoice,
    /// SSH port; `None` = nobody gets in by SSH.
    pub ssh_port: Option<PortChoice>,
    /// DNS port.
    pub dns_port: PortChoice,
    /// Registry port.
    pub registry_port: u16,
    /// Ports of TCP routes.
    pub tcp_ports: PortRanges,
    /// Docker daemon; `None` = `DOCKER_HOST` or the local socket.
    pub docker_host: Option<String>,
    /// File with the admin's password.
    pub admin_password_file: Option<PathBuf>,
    /// Whether apps' log lines include the revision.
    pub app_log_revision: bool,
    /// Where other image registries answer, by host.
    pub registry_upstreams: BTreeMap<String, Url>,
    /// Port of the mirror of Docker Hub.
    pub registry_mirror_port: Option<u16>,
    /// The most bytes of copies of other registries' images.
    pub registry_cache: u64,
    /// The most bytes of packages; 0 = there is no package cache.
    pub package_cache: u64,
    /// Where the package cache asks instead of public registries, by their names.
    pub package_upstreams: BTreeMap<String, Url>,
    /// Folder with the authorities that builds and apps trust besides those of their stack.
    pub ca_certificates: PathBuf,
    /// Whether there are data services.
    pub data_services: bool,
    /// When services of other machines are made on this one.
    pub stand_ins: StandInMode,
    /// `OFFERING/PLAN` to run instead of offerings with a name or tag.
    pub stand_in_plans: BTreeMap<String, String>,
    /// Who is told of alerts; URLs may hold passwords.
    pub alerts: Vec<Secret<String>>,
    /// Where the logs of all apps go.
    pub log_drains: Vec<String>,
    /// Where no log drain may lead.
    pub log_drain_blocked: Vec<Network>,
    /// Whether security groups and network policies restrict anything.
    pub network_enforce: Enforcement,
    /// No other machine is asked for anything.
    pub offline: bool,
    /// How the platform writes its own log.
    pub log_format: own_log::Format,
    /// Where metrics and log lines are exported to, by the standard `OTEL_*` variables.
    pub export: Option<otlp::Settings>,
    /// Variables of an HTTP proxy for containers, `NAME` and value.
    pub proxy_variables: Vec<(String, String)>,
    /// Where options come from that are not defaults, by their names.
    pub origins: BTreeMap<String, Origin>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is invalid.
    #[error("{path}: {reason}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with a suggestion.
        reason: String,
    },
    /// A value is invalid.
    #[error("{option}: {reason}")]
    Value {
        /// Which option.
        option: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Options {
    /// Merges flags and environment with the file and the defaults.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let data_dir_hint = self.data_dir_hint()?;
        let from_file = match &self.config {
            Some(path) => file::read(path)?,
            None => {
                let path = data_dir_hint.join("cflite.toml");
                if path.exists() {
                    file::read(&path)?
                } else {
                    Self::default()
                }
            }
        };
        let has_variable = |name: &str| std::env::var_os(name).is_some();
        let origins = shown::origins(&self, &from_file, has_variable);
        let all = self.or(from_file);
        let domain = all
            .domain
            .unwrap_or_else(|| "cf.localhost".to_owned())
            .to_ascii_lowercase();
        check_domain(&domain)?;
        let proxy_variables = proxy::variables(&domain, |name| std::env::var(name).ok());
        Ok(Config {
            data_dir: absolute(all.data_dir.unwrap_or(data_dir_hint)),
            domain,
            bind: all.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            http_port: port(all.http_port, PortChoice::HTTP),
            https_port: port(all.https_port, PortChoice::HTTPS),
            ssh_port: ssh_port(all.ssh, all.ssh_port),
            dns_port: port(all.dns_port, PortChoice::DNS),
            registry_port: all.registry_port.unwrap_or(5000),
            tcp_ports: tcp_ports(all.tcp_ports.as_deref().unwrap_or(DEFAULT_TCP_PORTS))?,
            docker_host: all.docker_host.or_else(docker_host),
            admin_password_file: all.admin_password_file,
            app_log_revision: all.app_log_revision.unwrap_or(false),
            registry_upstreams: upstreams(&all.registry_upstream.unwrap_or_default())?,
            registry_mirror_port: all.registry_mirror_port,
            registry_cache: size("registry-cache", all.registry_cache, DEFAULT_CACHE)?,
            package_cache: size("package-cache", all.package_cache, DEFAULT_PACKAGES)?,
            package_upstreams: package_upstreams(&all.package_upstream.unwrap_or_default())?,
            ca_certificates: all
                .ca_certificates
                .map_or_else(|| PathBuf::from(OWN_AUTHORITIES), absolute),
            data_services: all.data_services.unwrap_or(true),
            stand_ins: all.stand_ins.unwrap_or_default(),
            stand_in_plans: stand_ins(&all.stand_in.unwrap_or_default())?,
            alerts: { all.alert.unwrap_or_default().into_iter() }
                .map(Secret::new)
                .collect(),
            log_drains: drains::check(all.log_drain.unwrap_or_default())?,
            log_drain_blocked: drains::blocked(&all.log_drain_blocked.unwrap_or_default())?,
            network_enforce: all.network_enforce.unwrap_or_default(),
            offline: all.offline.unwrap_or(false),
            log_format: log_format(all.log_format.as_deref())?,
            export: export()?,
            proxy_variables,
            origins,
        })
    }

    /// Where the configuration file is looked for.
    fn data_dir_hint(&self) -> Result<PathBuf, ConfigError> {
        match (&self.data_dir, &self.profile) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, Some(name)) => profiles::data_dir(name),
            (None, None) => Ok(default_data_dir()),
        }
    }

    /// Own values, else those of `other`.
    fn or(self, other: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(other.data_dir),
            profile: self.profile,
            domain: self.domain.or(other.domain),
            bind: self.bind.or(other.bind),
            http_port: self.http_port.or(other.http_port),
            https_port: self.https_port.or(other.https_port),
            ssh_port: self.ssh_port.or(other.ssh_port),
            ssh: self.ssh.or(other.ssh),
            dns_port: self.dns_port.or(other.dns_port),
            registry_port: self.registry_port.or(other.registry_port),
            tcp_ports: self.tcp_ports.or(other.tcp_ports),
            docker_host: self.docker_host.or(other.docker_host),
            admin_password_file: self.admin_password_file.or(other.admin_password_file),
            app_log_revision: self.app_log_revision.or(other.app_log_revision),
            registry_upstream: self.registry_upstream.or(other.registry_upstream),
            registry_mirror_port: self.registry_mirror_port.or(other.registry_mirror_port),
            registry_cache: self.registry_cache.or(other.registry_cache),
            package_cache: self.package_cache.or(other.package_cache),
            package_upstream: self.package_upstream.or(other.package_upstream),
            ca_certificates: self.ca_certificates.or(other.ca_certificates),
            data_services: self.data_services.or(other.data_services),
            stand_ins: self.stand_ins.or(other.stand_ins),
            stand_in: self.stand_in.or(other.stand_in),
            alert: self.alert.or(other.alert),
            log_drain: self.log_drain.or(other.log_drain),
            log_drain_blocked: self.log_drain_blocked.or(other.log_drain_blocked),
            network_enforce: self.network_enforce.or(other.network_enforce),
            offline: self.offline.or(other.offline),
            log_format: self.log_format.or(other.log_format),
            config: self.config,
        }
    }
}
