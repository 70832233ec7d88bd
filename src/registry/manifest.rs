//! What the registry reads of a manifest that it stores: the content it names, and what it refers
//! to.
//!
//! The bytes are stored as they came; nothing here is ever written back. So only the fields that
//! matter are parsed, in all their spellings: lists may be missing or null, `mediaType` may be
//! missing in OCI documents, unknown fields are ignored. The types of the crate `oci-spec` are
//! stricter in each of these, and their only use would be to serialise a manifest again, which
//! would change its digest.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::RegistryError;
use super::digest::AnyDigest;
use super::image::{DOCKER_MANIFEST, OCI_MANIFEST};

/// Docker's list of manifests.
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI's.
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Of a release candidate of the image specification; some signers still push it.
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Schema 1, of 2015; its later form ends in `+prettyjws`.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// Layers with these types stay with their vendor: a registry need not hold them.
const FOREIGN: &[&str] = &[
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
];

/// What a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// Configuration and layers.
    pub(super) parts: Vec<Part>,
    /// The manifests of an index.
    pub(super) children: Vec<AnyDigest>,
    /// The manifest it refers to, which need not exist.
    pub(super) subject: Option<AnyDigest>,
    /// What a list of referrers shows as its type.
    pub(super) artifact_type: Option<String>,
    /// The same for its annotations: a JSON object.
    pub(super) annotations: Option<String>,
}

/// A blob of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) digest: AnyDigest,
    /// Its bytes, as the manifest says.
    pub(super) size: Option<u64>,
    /// Whether the registry must hold it.
    pub(super) held: Held,
}

/// Whether the registry must hold a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Always,
    /// The vendor has it.
    IfPushed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u32>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: AnyDigest,
    /// Anything: only copies need it.
    size: Option<serde_json::Value>,
}

/// The media type of a `Content-Type` without its parameters.
pub(super) fn bare_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The type that a manifest gives itself, if the client gave none.
pub(super) fn own_type(bytes: &[u8]) -> Result<String, RegistryError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Typed =
        serde_json::from_slice(bytes).map_err(|e| invalid(format!("manifest: {e}")))?;
    typed
        .media_type
        .ok_or_else(|| invalid("the header Content-Type is missing"))
}

impl Contents {
    /// Parses a manifest of the given type.
    pub(super) fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, RegistryError> {
        if media_type.starts_with(SCHEMA_1) {
            return Err(RegistryError::UnsupportedManifest);
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|e| invalid(format!("manifest: {e}")))?;
        document.check(media_type)?;
        match media_type {
            DOCKER_MANIFEST | OCI_MANIFEST => document.image(),
            DOCKER_LIST | OCI_INDEX => Ok(document.index()),
            OCI_ARTIFACT => Ok(document.artifact()),
            other => Err(invalid(format!("manifests of type {other:?} are unknown"))),
        }
    }
}

impl Document {
    /// The type in the document must be the one it is stored with, and its fields those of one
    /// kind: otherwise two clients would see two different things in the same bytes.
    fn check(&self, media_type: &str) -> Result<(), RegistryError> {
        if self.schema_version == Some(1) {
            return Err(RegistryError::UnsupportedManifest);
        }
        let is_oci = media_type.starts_with("application/vnd.oci.");
        match &self.media_type {
            Some(own) if own != media_type => {
                return Err(invalid(format!(
                    "the manifest is of type {own:?}, but was sent as {media_type:?}"
                )));
            }
            None if !is_oci => return Err(invalid("mediaType is missing")),
            _ => {}
        }
        if self.schema_version != Some(2) && media_type != OCI_ARTIFACT {
            return Err(invalid("schemaVersion is not 2"));
        }
        let image = self.config.is_some() || self.layers.is_some();
        if image && self.manifests.is_some() {
            return Err(invalid("the manifest is both an image and an index"));
        }
        if media_type == OCI_ARTIFACT && (image || self.manifests.is_some()) {
            return Err(invalid(
                "an artifact has neither config, layers nor manifests",
            ));
        }
        if matches!(media_type, DOCKER_LIST | OCI_INDEX) && image {
            return Err(invalid("an index has neither config nor layers"));
        }
        Ok(())
    }

    fn image(self) -> Result<Contents, RegistryError> {
        let config = self.config.ok_or_else(|| invalid("config is missing"))?;
        let artifact_type = self
            .artifact_type
            .filter(|text| !text.is_empty())
            .or_else(|| config.media_type.clone());
        let layers = self.layers.unwrap_or_default();
        let parts = std::iter::once(config).chain(layers).map(Part::from);
        Ok(Contents {
            parts: parts.collect(),
            children: Vec::new(),
            subject: self.subject.map(|subject| subject.digest),
            artifact_type,
            annotations: json(self.annotations),
        })
    }

    fn index(self) -> Contents {
        let children = self.manifests.unwrap_or_default().into_iter();
        Contents {
            parts: Vec::new(),
            children: children.map(|child| child.digest).collect(),
            subject: self.subject.map(|subject| subject.digest),
            artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            annotations: json(self.annotations),
        }
    }

    fn artifact(self) -> Contents {
        let blobs = self.blobs.unwrap_or_default();
        Contents {
            parts: blobs.into_iter().map(Part::from).collect(),
            children: Vec::new(),
            subject: self.subject.map(|subject| subject.digest),
            artifact_type: self.artifact_type,
            annotations: json(self.annotations),
        }
    }
}

impl From<Descriptor> for Part {
    fn from(descriptor: Descriptor) -> Self {
        let kind = descriptor.media_type.unwrap_or_default();
        let foreign = FOREIGN.iter().any(|start| kind.starts_with(start));
        Self {
            digest: descriptor.digest,
            size: descriptor.size.and_then(|size| size.as_u64()),
            held: if foreign {
                Held::IfPushed
            } else {
                Held::Always
            },
        }
    }
}

fn json(annotations: Option<BTreeMap<String, String>>) -> Option<String> {
    let annotations = annotations.filter(|all| !all.is_empty())?;
    Some(serde_json::json!(annotations).to_string())
}

fn invalid(reason: impl Into<String>) -> RegistryError {
    RegistryError::InvalidImage(reason.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::blobs::{Digest, Sha512Digest};

    fn parse(media_type: &str, document: &Value) -> Result<Contents, RegistryError> {
        Contents::parse(media_type, document.to_string().as_bytes())
    }

    fn part(kind: &str, text: &str) -> Value {
        json!({ "mediaType": kind, "digest": Digest::of(text.as_bytes()), "size": text.len() })
    }

    #[test]
    fn an_image_names_its_configuration_layers_and_subject() {
        let subject = Sha512Digest::of(b"subject");
        let document = json!({
            "schemaVersion": 2,
            "config": part("application/vnd.example.config", "config"),
            "layers": [
                part("application/vnd.oci.image.layer.v1.tar+gzip", "layer"),
                part("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign"),
            ],
            "subject": { "digest": subject.as_str() },
            "annotations": { "b": "2", "a": "1" },
            "unknown": [null],
        });
        let found = parse(OCI_MANIFEST, &document).expect("manifest");
        let part = |text: &str, held| Part {
            digest: Digest::of(text.as_bytes()).into(),
            size: Some(text.len() as u64),
            held,
        };
        let expected = Contents {
            parts: vec![
                part("config", Held::Always),
                part("layer", Held::Always),
                part("foreign", Held::IfPushed),
            ],
            children: Vec::new(),
            subject: Some(AnyDigest::Sha512(subject)),
            artifact_type: Some("application/vnd.example.config".to_owned()),
            annotations: Some(r#"{"a":"1","b":"2"}"#.to_owned()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_index_names_its_children_and_has_a_type_only_if_it_says_so() {
        let mut document = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [part(OCI_MANIFEST, "child")],
        });
        let found = parse(OCI_INDEX, &document).expect("index");
        assert_eq!(found.children, [Digest::of(b"child").into()]);
        assert_eq!((found.artifact_type, found.parts), (None, Vec::new()));
        document["artifactType"] = json!("application/x");
        document["manifests"] = Value::Null;
        let found = parse(OCI_INDEX, &document).expect("index");
        assert_eq!(found.artifact_type.as_deref(), Some("application/x"));
        assert_eq!(found.children, []);
    }

    #[test]
    fn an_artifact_names_its_blobs() {
        let document = json!({
            "mediaType": OCI_ARTIFACT, "artifactType": "a/b", "blobs": [part("x/y", "blob")],
        });
        let found = parse(OCI_ARTIFACT, &document).expect("artifact");
        assert_eq!(found.parts[0].digest, Digest::of(b"blob").into());
        assert_eq!(found.artifact_type.as_deref(), Some("a/b"));
    }

    #[test]
    fn ambiguous_and_broken_documents_are_rejected() {
        let config = part("x/y", "config");
        for (media_type, document) in [
            (OCI_MANIFEST, json!([])),
            (OCI_MANIFEST, json!({ "schemaVersion": 2 })),
            (OCI_MANIFEST, json!({ "config": config })),
            (
                OCI_MANIFEST,
                json!({ "schemaVersion": 2, "config": { "digest": "sha256:bad" } }),
            ),
            (
                OCI_MANIFEST,
                json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config }),
            ),
            (
                DOCKER_MANIFEST,
                json!({ "schemaVersion": 2, "config": config }),
            ),
            (
                OCI_MANIFEST,
                json!({ "schemaVersion": 2, "config": config, "manifests": [] }),
            ),
            (OCI_INDEX, json!({ "schemaVersion": 2, "layers": [] })),
            (OCI_ARTIFACT, json!({ "config": config, "layers": [] })),
            (OCI_ARTIFACT, json!({ "blobs": [], "manifests": [] })),
            (
                "application/json",
                json!({ "schemaVersion": 2, "config": config }),
            ),
        ] {
            let result = parse(media_type, &document);
            assert!(
                matches!(result, Err(RegistryError::InvalidImage(_))),
                "{media_type} {document}"
            );
        }
    }

    #[test]
    fn schema_1_is_unsupported() {
        for (media_type, version) in [
            (
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                1,
            ),
            ("application/vnd.docker.distribution.manifest.v1+json", 1),
            (DOCKER_MANIFEST, 1),
        ] {
            let result = parse(media_type, &json!({ "schemaVersion": version }));
            assert!(matches!(result, Err(RegistryError::UnsupportedManifest)));
        }
    }

    #[test]
    fn parameters_of_a_content_type_are_dropped() {
        assert_eq!(bare_type("a/b; charset=utf-8"), "a/b");
        assert_eq!(bare_type(" a/b "), "a/b");
    }
}
