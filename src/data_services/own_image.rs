//! Images that users choose: each instance keeps its own under a name of ours, so that a restart runs
//! what was created, whatever becomes of the tag.

use sha2::{Digest as _, Sha256};

use super::catalog::{OwnImage, with_image};
use super::failure::Failure;
use super::image::REPOSITORY;
use super::store::Instance;
use super::{Inner, Service};
use crate::docker::DockerError;

/// Digits of the hash of what was chosen.
const DIGITS: usize = 8;

/// What the names of a platform's images begin with.
pub(super) fn prefix(platform_id: &str) -> String {
    format!("{REPOSITORY}-own:{platform_id}-")
}

impl Inner {
    /// What the names of an instance's images begin with.
    fn own_prefix(&self, guid: &str) -> String {
        format!("{}{guid}-", prefix(&self.settings.platform_id))
    }

    fn own_name(&self, guid: &str, own: &OwnImage) -> String {
        let hash = hex::encode(Sha256::digest(own.reference.as_bytes()));
        format!("{}{}", self.own_prefix(guid), &hash[..DIGITS])
    }

    /// Gets the image of a new instance. What an image that the user chose says of itself completes
    /// the instance's parameters and ports.
    pub(super) async fn settle(&self, instance: &mut Instance) -> Result<(), Failure> {
        let service = self.service(instance)?;
        let reference = self.image(&service).await?;
        if service.plan.spec.own.is_none() {
            return Ok(());
        }
        let image = self.engine.image(&reference).await?;
        let image = image.ok_or_else(|| {
            Failure::new("the image was removed from the Docker daemon while it was got")
        })?;
        instance.parameters = with_image(instance.parameters.clone(), &image);
        let ports = self.service(instance)?.plan.spec.ports.clone();
        if ports.is_empty() {
            return Err(Failure::new(
                "the image exposes no port: name one with the parameter ports, such as {\"ports\": {\"main\": 8080}}",
            ));
        }
        if !ports.keys().eq(instance.ports.keys()) {
            instance.ports = self.other_ports(instance).await?;
        }
        Ok(())
    }

    /// The name under which an instance keeps its image, which is got where it is missing.
    pub(super) async fn own_image(
        &self,
        service: &Service<'_>,
        own: &OwnImage,
    ) -> Result<String, Failure> {
        let name = self.own_name(&service.instance.guid, own);
        if self.engine.image(&name).await?.is_none() {
            self.get_image(service, own, &name).await?;
        }
        Ok(name)
    }

    /// Gets what the chosen name means now.
    pub(super) async fn renew_image(&self, service: &Service<'_>) -> Result<(), Failure> {
        let Some(own) = &service.plan.spec.own else {
            return Ok(());
        };
        let name = self.own_name(&service.instance.guid, own);
        self.get_image(service, own, &name).await
    }

    async fn get_image(
        &self,
        service: &Service<'_>,
        own: &OwnImage,
        name: &str,
    ) -> Result<(), Failure> {
        let guid = &service.instance.guid;
        let what = format!("getting the image {}", own.reference);
        self.step(guid, &what).await?;
        let (progress, texts) = tokio::sync::mpsc::unbounded_channel();
        let pulling = self.host.pull(&own.reference, progress);
        let is_new = self.telling(guid, &what, pulling, texts).await?;
        self.engine.tag(&own.reference, name).await?;
        // What was got for this service alone is not left under its own name, where it would be taken
        // for what the name means later.
        if is_new {
            match self.engine.remove_image(&own.reference).await {
                Ok(()) | Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes the names of an instance's images.
    pub(super) async fn remove_own_images(&self, guid: &str) -> Result<(), Failure> {
        for name in self.engine.image_names(&self.own_prefix(guid)).await? {
            match self.engine.remove_image(&name).await {
                Ok(()) | Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
