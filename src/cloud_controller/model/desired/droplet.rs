//! The parts of a droplet needed to run it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::model::processes::Process;

/// A droplet.
#[derive(Debug, Clone)]
pub(crate) struct Droplet {
    pub guid: DropletGuid,
    pub app_guid: AppGuid,
    /// Whether it can run.
    pub staged: bool,
    /// Type → command.
    pub process_types: BTreeMap<String, String>,
    pub sidecars: Vec<DropletSidecar>,
    pub execution_metadata: String,
    /// The image manifest of the instances.
    pub image_digest: Option<String>,
}

/// A sidecar from a buildpack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DropletSidecar {
    pub name: String,
    pub command: String,
    pub process_types: Vec<String>,
    /// MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
}

/// An app's droplet and how to run it.
#[derive(Debug, Clone)]
pub(crate) struct AppImage {
    pub docker: bool,
    pub droplet: Option<Droplet>,
}

impl AppImage {
    /// The default user of processes.
    pub(crate) fn user(&self) -> String {
        if !self.docker {
            return "vcap".to_owned();
        }
        let user = self.droplet.as_ref().and_then(Droplet::docker_user);
        user.unwrap_or_else(|| "root".to_owned())
    }
}

impl Droplet {
    /// The TCP ports that a Docker image exposes.
    pub(crate) fn docker_ports(&self) -> Vec<u16> {
        let metadata = self.metadata();
        let ports = metadata
            .get("ports")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let is_tcp = |port: &&Value| {
            port.get("Protocol")
                .is_none_or(|protocol| protocol == "tcp")
        };
        let number = |port: &Value| u16::try_from(port.get("Port")?.as_u64()?).ok();
        ports.iter().filter(is_tcp).filter_map(number).collect()
    }

    fn docker_user(&self) -> Option<String> {
        let user = self.metadata().get("user")?.as_str()?.to_owned();
        Some(user).filter(|user| !user.is_empty())
    }

    fn metadata(&self) -> Value {
        serde_json::from_str(&self.execution_metadata).unwrap_or(Value::Null)
    }
}

/// The configured command, or the droplet's command for this type.
pub(crate) fn command(process: &Process, droplet: Option<&Droplet>) -> String {
    let own = process
        .command
        .clone()
        .filter(|command| !command.is_empty());
    let detected = || droplet.and_then(|droplet| droplet.process_types.get(&process.kind).cloned());
    own.or_else(detected).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn droplet(execution_metadata: &str) -> Droplet {
        Droplet {
            guid: "d".into(),
            app_guid: "a".into(),
            staged: true,
            process_types: BTreeMap::from([("web".to_owned(), "serve".to_owned())]),
            sidecars: Vec::new(),
            execution_metadata: execution_metadata.to_owned(),
            image_digest: Some(format!("sha256:{}", "0".repeat(64))),
        }
    }

    #[test]
    fn ports_and_user_are_read_from_the_image() {
        let given =
            r#"{"ports":[{"Port":80,"Protocol":"tcp"},{"Port":53,"Protocol":"udp"}],"user":"app"}"#;
        let docker = |metadata| AppImage {
            docker: true,
            droplet: Some(droplet(metadata)),
        };
        assert_eq!(droplet(given).docker_ports(), [80]);
        assert_eq!(docker(given).user(), "app");
        for nothing in ["", "{}", r#"{"user":""}"#] {
            assert!(droplet(nothing).docker_ports().is_empty());
            assert_eq!(docker(nothing).user(), "root");
        }
        assert_eq!(
            AppImage {
                docker: false,
                droplet: Some(droplet(given))
            }
            .user(),
            "vcap"
        );
    }
}
