//! Creates containers for instances and tasks.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::labels::LABEL_APP;
use super::settings::Settings;
use crate::base::Bytes;
use crate::docker::{Container, ContainerSpec, DockerError, Engine, LABEL_KIND, LABEL_OWNER};

/// Told of what takes long, for the app's log.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Writes a line.
    pub(super) line: &'a (dyn Fn(&str) + Sync),
    /// Size of the droplet, if it is known.
    pub(super) droplet: Option<Bytes>,
}

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

    /// Creates a container with its own address on the platform's network, the platform's names and
    /// complete lifecycle files, unless `interrupted`, one of an interrupted attempt, can be started.
    pub(super) async fn create(
        &self,
        mut spec: ContainerSpec,
        interrupted: Option<&str>,
        told: Told<'_>,
    ) -> Result<String, DockerError> {
        if !spec.volumes.is_empty() {
            self.fill_lifecycle(&spec.image, told).await?;
            self.fill_trust(&spec.image, told).await?;
        }
        if let Some(id) = interrupted
            && let Some(found) = self.complete(id, &spec).await?
        {
            self.admit(&spec, found.assigned).await;
            return Ok(found.id);
        }
        let network = &self.settings.network;
        let seat = network.next_address(&*self.engine).await?;
        spec.address = Some(seat.address);
        if let Some(resolvers) = &self.settings.resolvers {
            // The platform first. While it is down the daemon asks the next one.
            spec.dns = vec![seat.gateway.into()];
            spec.dns.extend(resolvers.for_containers());
        }
        spec.network = Some(network.name().to_owned());
        // Both take a while, and neither needs the other.
        let admitted = self.admit(&spec, spec.address);
        let (created, ()) = tokio::join!(self.create_or_find(&spec, told), admitted);
        created
    }

    /// Waits for the network rules of an address.
    async fn admit(&self, spec: &ContainerSpec, address: Option<Ipv4Addr>) {
        if let (Some(app), Some(address)) = (spec.labels.get(LABEL_APP), address) {
            self.settings.firewall.admit(address, app).await;
        }
    }

    /// Ensures that the volume of the lifecycle files is complete.
    async fn fill_lifecycle(&self, image: &str, told: Told<'_>) -> Result<(), DockerError> {
        let lifecycle = &self.settings.lifecycle;
        let engine = &*self.engine;
        if lifecycle.is_complete(engine).await? {
            return Ok(());
        }
        // Others wait while the volume is filled, but not while an image is pulled.
        let cause = "a volume has to be filled through it";
        self.pull(image, cause, told).await?;
        let Some(filling) = lifecycle.incomplete(engine).await? else {
            return Ok(());
        };
        let helper = self.create_or_find(&lifecycle.helper(image), told).await?;
        filling.through(engine, &helper).await
    }

    /// Ensures that the volume with the authorities of this machine is complete.
    async fn fill_trust(&self, image: &str, told: Told<'_>) -> Result<(), DockerError> {
        let (trust, engine) = (&self.settings.trust, &*self.engine);
        if trust.is_complete(engine).await? {
            return Ok(());
        }
        let cause = "it gets the certificate authorities of this machine";
        self.pull(image, cause, told).await?;
        trust.ensure(engine, image).await
    }

    /// Creates a container, or finds the one of an interrupted attempt by its name.
    async fn create_or_find(
        &self,
        spec: &ContainerSpec,
        told: Told<'_>,
    ) -> Result<String, DockerError> {
        match self.create_from_image(spec, told).await {
            Err(DockerError::Conflict(text)) => {
                let id = self.find_created(spec, text).await?;
                if let Some(found) = self.complete(&id, spec).await? {
                    self.admit(spec, found.assigned).await;
                    return Ok(id);
                }
                self.create_from_image(spec, told).await
            }
            done => done,
        }
    }

    /// Creates a container. Pulls its image if the daemon does not have it.
    async fn create_from_image(
        &self,
        spec: &ContainerSpec,
        told: Told<'_>,
    ) -> Result<String, DockerError> {
        let missing = match self.engine.create(spec).await {
            Err(error @ DockerError::NotFound(_)) => error,
            done => return done,
        };
        self.pull(&spec.image, &missing.to_string(), told).await?;
        self.engine.create(spec).await
    }

    /// A container that was created earlier, if it has the volumes it needs. Removes it otherwise:
    /// an earlier version of cflite copied the lifecycle files before the start.
    async fn complete(
        &self,
        id: &str,
        spec: &ContainerSpec,
    ) -> Result<Option<Container>, DockerError> {
        let Some(found) = self.engine.inspect(id).await? else {
            return Ok(None);
        };
        let mut wanted = spec.volumes.iter();
        if wanted.all(|mount| found.volumes.contains(&mount.volume)) {
            return Ok(Some(found));
        }
        self.engine.remove(id).await?;
        Ok(None)
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

    /// Pulls an image unless the daemon has it.
    async fn pull(&self, image: &str, cause: &str, told: Told<'_>) -> Result<(), DockerError> {
        let _turn = self.pull_lock.lock().await;
        if self.engine.image(image).await?.is_some() {
            return Ok(());
        }
        tracing::info!(image, cause, "pulling image");
        // The progress is dropped with the closed channel.
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        let auth = self.settings.registry_auth.clone();
        (told.line)("Downloading droplet...");
        self.engine.pull(image, auth, progress).await?;
        let size = told.droplet.map(|size| format!(" ({})", size.to_short()));
        let text = format!("Downloaded droplet{}", size.unwrap_or_default());
        (told.line)(&text);
        Ok(())
    }
}

/// Files in memory that cannot be packed for a container.
pub(super) fn unwritable(error: std::io::Error) -> DockerError {
    DockerError::Failed(format!("cannot pack the files of a container: {error}"))
}

/// A container that is already gone needs no stop or removal.
pub(super) fn ignore_not_found(result: Result<(), DockerError>) -> Result<(), DockerError> {
    match result {
        Err(DockerError::NotFound(_)) => Ok(()),
        other => other,
    }
}
