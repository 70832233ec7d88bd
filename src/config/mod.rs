//! Configuration: flag > environment > `cflite.toml` > default.
//!
//! Every option of `up` has one name in three spellings: `--http-port`, `CFLITE_HTTP_PORT`,
//! `http-port` in the file. Options are read once at start; nothing else reads the environment. For
//! an unknown key in the file, the error suggests the nearest known one.

mod drains;
mod file;
mod options;
pub mod profiles;
mod proxy;
mod shown;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::base::Secret;
use crate::net::ports::PortChoice;
use crate::net::{Network, PortRanges};
use crate::network::Enforcement;
use crate::pki::{CertificateFiles, ClientCertificates};
use crate::router::ForwardedClientCert;
use crate::scheduler::MemoryCapacity;
use crate::telemetry::{otlp, own_log};
pub use options::Options;
pub use shown::{Origin, Setting};
use values::{
    absolute, certificates, check_domain, default_data_dir, docker_host, export, log_format,
    memory_capacity, package_upstreams, port, size, ssh_port, stand_ins, tcp_ports, upstreams,
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
    /// Certificates for names that they have.
    pub tls_certificates: Vec<CertificateFiles>,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
    /// Who signs them.
    pub client_authorities: Option<PathBuf>,
    /// What apps learn of them.
    pub forwarded_client_cert: ForwardedClientCert,
    /// What the memory limits of all instances may be together.
    pub memory_capacity: MemoryCapacity,
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
            None => file::read_if_there(&data_dir_hint.join("cflite.toml"))?,
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
            tls_certificates: certificates(&all.tls_certificate.unwrap_or_default()),
            client_certificates: all.client_certificates.unwrap_or_default(),
            client_authorities: all.client_authorities.map(absolute),
            forwarded_client_cert: all.forwarded_client_cert.unwrap_or_default(),
            memory_capacity: memory_capacity(all.memory_capacity.as_deref())?,
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
}
