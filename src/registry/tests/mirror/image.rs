//! Images as other registries have them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::blobs::Digest;

pub(super) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Bytes under their digest.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: String,
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
}

impl Object {
    pub(super) fn new(kind: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            kind: kind.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.kind, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// An image for one platform.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) platform: String,
    pub(super) manifest: Object,
    pub(super) config: Object,
    pub(super) layers: Vec<Object>,
}

impl Image {
    pub(super) fn oci(platform: &str, layers: &[&str]) -> Self {
        let config = "application/vnd.oci.image.config.v1+json";
        Self::of([OCI, config, OCI_LAYER], platform, layers)
    }

    pub(super) fn docker(platform: &str, layers: &[&str]) -> Self {
        let config = "application/vnd.docker.container.image.v1+json";
        Self::of([DOCKER, config, DOCKER_LAYER], platform, layers)
    }

    /// An image with a layer that only its vendor gives away.
    pub(super) fn foreign(platform: &str) -> Self {
        let kinds = [
            DOCKER,
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ];
        Self::of(kinds, platform, &["a vendor's layer"])
    }

    fn of([manifest, config, layer]: [&str; 3], platform: &str, layers: &[&str]) -> Self {
        let (os, architecture) = platform.split_once('/').expect("a platform");
        let run = json!({
            "os": os, "architecture": architecture,
            "config": { "Cmd": ["run", layers.join("+")], "ExposedPorts": { "8080/tcp": {} } },
        });
        let config = Object::new(config, run.to_string());
        let layers: Vec<Object> = layers
            .iter()
            .map(|text| Object::new(layer, (*text).to_owned()))
            .collect();
        let descriptors: Vec<Value> = layers.iter().map(Object::descriptor).collect();
        let document = json!({
            "schemaVersion": 2, "mediaType": manifest,
            "config": config.descriptor(), "layers": descriptors,
        });
        Self {
            platform: platform.to_owned(),
            manifest: Object::new(manifest, document.to_string()),
            config,
            layers,
        }
    }

    pub(super) fn blobs(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.manifest.digest
    }
}

/// An index of images, with an attestation for the first of them.
pub(super) fn index(images: &[&Image]) -> Object {
    let entry = |image: &&Image| {
        let (os, architecture) = image.platform.split_once('/').expect("a platform");
        let mut entry = image.manifest.descriptor();
        entry["platform"] = json!({ "os": os, "architecture": architecture });
        entry
    };
    let mut attestation = Object::new(OCI, "{}").descriptor();
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let mut entries: Vec<Value> = vec![attestation];
    entries.extend(images.iter().map(entry));
    let document = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    Object::new(OCI_INDEX, document.to_string())
}
