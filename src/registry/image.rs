//! Manifests and image configurations: parsing, and appending a layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::blobs::{Blob, Digest};

use super::RegistryError;

/// Docker's image manifest, version 2 schema 2: all Docker daemons support it.
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The changes to an image's configuration when a layer is appended. Values that are not replaced
/// are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChange {
    /// Labels to add or replace.
    pub labels: BTreeMap<String, String>,
    /// Environment variables to add or replace.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Entrypoint; an empty one removes the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Command; an empty one removes the image's.
    pub command: Option<Vec<String>>,
    /// TCP ports to expose in addition.
    pub exposed_ports: Vec<u16>,
    /// The comment in the image's history.
    pub comment: String,
}

/// The relevant fields of an image manifest; others are kept unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// One part of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    pub(super) size: u64,
    pub(super) digest: Digest,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Manifest {
    /// A Docker manifest of uncompressed layers.
    pub(super) fn docker(config: &Blob, layers: &[Blob]) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(DOCKER_MANIFEST.to_owned()),
            config: Descriptor::new(DOCKER_CONFIG, config),
            layers: layers
                .iter()
                .map(|layer| Descriptor::new(DOCKER_LAYER, layer))
                .collect(),
            rest: Map::new(),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RegistryError> {
        serde_json::from_slice(bytes).map_err(|e| invalid(&format!("manifest: {e}")))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        json!(self).to_string().into_bytes()
    }

    /// Its media type.
    pub(super) fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(OCI_MANIFEST)
    }

    /// This image with one more layer and a new configuration.
    pub(super) fn with_layer(mut self, config: &Blob, layer: &Blob) -> Self {
        let kind = match self.media_type() {
            DOCKER_MANIFEST => DOCKER_LAYER,
            _ => OCI_LAYER,
        };
        self.config.size = config.size;
        self.config.digest = config.digest.clone();
        self.layers.push(Descriptor::new(kind, layer));
        self
    }
}

impl Descriptor {
    pub(super) fn blob(&self) -> Blob {
        Blob {
            digest: self.digest.clone(),
            size: self.size,
        }
    }

    fn new(media_type: &str, blob: &Blob) -> Self {
        Self {
            media_type: media_type.to_owned(),
            size: blob.size,
            digest: blob.digest.clone(),
            rest: Map::new(),
        }
    }
}

/// The digests of an image's uncompressed layers, base first.
pub(super) fn diff_ids(config: &[u8]) -> Result<Vec<Digest>, RegistryError> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default)]
        diff_ids: Option<Vec<Digest>>,
    }
    let config: Config =
        serde_json::from_slice(config).map_err(|e| invalid(&format!("configuration: {e}")))?;
    Ok(config.rootfs.diff_ids.unwrap_or_default())
}

/// Appends `layer` (uncompressed, so its digest is its diff id) to the configuration `base`.
/// Deterministic: the same input gives the same bytes.
pub(super) fn append_to_config(
    base: &[u8],
    layer: &Digest,
    change: &ImageChange,
    now: Timestamp,
) -> Result<Vec<u8>, RegistryError> {
    let mut config: Map<String, Value> =
        serde_json::from_slice(base).map_err(|e| invalid(&format!("configuration: {e}")))?;
    // These fields describe the container the base was built from, not this image.
    for stale in ["container", "container_config", "parent", "id"] {
        config.shift_remove(stale);
    }
    config.insert("created".to_owned(), json!(now));
    let rootfs = object(&mut config, "rootfs")?;
    array(rootfs, "diff_ids")?.push(json!(layer));
    array(&mut config, "history")?.push(json!({
        "created": now,
        "created_by": "cflite",
        "comment": change.comment,
    }));
    apply(object(&mut config, "config")?, change)?;
    Ok(Value::Object(config).to_string().into_bytes())
}

fn apply(run: &mut Map<String, Value>, change: &ImageChange) -> Result<(), RegistryError> {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            run.insert(name.to_owned(), value);
        }
    };
    set("User", change.user.as_ref().map(|user| json!(user)));
    set(
        "WorkingDir",
        change.working_dir.as_ref().map(|dir| json!(dir)),
    );
    set(
        "Entrypoint",
        change.entrypoint.as_ref().map(|words| json!(words)),
    );
    set("Cmd", change.command.as_ref().map(|words| json!(words)));
    let environment = array(run, "Env")?;
    for (name, value) in &change.environment {
        let start = format!("{name}=");
        environment.retain(|old| !old.as_str().is_some_and(|old| old.starts_with(&start)));
        environment.push(json!(format!("{start}{value}")));
    }
    if !change.labels.is_empty() {
        let labels = object(run, "Labels")?;
        for (name, value) in &change.labels {
            labels.insert(name.clone(), json!(value));
        }
    }
    if !change.exposed_ports.is_empty() {
        let ports = object(run, "ExposedPorts")?;
        for port in &change.exposed_ports {
            ports.insert(format!("{port}/tcp"), json!({}));
        }
    }
    Ok(())
}

/// The object under `name`, created if missing or null.
fn object<'a>(
    parent: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>, RegistryError> {
    let value = parent.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value
        .as_object_mut()
        .ok_or_else(|| invalid(&format!("configuration: {name} is no object")))
}

/// The array under `name`, created if missing or null.
fn array<'a>(
    parent: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Vec<Value>, RegistryError> {
    let value = parent.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = json!([]);
    }
    value
        .as_array_mut()
        .ok_or_else(|| invalid(&format!("configuration: {name} is no array")))
}

fn invalid(reason: &str) -> RegistryError {
    RegistryError::InvalidImage(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn base() -> Vec<u8> {
        json!({
            "architecture": "amd64",
            "config": { "Env": ["PATH=/bin", "LANG=C"], "Labels": null, "Cmd": ["sh"] },
            "container": "0123",
            "created": "2020-01-01T00:00:00Z",
            "history": [{ "created": "2020-01-01T00:00:00Z" }],
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"base")] },
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_layer_is_appended_the_same_way_every_time() {
        let change = ImageChange {
            labels: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            environment: vec![("LANG".to_owned(), "C.UTF-8".to_owned())],
            working_dir: Some("/home/vcap/app".to_owned()),
            user: Some("2000:2000".to_owned()),
            entrypoint: Some(Vec::new()),
            exposed_ports: vec![8080],
            comment: "droplet".to_owned(),
            ..ImageChange::default()
        };
        let layer = Digest::of(b"layer");
        let first = append_to_config(&base(), &layer, &change, NOW).expect("append");
        let second = append_to_config(&base(), &layer, &change, NOW).expect("append");
        assert_eq!(first, second);
        let config: Value = serde_json::from_slice(&first).expect("json");
        let expected = json!({
            "architecture": "amd64",
            "config": {
                "Env": ["PATH=/bin", "LANG=C.UTF-8"],
                "Labels": { "a": "1" },
                "Cmd": ["sh"],
                "User": "2000:2000",
                "WorkingDir": "/home/vcap/app",
                "Entrypoint": [],
                "ExposedPorts": { "8080/tcp": {} },
            },
            "created": "2023-11-14T22:13:20Z",
            "history": [
                { "created": "2020-01-01T00:00:00Z" },
                { "created": "2023-11-14T22:13:20Z", "created_by": "cflite", "comment": "droplet" },
            ],
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"base"), layer] },
        });
        assert_eq!(config, expected);
        assert_eq!(diff_ids(&first).expect("diff ids").len(), 2);
    }

    #[test]
    fn an_image_without_configuration_gets_one() {
        let bare = br#"{"config":null,"rootfs":{"type":"layers"}}"#;
        let layer = Digest::of(b"layer");
        let result = append_to_config(bare, &layer, &ImageChange::default(), NOW).expect("append");
        assert_eq!(diff_ids(&result).expect("diff ids"), [layer]);
    }

    #[test]
    fn an_invalid_configuration_is_rejected() {
        let layer = Digest::of(b"layer");
        for broken in [
            "",
            "[]",
            r#"{"rootfs":[]}"#,
            r#"{"history":{}}"#,
            r#"{"config":7}"#,
        ] {
            let result = append_to_config(broken.as_bytes(), &layer, &ImageChange::default(), NOW);
            assert!(
                matches!(result, Err(RegistryError::InvalidImage(_))),
                "{broken}"
            );
        }
    }

    #[test]
    fn a_manifest_keeps_unknown_fields_and_its_type() {
        let blob = |text: &str| Blob {
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
        };
        let docker = Manifest::docker(&blob("config"), &[blob("base")]);
        let more = docker.with_layer(&blob("config 2"), &blob("layer"));
        assert_eq!(more.media_type(), DOCKER_MANIFEST);
        assert_eq!(more.layers[1].media_type, DOCKER_LAYER);
        assert_eq!(more.layers.len(), 2);

        let oci = json!({
            "schemaVersion": 2,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 1,
                        "digest": Digest::of(b"c") },
            "layers": [],
            "annotations": { "a": "b" },
        });
        let oci = Manifest::parse(oci.to_string().as_bytes()).expect("manifest");
        assert_eq!(oci.media_type(), OCI_MANIFEST);
        let more = oci.with_layer(&blob("config 2"), &blob("layer"));
        assert_eq!(more.layers[0].media_type, OCI_LAYER);
        let text = String::from_utf8(more.to_bytes()).expect("text");
        assert!(text.contains(r#""annotations":{"a":"b"}"#), "{text}");
    }
}
