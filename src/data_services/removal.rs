//! Removes what services leave in Docker, without a running platform.

use super::container::volume_prefix;
use super::failure::Failure;
use super::{Inner, LABEL_INSTANCE, image, own_image, store};
use crate::db::ReadTx;
use crate::docker::{DockerError, Engine};

/// Removes the volumes of a platform's services, whose containers were removed, and the names of the
/// images that users chose for them.
pub async fn remove_volumes(engine: &dyn Engine, platform_id: &str) -> Result<(), DockerError> {
    for name in engine.image_names(&own_image::prefix(platform_id)).await? {
        engine.remove_image(&name).await?;
    }
    for name in engine.volume_names(&volume_prefix(platform_id)).await? {
        engine.remove_volume(&name).await?;
    }
    Ok(())
}

impl Inner {
    /// Removes containers of services that are gone, with their volumes. One whose row cannot be read is
    /// not gone.
    pub(super) async fn remove_strays(&self) -> Result<(), Failure> {
        for container in self.engine.list(&self.labels()).await? {
            let Some(guid) = container.labels.get(LABEL_INSTANCE).cloned() else {
                continue;
            };
            let wanted = guid.clone();
            let exists = self
                .db
                .read(move |tx: &ReadTx<'_>| store::exists(tx, &wanted));
            if !exists.await? {
                tracing::warn!(
                    service_instance = guid,
                    "removing the container of a service that is gone"
                );
                self.erase(&guid).await?;
            }
        }
        Ok(())
    }
}

/// Removes the images of services that no container uses; returns how many.
pub async fn remove_images(engine: &dyn Engine) -> Result<usize, DockerError> {
    image::remove_unused(engine).await
}
