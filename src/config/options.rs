//! The options of `cflite up` as they are given.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::StandInMode;
use crate::network::Enforcement;
use crate::pki::ClientCertificates;
use crate::router::ForwardedClientCert;

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
    /// Certificate and key (PEM) for the host names that the certificate has, instead of one of the local
    /// authority; one file may have both; may be repeated
    #[arg(
        long,
        global = true,
        env = "CFLITE_TLS_CERTIFICATE",
        value_name = "CERTIFICATE[,KEY]"
    )]
    pub tls_certificate: Option<Vec<String>>,
    /// Whether clients show certificates over HTTPS: none, request or require [default: none]
    #[arg(
        long,
        global = true,
        env = "CFLITE_CLIENT_CERTIFICATES",
        value_name = "none|request|require"
    )]
    pub client_certificates: Option<ClientCertificates>,
    /// File with the authorities (PEM) that sign certificates of clients
    #[arg(
        long,
        global = true,
        env = "CFLITE_CLIENT_AUTHORITIES",
        value_name = "FILE"
    )]
    pub client_authorities: Option<PathBuf>,
    /// What apps get as X-Forwarded-Client-Cert: what clients send (always_forward), only from clients that
    /// showed a certificate (forward), or the certificate that was shown (sanitize_set) [default:
    /// always_forward]
    #[arg(
        long,
        global = true,
        env = "CFLITE_FORWARDED_CLIENT_CERT",
        value_name = "always_forward|forward|sanitize_set"
    )]
    pub forwarded_client_cert: Option<ForwardedClientCert>,
    /// What the memory limits of all instances may be together: a size such as 6G, or a percentage of
    /// the machine's memory. Instances beyond it wait [default: 200%]
    #[arg(
        long,
        global = true,
        env = "CFLITE_MEMORY_CAPACITY",
        value_name = "SIZE|PERCENT%"
    )]
    pub memory_capacity: Option<String>,
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

impl Options {
    /// Own values, else those of `other`.
    pub(super) fn or(self, other: Self) -> Self {
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
            tls_certificate: self.tls_certificate.or(other.tls_certificate),
            client_certificates: self.client_certificates.or(other.client_certificates),
            client_authorities: self.client_authorities.or(other.client_authorities),
            forwarded_client_cert: { self.forwarded_client_cert }.or(other.forwarded_client_cert),
            memory_capacity: self.memory_capacity.or(other.memory_capacity),
            offline: self.offline.or(other.offline),
            log_format: self.log_format.or(other.log_format),
            config: self.config,
        }
    }
}
