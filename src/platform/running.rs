//! `running.json`: process and addresses of a running platform, for the commands. Only the lock
//! ([`DataDirLock`](super::DataDirLock)) shows whether it still runs, never this file.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::private_file;

/// Process and addresses of a running platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Version of the binary.
    pub version: String,
    /// When it became ready.
    pub started_at: crate::base::Timestamp,
    /// System domain.
    pub domain: String,
    /// Address it listens on.
    pub bind: IpAddr,
    /// HTTP port.
    pub http_port: u16,
    /// HTTPS port.
    pub https_port: u16,
    /// SSH port; `None` when nobody gets in by SSH.
    #[serde(default)]
    pub ssh_port: Option<u16>,
    /// DNS port, also on the gateway of the containers' network; `None` for a platform of a version
    /// without a DNS server.
    #[serde(default)]
    pub dns_port: Option<u16>,
    /// Registry port on 127.0.0.1.
    pub registry_port: u16,
    /// Port of the mirror of Docker Hub on 127.0.0.1.
    #[serde(default)]
    pub registry_mirror_port: Option<u16>,
}

impl Running {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("running.json")
    }

    /// Writes the file atomically.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        private_file::replace(&Self::path(data_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// What the last platform wrote, whether it still runs or not.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Removes the file.
    pub fn remove(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(Self::path(data_dir))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove running.json");
        }
    }

    /// `http://api.cf.localhost:8080`.
    pub fn api_url(&self) -> String {
        url("http", &format!("api.{}", self.domain), self.http_port, 80)
    }

    /// `https://api.cf.localhost:8443`.
    pub fn https_api_url(&self) -> String {
        url(
            "https",
            &format!("api.{}", self.domain),
            self.https_port,
            443,
        )
    }

    /// `ssh.cf.localhost:2222`, when SSH is on.
    pub fn ssh_address(&self) -> Option<String> {
        self.ssh_port
            .map(|port| format!("ssh.{}:{port}", self.domain))
    }

    /// Where this machine asks for the platform's names.
    pub fn dns_address(&self) -> Option<SocketAddr> {
        let ip = match self.bind {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Some(SocketAddr::new(ip, self.dns_port?))
    }

    /// The web console. Browsers resolve `*.localhost` by themselves.
    pub fn console_url(&self) -> String {
        let is_local = self.domain == "localhost" || self.domain.ends_with(".localhost");
        let name = format!("console.{}", self.domain);
        if is_local || self.resolves(&name) {
            url("http", &name, self.http_port, 80)
        } else {
            format!("{}/console", url("http", "localhost", self.http_port, 80))
        }
    }

    fn resolves(&self, name: &str) -> bool {
        use std::net::ToSocketAddrs;
        (name, self.http_port)
            .to_socket_addrs()
            .is_ok_and(|mut found| found.next().is_some())
    }

    /// The API's URL with a name that this machine can resolve: `*.localhost` is loopback by RFC
    /// 6761, but not every resolver implements it, and the API is served on `localhost` as well.
    pub fn resolvable_api_url(&self) -> String {
        if self.resolves(&format!("api.{}", self.domain)) {
            self.api_url()
        } else {
            url("http", "localhost", self.http_port, 80)
        }
    }

    /// The platform's URL by address, for cflite's own requests.
    pub fn local_url(&self) -> String {
        let host = if self.bind.is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            self.bind.to_string()
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        format!("http://{host}:{}", self.http_port)
    }

    /// The URL of a host name over HTTP.
    pub fn app_url(&self, host: &str) -> String {
        url("http", host, self.http_port, 80)
    }
}

fn url(scheme: &str, host: &str, port: u16, usual: u16) -> String {
    if port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}
