//! Images in memory, with real digests, so that a registry can read a saved one.

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::docker::{DockerError, Image, Labels};

/// An image and its layers.
#[derive(Clone, Debug)]
pub(super) struct FakeImage {
    pub(super) image: Image,
    layers: Vec<Bytes>,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// `name:tag`, with the default tag when there is none.
pub(super) fn full_name(reference: &str) -> String {
    match reference.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => reference.to_owned(),
        _ => format!("{reference}:latest"),
    }
}

/// A layer with one file that holds `text`.
fn layer(text: &str) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    // Writing to memory cannot fail.
    drop(builder.append_data(&mut header, "etc/fake-image", text.as_bytes()));
    builder.into_inner().unwrap_or_default().into()
}

impl FakeImage {
    /// An image of one small layer.
    pub(super) fn small(reference: &str) -> Self {
        Self::like(Image {
            tags: vec![full_name(reference)],
            ..empty()
        })
    }

    /// An image like `image`: missing layers and id are generated.
    pub(super) fn like(mut image: Image) -> Self {
        image.tags = image.tags.iter().map(|tag| full_name(tag)).collect();
        let layers = vec![layer(&image.tags.join(" "))];
        Self::of(image, layers)
    }

    /// This image plus a layer.
    pub(super) fn extended(&self, mut image: Image, text: &str) -> Self {
        let mut layers = self.layers.clone();
        layers.push(layer(text));
        image.diff_ids.clear();
        image.id.clear();
        Self::of(image, layers)
    }

    /// An image of one layer.
    pub(super) fn imported(reference: &str, tar: Bytes) -> Self {
        let image = Image {
            tags: vec![full_name(reference)],
            ..empty()
        };
        Self::of(image, vec![tar])
    }

    fn of(mut image: Image, layers: Vec<Bytes>) -> Self {
        if image.diff_ids.is_empty() {
            image.diff_ids = layers.iter().map(|layer| digest(layer)).collect();
        }
        if image.size == 0 {
            image.size = layers.iter().map(|layer| layer.len() as u64).sum();
        }
        let mut created = Self { image, layers };
        if created.image.id.is_empty() {
            created.image.id = digest(&created.config());
        }
        created
    }

    pub(super) fn answers_to(&self, reference: &str) -> bool {
        let id = &self.image.id;
        let short = reference.len() >= 6 && id.trim_start_matches("sha256:").starts_with(reference);
        let name = full_name(reference);
        id == reference
            || short
            || self.image.tags.iter().any(|t| *t == name || t == reference)
            || self.image.digests.iter().any(|digest| digest == reference)
    }

    fn config(&self) -> Vec<u8> {
        let ports: serde_json::Map<_, _> = self
            .image
            .exposed_ports
            .iter()
            .map(|port| (format!("{port}/tcp"), json!({})))
            .collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": "2023-11-14T22:13:20Z",
            "config": {
                "Entrypoint": self.image.entrypoint,
                "Cmd": self.image.command,
                "Env": self.image.environment,
                "User": self.image.user,
                "WorkingDir": self.image.working_dir,
                "Labels": self.image.labels,
                "ExposedPorts": ports,
            },
            "rootfs": { "type": "layers", "diff_ids": self.image.diff_ids },
            "history": [],
        });
        config.to_string().into_bytes()
    }

    /// As `docker save` writes it.
    pub(super) fn save(&self) -> Result<Bytes, DockerError> {
        let config = self.config();
        let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
        let layer_name =
            |layer: &Bytes| format!("{}/layer.tar", hex::encode(Sha256::digest(layer)));
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": self.image.tags,
            "Layers": self.layers.iter().map(layer_name).collect::<Vec<_>>(),
        }])
        .to_string();
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content)
        };
        let fault = |e: std::io::Error| DockerError::Failed(e.to_string());
        for layer in &self.layers {
            add(&layer_name(layer), layer).map_err(fault)?;
        }
        add(&config_name, &config).map_err(fault)?;
        add("manifest.json", manifest.as_bytes()).map_err(fault)?;
        Ok(builder.into_inner().map_err(fault)?.into())
    }
}

pub(super) fn empty() -> Image {
    Image {
        id: String::new(),
        tags: Vec::new(),
        digests: Vec::new(),
        labels: Labels::new(),
        size: 0,
        diff_ids: Vec::new(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        environment: Vec::new(),
        user: String::new(),
        working_dir: String::new(),
        exposed_ports: Vec::new(),
    }
}
