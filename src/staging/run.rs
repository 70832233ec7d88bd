//! One attempt to stage one build, from the creation of the container to its removal.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cnb;
use super::compose::compose;
use super::container;
use super::failure::Reason;
use super::fault::Fault;
use super::files::Files;
use super::images::StackImages;
use super::network;
use super::output::{self, BuildLog};
use super::outputs::{self, OutputError};
use super::parts::Shared;
use super::result::Summary;
use super::{PackageStaging, Staged};
use crate::base::{Bytes, Megabytes};
use crate::blobs::Blob;
use crate::docker::{ContainerState, DockerError, Upload, bound_files};

/// How often the disk usage of a build is measured.
const DISK_CHECK: Duration = Duration::from_secs(10);
/// How long to wait for output after the container's exit.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

impl From<OutputError> for Fault {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Docker(error) => error.into(),
            OutputError::Missing(path) => {
                Self::Failed(Reason::Other(format!("the build produced no {path}")))
            }
            OutputError::Broken(why) => Self::Failed(Reason::Other(why)),
            OutputError::TooLarge(size) => Self::Failed(Reason::Other(format!(
                "the result is too large ({})",
                bytes(size).to_short()
            ))),
        }
    }
}

fn bytes(size: u64) -> Bytes {
    Bytes(i64::try_from(size).unwrap_or(i64::MAX))
}

/// The outputs of the container.
struct Outputs {
    layer: Blob,
    cache: Option<Blob>,
    summary: Summary,
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) shared: Arc<Shared>,
    pub(super) request: PackageStaging,
    pub(super) number: u32,
    pub(super) log: BuildLog,
    pub(super) cancelled: CancellationToken,
}

impl Attempt {
    /// Stages the build. The container still exists after a success: its removal must not delay the
    /// user; see [`Attempt::clean_up`].
    pub(super) async fn stage(&self) -> Result<Staged, Fault> {
        let images = self.stack().await?;
        let limit = self.request.timeout;
        let work = tokio::time::timeout(limit, self.build(&images));
        let outputs = tokio::select! {
            () = self.cancelled.cancelled() => return Err(Fault::Cancelled),
            done = work => match done {
                Ok(done) => done?,
                Err(_) => return Err(Fault::Failed(Reason::Timeout(limit))),
            },
        };
        let image_digest = self.publish(&images, &outputs.layer).await?;
        let request = &self.request;
        Ok(Staged {
            build_guid: request.build_guid.clone(),
            app_guid: request.app_guid.clone(),
            droplet_guid: request.droplet_guid.clone(),
            size: outputs.layer.size,
            layer: Some(outputs.layer),
            docker_image: None,
            image_digest,
            process_types: outputs.summary.process_types,
            processes: outputs.summary.processes,
            sidecars: outputs.summary.sidecars,
            buildpacks: outputs.summary.buildpacks,
            execution_metadata: outputs.summary.execution_metadata,
            cache: outputs.cache,
            stack: Some(request.stack.clone()),
        })
    }

    /// Removes the container of this attempt, if there is one.
    pub(super) async fn clean_up(&self) {
        let (guid, cell) = (&self.request.build_guid, &self.shared.settings.platform_id);
        self.log
            .out(&format!("Cell {cell} stopping instance {guid}"));
        self.log.out(&format!(
            "Cell {cell} destroying container for instance {guid}"
        ));
        let name = self.container_name();
        match self.shared.engine.remove(&name).await {
            Ok(()) => self.log.out(&format!(
                "Cell {cell} successfully destroyed container for instance {guid}"
            )),
            // The next start of the worker removes leftovers.
            Err(error) => {
                tracing::warn!(%error, build.guid = %guid, "removing staging container failed");
            }
        }
    }

    fn container_name(&self) -> String {
        container::name(&self.request, self.number)
    }

    /// The stack's images; builds missing ones first, which takes minutes and does not count as
    /// staging time.
    async fn stack(&self) -> Result<StackImages, Fault> {
        let (progress, mut messages) = tokio::sync::mpsc::unbounded_channel::<String>();
        let forward = async {
            while let Some(text) = messages.recv().await {
                self.log.out(&text);
            }
        };
        let ready = async {
            let ready = self
                .shared
                .images
                .ready(&self.request.stack, &progress)
                .await;
            drop(progress);
            ready
        };
        tokio::select! {
            () = self.cancelled.cancelled() => Err(Fault::Cancelled),
            (ready, ()) = async { tokio::join!(ready, forward) } => {
                ready.map_err(|error| Fault::Failed(Reason::Other(error.to_string())))
            }
        }
    }

    async fn build(&self, images: &StackImages) -> Result<Outputs, Fault> {
        let (engine, request) = (&self.shared.engine, &self.request);
        let id = self.prepare(images).await?;
        self.shared.settings.firewall.admit_build().await;
        engine.start(&id).await?;
        let code = self.watch(&id).await?;
        self.log.out(&format!("Exit status {code}"));
        if code != 0 {
            let cause = outputs::cause(&**engine, &id).await;
            return Err(Fault::Failed(Reason::Exit { code, cause }));
        }
        self.log.out("Uploading droplet, build artifacts cache...");
        self.log.out("Uploading droplet...");
        self.log.out("Uploading build artifacts cache...");
        let (engine, blobs) = (&**engine, &self.shared.blobs);
        let (layer, cache, summary, used) = tokio::join!(
            outputs::droplet(engine, blobs, &id, request),
            outputs::cache(engine, blobs, &id),
            outputs::summary(engine, &id, &request.buildpacks),
            engine.writable_size(&id),
        );
        self.check_disk(used?)?;
        let (layer, cache, summary) = (layer?, cache?, summary?);
        match &cache {
            Some(cache) => self.log.out(&format!(
                "Uploaded build artifacts cache ({})",
                bytes(cache.size).to_short()
            )),
            None => self
                .log
                .error("The build artifacts cache is too large to be kept"),
        }
        self.log.out(&format!(
            "Uploaded droplet ({})",
            bytes(layer.size).to_short()
        ));
        self.log.out("Uploading complete");
        Ok(Outputs {
            layer,
            cache,
            summary,
        })
    }

    /// Creates the container and uploads all files.
    async fn prepare(&self, images: &StackImages) -> Result<String, Fault> {
        let (shared, request) = (&self.shared, &self.request);
        let (guid, cell) = (&request.build_guid, &shared.settings.platform_id);
        let failed = |why| Fault::Failed(Reason::Other(why));
        let pulled = cnb::pull(shared, request, &self.log).await?;
        let files = Files::find(&shared.blobs, request, pulled)
            .await
            .map_err(failed)?;
        for choice in &request.buildpacks {
            if choice.source.is_stored() {
                self.log.out(&format!("Downloading {}...", choice.name));
                self.log.out(&format!("Downloaded {}", choice.name));
            }
        }
        self.log.out(&format!(
            "Cell {cell} creating container for instance {guid}"
        ));
        let joined = network::join(shared).await?;
        let image = &images.build;
        let trust = &shared.settings.trust;
        trust.ensure(&*shared.engine, image).await?;
        let mut spec = container::spec(&shared.settings, request, image, self.number, &joined);
        let bound = bound_files::take(&mut spec.environment);
        let bound = bound.map_err(|error| failed(error.to_string()))?;
        let id = match shared.engine.create(&spec).await {
            // Left over from a call whose response was lost.
            Err(DockerError::Conflict(_)) => {
                shared.engine.remove(&spec.name).await?;
                shared.engine.create(&spec).await?
            }
            created => created?,
        };
        self.log.out(&format!(
            "Cell {cell} successfully created container for instance {guid}"
        ));
        if shared.settings.offline {
            let text = if joined.packages.is_some() {
                "cflite works offline: this build gets packages from the package cache only"
            } else {
                "cflite works offline: this build has no network"
            };
            self.log.out(text);
        }
        if let Some(files) = bound {
            shared.engine.upload(&id, files).await?;
        }
        self.upload(&id, files).await?;
        Ok(id)
    }

    /// Uploads package, cache, lifecycle and buildpacks.
    async fn upload(&self, id: &str, files: Files) -> Result<(), Fault> {
        let shared = &self.shared;
        self.log.out("Downloading app package...");
        let (app, cache) = (files.app_size(), files.cache_size());
        if cache.is_some() {
            self.log.out("Downloading build artifacts cache...");
        }
        let upload = Upload {
            folder: "/tmp".to_owned(),
            tar: Box::pin(shared.blobs.produce(move |writer| files.write(writer))),
        };
        shared.engine.upload(id, upload).await?;
        self.log.out(&format!(
            "Downloaded app package ({})",
            bytes(app).to_short()
        ));
        if let Some(cache) = cache {
            self.log.out(&format!(
                "Downloaded build artifacts cache ({})",
                bytes(cache).to_short()
            ));
        }
        Ok(())
    }

    /// Follows the container to its end; returns its exit code.
    async fn watch(&self, id: &str) -> Result<i64, Fault> {
        let engine = &*self.shared.engine;
        let following = output::follow(engine, id, &self.log, self.request.log_rate_limit);
        let mut following = std::pin::pin!(following);
        let mut followed = None;
        let wait = engine.wait(id);
        let mut wait = std::pin::pin!(wait);
        let mut checks = tokio::time::interval(DISK_CHECK);
        checks.tick().await;
        let code = loop {
            tokio::select! {
                code = &mut wait => break code?,
                end = &mut following, if followed.is_none() => followed = Some(end),
                _ = checks.tick() => self.check_disk(engine.writable_size(id).await?)?,
            }
        };
        let followed = match followed {
            Some(end) => Some(end),
            None => tokio::time::timeout(OUTPUT_TIMEOUT, following).await.ok(),
        };
        if !matches!(followed, Some(Ok(()))) {
            self.log.error("Some output of the build could not be read");
        }
        let ended = engine.inspect(id).await?.map(|container| container.state);
        match ended {
            Some(ContainerState::Exited {
                out_of_memory: true,
                ..
            }) => {
                self.log
                    .error(&format!("Exit status {code} (out of memory)"));
                Err(Fault::Failed(Reason::OutOfMemory(self.request.memory)))
            }
            Some(_) => Ok(code),
            None => Err(Fault::Interrupted("the container was removed".to_owned())),
        }
    }

    fn check_disk(&self, used: u64) -> Result<(), Fault> {
        let limit: Megabytes = self.request.disk;
        let used = bytes(used);
        if used > limit.to_bytes() {
            self.log.error("Disk quota exceeded");
            return Err(Fault::Failed(Reason::Disk { used, limit }));
        }
        Ok(())
    }

    /// Stack + layer = the image that instances start from.
    async fn publish(
        &self,
        images: &StackImages,
        layer: &Blob,
    ) -> Result<crate::blobs::Digest, Fault> {
        compose(
            &self.shared.registry,
            &images.base,
            layer,
            &self.shared.settings.platform_id,
            &self.request.droplet_guid,
        )
        .await
        .map_err(|error| Fault::Failed(Reason::Other(error.to_string())))
    }
}
