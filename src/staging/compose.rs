//! Stack + layer = the image that instances start from.

use super::images::{Images, ImagesError};
use super::{container, droplet_repository};
use crate::base::guid::DropletGuid;
use crate::blobs::{Blob, Digest};
use crate::registry::{ImageChange, Registry, RegistryError};

/// Why composing an image failed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The stack's images are not available.
    #[error(transparent)]
    Stack(#[from] ImagesError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Creates images of droplets that were not staged here; cheap to clone.
#[derive(Clone)]
pub struct DropletImages {
    registry: Registry,
    images: Images,
    platform_id: String,
}

impl DropletImages {
    /// Composes images of this platform from the registry and the stacks.
    pub fn new(registry: Registry, images: Images, platform_id: &str) -> Self {
        Self {
            registry,
            images,
            platform_id: platform_id.to_owned(),
        }
    }

    /// Adds a layer to a stack and publishes the image in the droplet's repository. Builds missing
    /// stack images first, which takes minutes.
    pub async fn compose(
        &self,
        droplet: &DropletGuid,
        stack: &str,
        layer: &Blob,
    ) -> Result<Digest, ComposeError> {
        let (progress, _texts) = tokio::sync::mpsc::unbounded_channel();
        let base = self.images.base(stack, &progress).await?;
        Ok(compose(&self.registry, &base, layer, &self.platform_id, droplet).await?)
    }
}

pub(super) async fn compose(
    registry: &Registry,
    base: &Digest,
    layer: &Blob,
    platform_id: &str,
    droplet: &DropletGuid,
) -> Result<Digest, RegistryError> {
    let change = ImageChange {
        labels: container::droplet_labels(platform_id, droplet),
        working_dir: Some("/home/vcap".to_owned()),
        user: Some("2000:2000".to_owned()),
        comment: format!("droplet {droplet}"),
        ..ImageChange::default()
    };
    let repository = droplet_repository(droplet);
    registry
        .append_layer(base, layer, &repository, "latest", change)
        .await
}
