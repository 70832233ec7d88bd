//! Hand-made `docker save` streams.

use std::io::Cursor;

use serde_json::json;

use crate::blobs::Digest;
use crate::docker::ByteReader;

pub(super) fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } })
        .to_string()
        .into_bytes()
}

pub(super) struct Saved(tar::Builder<Vec<u8>>);

impl Saved {
    pub(super) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(super) fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, path, bytes).expect("file");
        self
    }

    pub(super) fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).expect("link");
        self
    }

    pub(super) fn manifest(self, config: &str, layers: &[&str]) -> Self {
        let text = json!([{ "Config": config, "RepoTags": null, "Layers": layers }]).to_string();
        self.file("manifest.json", text.as_bytes())
    }

    pub(super) fn reader(self) -> ByteReader {
        Box::pin(Cursor::new(self.0.into_inner().expect("tar")))
    }
}

/// The layout of daemons before 25, with the manifest at the end.
pub(super) fn classic_tar(layers: &[&[u8]]) -> ByteReader {
    let mut saved = Saved::new().file("config.json", &config_of(layers));
    let mut paths = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let path = format!("{index}/layer.tar");
        let note = format!("{index}/json");
        saved = saved.file(&note, b"{}").file(&path, layer);
        paths.push(path);
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    saved.manifest("config.json", &paths).reader()
}
