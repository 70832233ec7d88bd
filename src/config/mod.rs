//! Configuration: flag > environment > `cflite.toml` > default.
//!
//! Every option of `up` has one name in three spellings: `--http-port`, `CFLITE_HTTP_PORT`,
//! `http-port` in the file. Options are read once at start; nothing else reads the environment. For
//! an unknown key in the file, the error suggests the nearest known one.

mod file;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::base::Bytes;
use crate::net::ports::PortChoice;

/// The space for copies of other registries' images.
const DEFAULT_CACHE: u64 = 20 << 30;

/// Options as given; an absent one comes from the next source.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Folder for the database, blobs, keys and logs
    #[arg(long, global = true, env = "CFLITE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
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
    /// Port of the image registry on 127.0.0.1
    #[arg(long, global = true, env = "CFLITE_REGISTRY_PORT", value_name = "PORT")]
    pub registry_port: Option<u16>,
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
    /// Registry port.
    pub registry_port: u16,
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
    /// No other machine is asked for anything.
    pub offline: bool,
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
        let data_dir_hint = self.data_dir.clone().unwrap_or_else(default_data_dir);
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
        let all = self.or(from_file);
        let domain = all
            .domain
            .unwrap_or_else(|| "cf.localhost".to_owned())
            .to_ascii_lowercase();
        check_domain(&domain)?;
        Ok(Config {
            data_dir: absolute(all.data_dir.unwrap_or(data_dir_hint)),
            domain,
            bind: all.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            http_port: all.http_port.map_or(PortChoice::HTTP, PortChoice::Exactly),
            https_port: all
                .https_port
                .map_or(PortChoice::HTTPS, PortChoice::Exactly),
            registry_port: all.registry_port.unwrap_or(5000),
            docker_host: all
                .docker_host
                .or_else(|| std::env::var("DOCKER_HOST").ok()),
            admin_password_file: all.admin_password_file,
            app_log_revision: all.app_log_revision.unwrap_or(false),
            registry_upstreams: upstreams(&all.registry_upstream.unwrap_or_default())?,
            registry_mirror_port: all.registry_mirror_port,
            registry_cache: match &all.registry_cache {
                Some(text) => size("registry-cache", text)?,
                None => DEFAULT_CACHE,
            },
            offline: all.offline.unwrap_or(false),
        })
    }

    /// Own values, else those of `other`.
    fn or(self, other: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(other.data_dir),
            domain: self.domain.or(other.domain),
            bind: self.bind.or(other.bind),
            http_port: self.http_port.or(other.http_port),
            https_port: self.https_port.or(other.https_port),
            registry_port: self.registry_port.or(other.registry_port),
            docker_host: self.docker_host.or(other.docker_host),
            admin_password_file: self.admin_password_file.or(other.admin_password_file),
            app_log_revision: self.app_log_revision.or(other.app_log_revision),
            registry_upstream: self.registry_upstream.or(other.registry_upstream),
            registry_mirror_port: self.registry_mirror_port.or(other.registry_mirror_port),
            registry_cache: self.registry_cache.or(other.registry_cache),
            offline: self.offline.or(other.offline),
            config: self.config,
        }
    }
}

/// `/var/lib/cflite` for root, else `~/.local/share/cflite` (or `$XDG_DATA_HOME/cflite`).
fn default_data_dir() -> PathBuf {
    if nix::unistd::Uid::effective().is_root() {
        return PathBuf::from("/var/lib/cflite");
    }
    let share = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    share
        .or_else(home)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("cflite")
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// `HOST=URL` pairs.
fn upstreams(pairs: &[String]) -> Result<BTreeMap<String, Url>, ConfigError> {
    let parse = |pair: &String| {
        let (host, url) = pair.split_once('=')?;
        let url = Url::parse(url).ok()?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        (usable && plain && !host.is_empty()).then(|| (host.to_ascii_lowercase(), url))
    };
    let parsed = pairs.iter().map(|pair| {
        parse(pair).ok_or_else(|| ConfigError::Value {
            option: "registry-upstream",
            reason: format!(
                "\"{pair}\" is not of the form HOST=URL, such as docker.io=http://127.0.0.1:5001"
            ),
        })
    });
    parsed.collect()
}

/// A size such as `500M`.
fn size(option: &'static str, text: &str) -> Result<u64, ConfigError> {
    let parsed = Bytes::parse_short(text).and_then(|bytes| u64::try_from(bytes.0).ok());
    parsed.ok_or_else(|| ConfigError::Value {
        option,
        reason: format!("\"{text}\" is not a size such as 500M or 20G"),
    })
}

fn check_domain(domain: &str) -> Result<(), ConfigError> {
    let label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if domain.len() <= 190 && domain.contains('.') && domain.split('.').all(label) {
        return Ok(());
    }
    let reason =
        format!("\"{domain}\" is not a domain name with at least two parts, such as cf.localhost");
    Err(ConfigError::Value {
        option: "domain",
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "http-port = 8081\ndomain = \"File.Example\"\n").expect("write");
        let options = Options {
            http_port: Some(9000),
            config: Some(path),
            ..Options::default()
        };
        let config = options.resolve().expect("valid");
        assert_eq!(config.http_port, PortChoice::Exactly(9000));
        assert_eq!(config.domain, "file.example");
        assert_eq!(config.https_port, PortChoice::HTTPS);
    }

    #[test]
    fn an_unknown_key_is_rejected_with_a_suggestion() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "htp-port = 1\n").expect("write");
        let options = Options {
            config: Some(path),
            ..Options::default()
        };
        let error = options.resolve().expect_err("unknown key").to_string();
        assert!(
            error.ends_with("unknown key \"htp-port\"; did you mean \"http-port\"?"),
            "{error}"
        );
    }

    #[test]
    fn upstreams_are_pairs_of_a_host_and_a_url() {
        let options = |pair: &str| Options {
            registry_upstream: Some(vec![pair.to_owned()]),
            ..Options::default()
        };
        let config = options("Docker.io=http://127.0.0.1:5001").resolve();
        let upstreams = config.expect("valid").registry_upstreams;
        assert_eq!(upstreams["docker.io"].as_str(), "http://127.0.0.1:5001/");
        for bad in [
            "docker.io",
            "=http://h",
            "h=",
            "h=ftp://x",
            "h=http://x/path",
            "h=http://u@x",
        ] {
            let error = options(bad).resolve().expect_err(bad).to_string();
            assert!(error.starts_with("registry-upstream: "), "{error}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        let options = |size: &str| Options {
            registry_cache: Some(size.to_owned()),
            ..Options::default()
        };
        let config = options("2G").resolve().expect("valid");
        assert_eq!(config.registry_cache, 2 << 30);
        let error = options("much").resolve().expect_err("no size").to_string();
        assert!(error.starts_with("registry-cache: "), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        let options = Options {
            domain: Some("localhost".into()),
            ..Options::default()
        };
        let error = options.resolve().expect_err("no domain").to_string();
        assert!(error.starts_with("domain: "), "{error}");
    }
}
