//! Reading the tar stream of `docker save`.
//!
//! Daemons write three layouts: `<id>/layer.tar` with symbolic links for equal layers (up to 24),
//! `blobs/sha256/<digest>` (since 25), and the latter with compressed layers (the containerd image
//! store). In all of them `manifest.json` names the files, and it may come last; so every file is
//! written to a draft on disk while streaming, and unused ones are dropped at the end. Memory use
//! does not depend on the size of the layers.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::blobs::{BlobError, Blobs, Digest, Sealed};

use super::RegistryError;
use super::image::diff_ids;

/// `manifest.json` and image configurations are far smaller; layers have no limit.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The parts of one image.
pub(super) struct SavedImage {
    pub(super) config: Sealed,
    /// Digest and content of each uncompressed layer, base first; a repeated layer has its content
    /// only the first time.
    pub(super) layers: Vec<(Digest, Option<Sealed>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    layers: Vec<String>,
}

/// Reads the single image in the stream.
pub(super) fn read(blobs: &Blobs, source: impl Read) -> Result<SavedImage, RegistryError> {
    let mut files = Files::read(blobs, source)?;
    let manifest = files
        .manifest
        .take()
        .ok_or_else(|| invalid("manifest.json is missing: not an output of docker save"))?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&manifest).map_err(|e| invalid(format!("manifest.json: {e}")))?;
    let [entry] = <[Entry; 1]>::try_from(entries)
        .map_err(|all| invalid(format!("expected one image, found {}", all.len())))?;
    let config = files.take(&entry.config)?;
    let diff_ids = diff_ids(&document(config.open()?)?)?;
    if diff_ids.len() != entry.layers.len() {
        let (files, ids) = (entry.layers.len(), diff_ids.len());
        return Err(invalid(format!("{files} layers, but {ids} diff ids")));
    }
    let mut layers: BTreeMap<Digest, Sealed> = BTreeMap::new();
    for (path, diff_id) in entry.layers.iter().zip(&diff_ids) {
        if !layers.contains_key(diff_id) {
            let layer = uncompressed(blobs, files.take(path)?, diff_id)?;
            layers.insert(diff_id.clone(), layer);
        }
    }
    let layers = diff_ids
        .into_iter()
        .map(|id| {
            let bytes = layers.remove(&id);
            (id, bytes)
        })
        .collect();
    Ok(SavedImage { config, layers })
}

/// All files of the stream, on disk.
struct Files {
    drafts: HashMap<String, Sealed>,
    links: HashMap<String, String>,
    manifest: Option<Vec<u8>>,
}

impl Files {
    fn read(blobs: &Blobs, source: impl Read) -> Result<Self, RegistryError> {
        let mut files = Self {
            drafts: HashMap::new(),
            links: HashMap::new(),
            manifest: None,
        };
        let mut archive = tar::Archive::new(source);
        for entry in archive.entries().map_err(broken)? {
            files.add_entry(blobs, entry.map_err(broken)?)?;
        }
        Ok(files)
    }

    fn add_entry(
        &mut self,
        blobs: &Blobs,
        mut entry: tar::Entry<'_, impl Read>,
    ) -> Result<(), RegistryError> {
        let name = normalized("", &String::from_utf8_lossy(&entry.path_bytes()));
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target);
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let folder = if kind.is_symlink() { folder } else { "" };
            let target = normalized(folder, &target);
            self.links.insert(name, target);
        } else if name == "manifest.json" {
            self.manifest = Some(document(entry)?);
        } else if kind.is_file() && !is_legacy_metadata(&name) {
            let mut draft = blobs.draft(None)?;
            io::copy(&mut entry, &mut draft).map_err(broken)?;
            self.drafts.insert(name, draft.seal()?);
        }
        Ok(())
    }

    /// Takes the file `path`, following links.
    fn take(&mut self, path: &str) -> Result<Sealed, RegistryError> {
        let mut name = normalized("", path);
        // Daemons write at most a link to a link; the limit also ends cycles.
        for _ in 0..8 {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        self.drafts
            .remove(&name)
            .ok_or_else(|| invalid(format!("{path} is missing")))
    }
}

/// Small files of the old layout that `manifest.json` replaces.
fn is_legacy_metadata(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    matches!(
        last,
        "json" | "VERSION" | "repositories" | "oci-layout" | "index.json"
    )
}

/// Checks that the layer has the digest from the configuration, after decompression if needed.
fn uncompressed(blobs: &Blobs, layer: Sealed, diff_id: &Digest) -> Result<Sealed, RegistryError> {
    if layer.blob().digest == *diff_id {
        return Ok(layer);
    }
    let mut start = Vec::new();
    let mut file = layer.open()?;
    file.by_ref()
        .take(2)
        .read_to_end(&mut start)
        .map_err(broken)?;
    if start == GZIP {
        let mut draft = blobs.draft(None)?;
        io::copy(&mut MultiGzDecoder::new(start.chain(file)), &mut draft).map_err(broken)?;
        let plain = draft.seal()?;
        if plain.blob().digest == *diff_id {
            return Ok(plain);
        }
    }
    Err(invalid(format!(
        "a layer does not have the digest {diff_id}"
    )))
}

/// Reads a small document.
fn document(source: impl Read) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    source
        .take(MAX_DOCUMENT + 1)
        .read_to_end(&mut bytes)
        .map_err(broken)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(invalid("a JSON document is too large"));
    }
    Ok(bytes)
}

/// `path` relative to `folder`, without `.` and `..`; it never leaves the archive.
fn normalized(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn invalid(reason: impl Into<String>) -> RegistryError {
    RegistryError::InvalidImage(reason.into())
}

fn broken(error: io::Error) -> RegistryError {
    match BlobError::from_io(error) {
        BlobError::Source(error) => invalid(error.to_string()),
        other => RegistryError::Blob(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_and_stay_inside_the_archive() {
        for (folder, path, expected) in [
            ("", "./a/layer.tar", "a/layer.tar"),
            ("a", "../b/layer.tar", "b/layer.tar"),
            ("a/b", "c", "a/b/c"),
            ("a", "../../../etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(normalized(folder, path), expected);
        }
    }
}
