//! Creates and starts containers for instances and tasks.

use std::sync::Arc;

use super::settings::Settings;
use crate::docker::{ContainerSpec, DockerError, Engine, LABEL_KIND, LABEL_OWNER, Upload};

/// Creates containers.
pub(super) struct Containers {
    engine: Arc<dyn Engine>,
    settings: Settings,
    /// One pull at a time: images come from this machine, and containers that start together mostly
    /// need the same one.
    pull_lock: tokio::sync::Mutex<()>,
}

impl Containers {
    pub(super) fn new(engine: Arc<dyn Engine>, settings: Settings) -> Self {
        Self {
            engine,
            settings,
            pull_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Creates a container with its own address on the platform's network, or finds the one of an
    /// interrupted attempt. Pulls its image if the daemon does not have it.
    pub(super) async fn create(&self, mut spec: ContainerSpec) -> Result<String, DockerError> {
        let network = &self.settings.network;
        spec.address = Some(network.next_address(self.engine.as_ref()).await?);
        spec.network = Some(network.name().to_owned());
        let spec = &spec;
        let missing = match self.engine.create(spec).await {
            Err(DockerError::Conflict(text)) => return self.find_created(spec, text).await,
            Err(error @ DockerError::NotFound(_)) => error,
            done => return done,
        };
        self.pull(&spec.image, missing).await?;
        self.engine.create(spec).await
    }

    /// Uploads the lifecycle files if needed and starts the container.
    pub(super) async fn start(&self, id: &str, lifecycle_files: bool) -> Result<(), DockerError> {
        if lifecycle_files {
            let tar = std::io::Cursor::new(self.settings.lifecycle_files.clone());
            let folder = "/".to_owned();
            let tar = Box::pin(tar);
            self.engine.upload(id, Upload { folder, tar }).await?;
        }
        self.engine.start(id).await
    }

    /// The name is taken: by the same instance or task, if an earlier attempt was interrupted.
    async fn find_created(
        &self,
        spec: &ContainerSpec,
        text: String,
    ) -> Result<String, DockerError> {
        let mut wanted = spec.labels.clone();
        wanted.retain(|name, _| matches!(name.as_str(), LABEL_OWNER | LABEL_KIND));
        let found = self.engine.list(&wanted).await?;
        let same = found.into_iter().find(|c| c.name == spec.name);
        same.map(|c| c.id).ok_or(DockerError::Conflict(text))
    }

    async fn pull(&self, image: &str, missing: DockerError) -> Result<(), DockerError> {
        let _turn = self.pull_lock.lock().await;
        if self.engine.image(image).await?.is_some() {
            return Ok(());
        }
        tracing::info!(image, cause = %missing, "pulling image");
        // The progress is dropped with the closed channel.
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        let auth = self.settings.registry_auth.clone();
        self.engine.pull(image, auth, progress).await
    }
}

/// A container that is already gone needs no stop or removal.
pub(super) fn ignore_not_found(result: Result<(), DockerError>) -> Result<(), DockerError> {
    match result {
        Err(DockerError::NotFound(_)) => Ok(()),
        other => other,
    }
}
