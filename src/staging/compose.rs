//! Stack + layer = the image that instances start from.

use super::droplet_repository;
use super::images::{Images, ImagesError};
use crate::base::guid::DropletGuid;
use crate::blobs::{Blob, Digest};
use crate::registry::{ImageChange, Registry, RegistryError};

/// Why a layer did not become an image.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The stack's images are not to be had.
    #[error(transparent)]
    Stack(#[from] ImagesError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Makes images of droplets that were not staged here; cheap to clone.
#[derive(Clone)]
pub struct DropletImages {
    registry: Registry,
    images: Images,
}

impl DropletImages {
    /// Over the registry and the stacks.
    pub fn new(registry: Registry, images: Images) -> Self {
        Self { registry, images }
    }

    /// Puts a layer on a stack and shows the image in the droplet's repository. The stack's images
    /// are made first where they are missing, which takes minutes.
    pub async fn compose(
        &self,
        droplet: &DropletGuid,
        stack: &str,
        layer: &Blob,
    ) -> Result<Digest, ComposeError> {
        let (progress, _texts) = tokio::sync::mpsc::unbounded_channel();
        let base = self.images.base(stack, &progress).await?;
        Ok(compose(&self.registry, &base, layer, droplet).await?)
    }
}

pub(super) async fn compose(
    registry: &Registry,
    base: &Digest,
    layer: &Blob,
    droplet: &DropletGuid,
) -> Result<Digest, RegistryError> {
    let change = ImageChange {
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
