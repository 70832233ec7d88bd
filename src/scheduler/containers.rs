//! Making containers, whatever runs in them.

use std::sync::Arc;

use super::settings::Settings;
use crate::docker::{ContainerSpec, DockerError, Engine, LABEL_KIND, LABEL_OWNER, Upload};

/// Makes containers.
pub(super) struct Containers {
    engine: Arc<dyn Engine>,
    settings: Settings,
    /// One pull at a time: images come from this very machine, and what starts together mostly
    /// wants the same one.
    pulling: tokio::sync::Mutex<()>,
}

impl Containers {
    pub(super) fn new(engine: Arc<dyn Engine>, settings: Settings) -> Self {
        Self {
            engine,
            settings,
            pulling: tokio::sync::Mutex::default(),
        }
    }

    /// Makes a container with an address of its own on the platform's network, or finds the one that an attempt made which was cut short. Its image is
    /// pulled when the daemon does not have it.
    pub(super) async fn make(&self, mut spec: ContainerSpec) -> Result<String, DockerError> {
        let network = &self.settings.network;
        spec.address = Some(network.next_address(self.engine.as_ref()).await?);
        spec.network = Some(network.name().to_owned());
        let spec = &spec;
        let missing = match self.engine.create(spec).await {
            Err(DockerError::Conflict(text)) => return self.made_before(spec, text).await,
            Err(error @ DockerError::NotFound(_)) => error,
            done => return done,
        };
        self.pull(&spec.image, missing).await?;
        self.engine.create(spec).await
    }

    /// Puts the lifecycle files where they are expected, and starts it.
    pub(super) async fn start(&self, id: &str, lifecycle_files: bool) -> Result<(), DockerError> {
        if lifecycle_files {
            let tar = std::io::Cursor::new(self.settings.lifecycle_files.clone());
            let folder = "/".to_owned();
            let tar = Box::pin(tar);
            self.engine.upload(id, Upload { folder, tar }).await?;
        }
        self.engine.start(id).await
    }

    /// The name is taken: by the same thing, if an earlier attempt was cut short.
    async fn made_before(&self, spec: &ContainerSpec, text: String) -> Result<String, DockerError> {
        let mut wanted = spec.labels.clone();
        wanted.retain(|name, _| matches!(name.as_str(), LABEL_OWNER | LABEL_KIND));
        let found = self.engine.list(&wanted).await?;
        let same = found.into_iter().find(|c| c.name == spec.name);
        same.map(|c| c.id).ok_or(DockerError::Conflict(text))
    }

    async fn pull(&self, image: &str, missing: DockerError) -> Result<(), DockerError> {
        let _turn = self.pulling.lock().await;
        if self.engine.image(image).await?.is_some() {
            return Ok(());
        }
        tracing::info!(image, cause = %missing, "pulling an image the daemon does not have");
        // Nobody reads the progress; a closed channel swallows it.
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        let auth = self.settings.registry_auth.clone();
        self.engine.pull(image, auth, progress).await
    }
}

/// What is gone already need not be stopped or removed.
pub(super) fn gone_is_fine(result: Result<(), DockerError>) -> Result<(), DockerError> {
    match result {
        Err(DockerError::NotFound(_)) => Ok(()),
        other => other,
    }
}
