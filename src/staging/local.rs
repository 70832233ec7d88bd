//! Staging without a platform: a zip and buildpacks in, a droplet's tar out. No rows, no registry;
//! for `cflite exec`.

use std::fs::File;
use std::path::PathBuf;

use futures_util::StreamExt;
use tokio_util::io::SyncIoBridge;

use super::failure::Reason;
use super::files::Files;
use super::network::Joined;
use super::outputs::{self, OutputError};
use super::{BuildpackSource, PackageStaging, Settings, container};
use crate::docker::{ContainerState, DockerError, Engine, LogFrame, LogReading, Upload};

/// Buffer between the writer of the input files and Docker.
const PIPE: usize = 256 * 1024;

/// What is staged.
pub struct LocalStaging<'a> {
    /// Docker.
    pub engine: &'a dyn Engine,
    /// Whose containers these are.
    pub settings: &'a Settings,
    /// The request; its package and cache are the files below.
    pub request: &'a PackageStaging,
    /// The build image.
    pub image: &'a str,
    /// The app's zip.
    pub app: PathBuf,
    /// The build cache of an earlier staging, if it is there.
    pub cache: PathBuf,
    /// The zips of buildpacks whose source is [`BuildpackSource::Uploaded`], in the order of the
    /// request.
    pub archives: Vec<PathBuf>,
}

/// Why there is no droplet.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// In the words of the Cloud Controller.
    #[error("{0}")]
    Failed(String),
    /// Docker failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A local file failed.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

impl From<Reason> for LocalError {
    fn from(reason: Reason) -> Self {
        let (error, message) = reason.describe();
        Self::Failed(format!("{error} - {message}"))
    }
}

impl From<OutputError> for LocalError {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Docker(error) => error.into(),
            OutputError::Missing(path) => Self::Failed(format!("the build produced no {path}")),
            OutputError::TooLarge(size) => {
                Self::Failed(format!("the result is too large: {size} bytes"))
            }
            OutputError::Broken(why) => Self::Failed(why),
        }
    }
}

impl LocalStaging<'_> {
    /// Stages; lines of the build go to `output` as they come. Returns the droplet, an uncompressed
    /// tar in a temporary file, and replaces the cache. The container is removed in any case.
    ///
    /// # Errors
    /// [`LocalError::Failed`] when a buildpack failed, or none detected the app.
    pub async fn stage(
        &self,
        output: &mut (dyn FnMut(LogFrame) + Send),
    ) -> Result<File, LocalError> {
        // No platform runs here, so there is no package cache.
        let network = if self.settings.offline {
            "none"
        } else {
            "bridge"
        };
        let joined = Joined {
            network: network.to_owned(),
            packages: None,
        };
        let spec = container::spec(self.settings, self.request, self.image, 1, &joined);
        let trust = &self.settings.trust;
        trust.ensure(self.engine, self.image).await?;
        let id = self.engine.create(&spec).await?;
        let limit = self.request.timeout;
        let built = match tokio::time::timeout(limit, self.build(&id, output)).await {
            Ok(built) => built,
            Err(_) => Err(Reason::Timeout(limit).into()),
        };
        let removed = self.engine.remove(&id).await;
        let droplet = built?;
        removed?;
        Ok(droplet)
    }

    async fn build(
        &self,
        id: &str,
        output: &mut (dyn FnMut(LogFrame) + Send),
    ) -> Result<File, LocalError> {
        self.upload(id).await?;
        self.engine.start(id).await?;
        let mut frames = self.engine.logs(id, 0, LogReading::Follow).await?;
        while let Some(frame) = frames.next().await {
            output(frame?);
        }
        let code = self.engine.wait(id).await?;
        let state = self
            .engine
            .inspect(id)
            .await?
            .map(|container| container.state);
        if let Some(ContainerState::Exited {
            out_of_memory: true,
            ..
        }) = state
        {
            return Err(Reason::OutOfMemory(self.request.memory).into());
        }
        if code != 0 {
            let cause = outputs::cause(self.engine, id).await;
            return Err(Reason::Exit { code, cause }.into());
        }
        self.keep_cache(id).await;
        let limit = u64::try_from(self.request.disk.to_bytes().0).unwrap_or(0);
        let mut droplet = tempfile::tempfile()?;
        outputs::copy(self.engine, id, "/tmp/droplet.tar", limit, &mut droplet).await?;
        Ok(droplet)
    }

    async fn upload(&self, id: &str) -> Result<(), LocalError> {
        let mut built_in = Vec::new();
        let mut uploaded = Vec::new();
        let mut archives = self.archives.iter();
        for choice in &self.request.buildpacks {
            match &choice.source {
                BuildpackSource::BuiltIn(folder) => built_in.push(folder.clone()),
                BuildpackSource::Uploaded(_) => {
                    if let Some(path) = archives.next() {
                        uploaded.push((choice.source.key(), path.clone()));
                    }
                }
                BuildpackSource::Url(_) | BuildpackSource::Image(_) => {}
            }
        }
        built_in.sort();
        built_in.dedup();
        let cache = Some(self.cache.clone()).filter(|cache| cache.exists());
        let files = Files::of_paths(self.app.clone(), cache, built_in, uploaded)?;
        let (reader, writer) = tokio::io::duplex(PIPE);
        let written = tokio::task::spawn_blocking(move || files.write(SyncIoBridge::new(writer)));
        let upload = Upload {
            folder: "/tmp".to_owned(),
            tar: Box::pin(reader),
        };
        self.engine.upload(id, upload).await?;
        written.await.map_err(std::io::Error::other)??;
        Ok(())
    }

    /// A cache that cannot be kept costs time, not the result.
    async fn keep_cache(&self, id: &str) {
        let kept = async {
            let folder = self.cache.parent().unwrap_or(&self.cache);
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            let path = "/tmp/output-cache.tar";
            outputs::copy(
                self.engine,
                id,
                path,
                outputs::MAX_CACHE,
                file.as_file_mut(),
            )
            .await?;
            file.persist(&self.cache).map_err(|error| error.error)?;
            Ok::<_, LocalError>(())
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the build cache is not kept");
        }
    }
}
