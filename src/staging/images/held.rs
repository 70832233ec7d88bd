//! A run image that came to this machine together with its Docker daemon: its description is in a
//! folder with the name of its tag, as `packaging/box/describe` writes it.

use std::path::Path;

use serde::Deserialize;

use crate::blobs::{Blob, Digest};
use crate::docker::Image;
use crate::registry::HeldImage;

#[derive(Deserialize)]
struct Layer {
    digest: Digest,
    size: u64,
}

/// The description of `image`, if there is one, and if it is of this very image.
pub(super) fn find(folder: &Path, tag: &str, image: Option<&Image>) -> Option<HeldImage> {
    let folder = folder.join(tag);
    let config = std::fs::read(folder.join("config.json")).ok()?;
    let layers = std::fs::read(folder.join("layers.json")).ok()?;
    let layers: Vec<Layer> = serde_json::from_slice(&layers)
        .inspect_err(|error| {
            tracing::warn!(folder = %folder.display(), %error, "the description of an image cannot be read");
        })
        .ok()?;
    let held = HeldImage {
        config,
        layers: { layers.into_iter() }
            .map(|Layer { digest, size }| Blob { digest, size })
            .collect(),
    };
    (image?.id == held.id().to_string()).then_some(held)
}
