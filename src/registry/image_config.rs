//! What an image says about how it is run.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The part of an image's configuration that a platform needs; everything else stays with the
/// daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// `linux/amd64`.
    pub platform: String,
    /// Words of the entrypoint.
    pub entrypoint: Vec<String>,
    /// Words of the command.
    pub command: Vec<String>,
    /// Working folder; empty = `/`.
    pub working_dir: String,
    /// A name, a number, or either with a group; empty = root.
    pub user: String,
    /// Exposed ports with their protocol, ascending.
    pub ports: Vec<(u16, String)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    config: Option<Run>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Run {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, Value>>,
}

impl ImageConfig {
    /// Reads an image's configuration; the error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        // A list would be read as the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err("its configuration is no JSON object".to_owned());
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| format!("its configuration: {error}"))?;
        let run = document.config.unwrap_or_default();
        let mut ports: Vec<(u16, String)> = Vec::new();
        for name in run.exposed_ports.unwrap_or_default().keys() {
            let (number, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
            let number = number
                .parse()
                .map_err(|_| format!("it exposes {name:?}, which is no port"))?;
            ports.push((number, protocol.to_owned()));
        }
        ports.sort();
        Ok(Self {
            platform: format!(
                "{}/{}",
                document.os.as_deref().unwrap_or("linux"),
                document.architecture.as_deref().unwrap_or("amd64")
            ),
            entrypoint: run.entrypoint.unwrap_or_default(),
            command: run.cmd.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
            ports,
        })
    }

    /// Whether a daemon of `platform` (with or without a variant) runs it.
    pub fn runs_on(&self, platform: &str) -> bool {
        platform == self.platform
            || platform
                .strip_prefix(&self.platform)
                .is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_facts_of_an_image_are_read() {
        let document = json!({
            "os": "linux", "architecture": "arm64",
            "config": {
                "Entrypoint": ["/entry"], "Cmd": ["serve", "-v"], "WorkingDir": "/srv",
                "User": "1000:1000",
                "ExposedPorts": { "8080/tcp": {}, "53/udp": {}, "443": {} },
            },
        });
        let config = ImageConfig::parse(document.to_string().as_bytes()).expect("parsed");
        assert_eq!(config.entrypoint, ["/entry"]);
        assert_eq!(config.command, ["serve", "-v"]);
        assert_eq!(
            (config.working_dir.as_str(), config.user.as_str()),
            ("/srv", "1000:1000")
        );
        let ports: Vec<String> = config
            .ports
            .iter()
            .map(|(n, p)| format!("{n}/{p}"))
            .collect();
        assert_eq!(ports, ["53/udp", "443/tcp", "8080/tcp"]);
        assert!(config.runs_on("linux/arm64") && config.runs_on("linux/arm64/v8"));
        assert!(!config.runs_on("linux/amd64"));
    }

    #[test]
    fn an_image_without_a_configuration_has_no_facts() {
        let config = ImageConfig::parse(b"{\"config\":null}").expect("parsed");
        assert_eq!(config.ports, []);
        assert_eq!(config.user, "");
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in [
            "",
            "7",
            r#"{"config":{"ExposedPorts":{"x/tcp":{}}}}"#,
            r#"{"config":7}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
