//! Reading `cflite.toml`.

use std::path::Path;

use super::{ConfigError, Options};

/// Every key of the file.
const KEYS: &[&str] = &[
    "data-dir",
    "domain",
    "bind",
    "http-port",
    "https-port",
    "ssh-port",
    "ssh",
    "dns-port",
    "registry-port",
    "tcp-ports",
    "docker-host",
    "admin-password-file",
    "app-log-revision",
    "registry-upstream",
    "registry-mirror-port",
    "registry-cache",
    "package-cache",
    "package-upstream",
    "ca-certificates",
    "data-services",
    "stand-ins",
    "stand-in",
    "alert",
    "log-drain",
    "log-drain-blocked",
    "offline",
    "log-format",
    "network-enforce",
    "memory-capacity",
    "tls-certificate",
    "client-certificates",
    "client-authorities",
    "forwarded-client-cert",
];

/// The options of a file, none if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Options, ConfigError> {
    if path.exists() {
        read(path)
    } else {
        Ok(Options::default())
    }
}

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<Options, ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| invalid(e.to_string()))?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = KEYS
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        return Err(invalid(format!("unknown key \"{key}\"{hint}")));
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| invalid(e.message().to_owned()))
}
