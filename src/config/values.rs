//! Values of options that are more than one word or number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use super::ConfigError;
use crate::base::{Bytes, Megabytes};
use crate::net::PortRanges;
use crate::net::ports::PortChoice;
use crate::pki::CertificateFiles;
use crate::scheduler::MemoryCapacity;
use crate::telemetry::{otlp, own_log};

/// The registries of packages, as the cache names them.
const PACKAGE_REGISTRIES: [&str; 7] = [
    "pypi", "npm", "go", "maven", "rubygems", "composer", "debian",
];

/// `HOST=URL` pairs.
pub(super) fn upstreams(pairs: &[String]) -> Result<BTreeMap<String, Url>, ConfigError> {
    let parse = |pair: &String| {
        let (host, url) = pair.split_once('=')?;
        let url = Url::parse(url).ok()?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = url.path() == "/" && url.query().is_none() && !has_credentials(&url);
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

/// `REGISTRY=URL` pairs.
pub(super) fn package_upstreams(pairs: &[String]) -> Result<BTreeMap<String, Url>, ConfigError> {
    let parse = |pair: &String| {
        let (name, url) = pair.split_once('=')?;
        let url = Url::parse(url).ok()?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = url.query().is_none() && url.fragment().is_none() && !has_credentials(&url);
        let known = PACKAGE_REGISTRIES.contains(&name);
        (usable && plain && known).then(|| (name.to_owned(), url))
    };
    let parsed = pairs.iter().map(|pair| {
        parse(pair).ok_or_else(|| ConfigError::Value {
            option: "package-upstream",
            reason: format!(
                "\"{pair}\" is not of the form REGISTRY=URL, such as \
                 pypi=https://pypi.example.com; registries are {}",
                PACKAGE_REGISTRIES.join(", ")
            ),
        })
    });
    parsed.collect()
}

/// Whether a URL names a user or a password; `cflite config` and the console show URLs as they are.
fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

pub(super) fn log_format(text: Option<&str>) -> Result<own_log::Format, ConfigError> {
    let Some(text) = text else {
        return Ok(own_log::Format::default());
    };
    own_log::Format::parse(text).ok_or_else(|| ConfigError::Value {
        option: "log-format",
        reason: format!("\"{text}\" is not text or json"),
    })
}

pub(super) fn export() -> Result<Option<otlp::Settings>, ConfigError> {
    let read = otlp::Settings::read(&|name| std::env::var(name).ok());
    read.map_err(|reason| ConfigError::Value {
        option: "OTEL",
        reason,
    })
}

/// The daemon that Docker's own tools would ask.
pub(super) fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok()
}

/// The port that is given, else the usual one.
pub(super) fn port(given: Option<u16>, usual: PortChoice) -> PortChoice {
    given.map_or(usual, PortChoice::Exactly)
}

/// Ports such as `61001-61100`.
pub(super) fn tcp_ports(text: &str) -> Result<PortRanges, ConfigError> {
    PortRanges::parse(text).map_err(|error| ConfigError::Value {
        option: "tcp-ports",
        reason: format!("\"{text}\" are not ports such as 61001-61100: {error}"),
    })
}

/// Where SSH listens, unless it is off.
pub(super) fn ssh_port(is_on: Option<bool>, given: Option<u16>) -> Option<PortChoice> {
    let choice = port(given, PortChoice::SSH);
    is_on.unwrap_or(true).then_some(choice)
}

/// A size such as `500M`, the usual one when none is given.
pub(super) fn size(
    option: &'static str,
    given: Option<String>,
    usual: u64,
) -> Result<u64, ConfigError> {
    let Some(text) = given else {
        return Ok(usual);
    };
    let parsed = Bytes::parse_short(&text).and_then(|bytes| u64::try_from(bytes.0).ok());
    parsed.ok_or_else(|| ConfigError::Value {
        option,
        reason: format!("\"{text}\" is not a size such as 500M or 20G"),
    })
}

/// A size, or a percentage of the machine's memory.
pub(super) fn memory_capacity(given: Option<&str>) -> Result<MemoryCapacity, ConfigError> {
    let Some(text) = given else {
        return Ok(MemoryCapacity::Percent(200));
    };
    let parsed = match text.trim().strip_suffix('%') {
        Some(percent) => { percent.trim().parse().ok() }
            .filter(|percent| *percent > 0)
            .map(MemoryCapacity::Percent),
        None => Bytes::parse_short(text)
            .map(|bytes| Megabytes(bytes.0 >> 20))
            .filter(|size| size.0 > 0)
            .map(MemoryCapacity::Size),
    };
    parsed.ok_or_else(|| ConfigError::Value {
        option: "memory-capacity",
        reason: format!("\"{text}\" is neither a size such as 6G nor a percentage such as 150%"),
    })
}

pub(super) fn check_domain(domain: &str) -> Result<(), ConfigError> {
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

/// `NAME=OFFERING/PLAN` pairs.
pub(super) fn stand_ins(pairs: &[String]) -> Result<BTreeMap<String, String>, ConfigError> {
    let parse = |pair: &String| {
        let (name, profile) = pair.split_once('=')?;
        let (offering, plan) = profile.split_once('/')?;
        let is_whole = !name.is_empty() && !offering.is_empty() && !plan.is_empty();
        is_whole.then(|| (name.to_owned(), profile.to_owned()))
    };
    let parsed = pairs.iter().map(|pair| {
        parse(pair).ok_or_else(|| ConfigError::Value {
            option: "stand-in",
            reason: format!(
                "\"{pair}\" is not of the form NAME=OFFERING/PLAN, such as mysql=mariadb/small"
            ),
        })
    });
    parsed.collect()
}

/// `/var/lib/cflite` for root, else `~/.local/share/cflite` (or `$XDG_DATA_HOME/cflite`).
pub(super) fn default_data_dir() -> PathBuf {
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

/// `CERTIFICATE[,KEY]`.
pub(super) fn certificates(all: &[String]) -> Vec<CertificateFiles> {
    let files = all.iter().map(|text| CertificateFiles::of(text));
    let full = files.map(|files| CertificateFiles {
        certificate: absolute(files.certificate),
        key: absolute(files.key),
    });
    full.collect()
}

pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_is_a_size_or_a_percentage() {
        let cases = [
            (None, Some("200%")),
            (Some("150 %"), Some("150%")),
            (Some("6G"), Some("6144M")),
            (Some("0%"), None),
            (Some("much"), None),
            (Some("1K"), None),
        ];
        for (given, expected) in cases {
            let found = memory_capacity(given).ok().map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn upstreams_have_neither_a_user_nor_a_password() {
        for who in ["u@", ":p@", "u:p@"] {
            let refused = upstreams(&[format!("docker.io=http://{who}127.0.0.1:5001")]);
            assert!(refused.is_err(), "{who}");
            let refused = package_upstreams(&[format!("pypi=https://{who}pypi.example.com")]);
            assert!(refused.is_err(), "{who}");
        }
        assert!(upstreams(&["docker.io=http://127.0.0.1:5001".to_owned()]).is_ok());
        assert!(package_upstreams(&["pypi=https://pypi.example.com".to_owned()]).is_ok());
    }
}
