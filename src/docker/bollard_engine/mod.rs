//! The real daemon, through bollard, which is used only here.
//!
//! The connection is opened on first use, with the API version negotiated. It is dropped when the
//! daemon does not answer, so that the version is negotiated again with a restarted daemon. Every
//! call has a timeout, except streams (logs, changes, a build, a pull, waiting for an end). A pull,
//! a build and a download fail when nothing arrives for long.
//!
//! Decisions:
//! - Containers log through the `local` driver (bounded, fast), or `json-file` where a daemon
//!   rejects it; in blocking mode, because the other mode drops lines when its buffer is full.
//! - No restart policy: the scheduler restarts instances.
//! - Bodies hold environment values: bollard's own debug output must stay off.

mod attach;
mod calls;
mod create;
mod endpoint;
mod exec;
mod found;
mod list;
mod logs;
mod networks;
mod step;
mod terminal;
mod translate;
mod volumes;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters as query;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;

use self::calls::{drain_texts, ignore_missing, reader, within};
use super::{
    Attached, BuildSpec, ByteReader, Container, ContainerChange, ContainerSpec, DaemonInfo,
    DockerError, Engine, EngineStream, ExecSpec, Executing, Freeze, Image, Labels, LogFrame,
    LogReading, NetworkAddresses, NetworkSpec, Progress, RegistryAuth, TerminalSize, Upload, Usage,
    Volume,
};
use crate::base::Megabytes;

/// Where a daemon listens by default.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Timeout of a call that should take milliseconds.
const QUICK: Duration = Duration::from_secs(20);
/// Timeout of a call that moves or removes data.
const SLOW: Duration = Duration::from_secs(120);
/// Timeout of a stream's first response.
const STREAMING: Duration = Duration::from_secs(3600);
/// Longest pause of a pull.
const STALLED: Duration = Duration::from_secs(600);
/// Longest pause within a download.
const IDLE: Duration = Duration::from_secs(120);
/// Concurrent inspections of a list.
const PARALLEL: usize = 16;

/// The daemon at one address.
pub struct BollardEngine {
    host: String,
    connection: Mutex<Option<Connection>>,
    local_logs_refused: AtomicBool,
}

#[derive(Clone)]
struct Connection {
    docker: Docker,
    info: DaemonInfo,
}

impl BollardEngine {
    /// An engine for `host`: `unix:///path`, a socket's path or `tcp://host:port`. Nothing is
    /// connected yet.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            connection: Mutex::new(None),
            local_logs_refused: AtomicBool::new(false),
        }
    }

    /// The configured address of the daemon.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The timeout includes the wait for the lock: a caller queued behind others does not wait for
    /// all of their attempts on a daemon that hangs.
    async fn connection(&self) -> Result<Connection, DockerError> {
        let connected = tokio::time::timeout(QUICK, self.connect_once()).await;
        connected.unwrap_or_else(|_| {
            let why = format!("no connection within {} s", QUICK.as_secs());
            Err(self.unreachable(&why))
        })
    }

    async fn connect_once(&self) -> Result<Connection, DockerError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            return Ok(connection.clone());
        }
        let connection = self.connect().await?;
        Ok(slot.insert(connection).clone())
    }

    async fn connect(&self) -> Result<Connection, DockerError> {
        let seconds = QUICK.as_secs();
        let docker = if self.host.starts_with("tcp://") || self.host.starts_with("http://") {
            Docker::connect_with_http(&self.host, seconds, API_DEFAULT_VERSION)
        } else {
            Docker::connect_with_unix(&self.host, seconds, API_DEFAULT_VERSION)
        };
        let docker = docker.map_err(|e| self.unreachable(&e))?;
        let docker = within(QUICK, docker.negotiate_version())
            .await
            .map_err(|e| self.unreachable(&e))?;
        let info = within(QUICK, docker.info()).await?;
        Ok(Connection {
            info: translate::daemon_info(info, &self.host),
            docker,
        })
    }

    fn unreachable(&self, cause: &impl std::fmt::Display) -> DockerError {
        DockerError::Unreachable(format!("{}: {cause}", self.host))
    }

    async fn docker(&self, limit: Duration) -> Result<Docker, DockerError> {
        Ok(self.connection().await?.docker.with_timeout(limit))
    }

    /// Drops the connection when the daemon did not answer, as it may have restarted.
    async fn note<T>(&self, result: Result<T, DockerError>) -> Result<T, DockerError> {
        if matches!(result, Err(DockerError::Unreachable(_))) {
            *self.connection.lock().await = None;
        }
        result
    }

    /// Runs one call with a timeout.
    async fn call<T, F>(
        &self,
        limit: Duration,
        work: impl FnOnce(Docker) -> F,
    ) -> Result<T, DockerError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let docker = self.docker(limit).await?;
        let result = within(limit, work(docker)).await;
        self.note(result).await
    }
}

#[async_trait]
impl Engine for BollardEngine {
    async fn info(&self) -> Result<DaemonInfo, DockerError> {
        self.call(QUICK, |docker| async move { docker.ping().await })
            .await?;
        Ok(self.connection().await?.info)
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError> {
        self.create_container(spec).await
    }

    async fn upload(&self, id: &str, upload: Upload) -> Result<(), DockerError> {
        let options = query::UploadToContainerOptionsBuilder::default()
            .path(&upload.folder)
            .build();
        let body = bollard::body_try_stream(ReaderStream::new(upload.tar));
        self.call(STREAMING, |docker| async move {
            docker.upload_to_container(id, Some(options), body).await
        })
        .await
    }

    async fn download(&self, id: &str, path: &str) -> Result<ByteReader, DockerError> {
        let options = query::DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let docker = self.docker(SLOW).await?;
        let stream = docker.download_from_container(id, Some(options));
        self.note(reader(stream, SLOW).await).await
    }

    async fn start(&self, id: &str) -> Result<(), DockerError> {
        self.call(SLOW, |docker| async move {
            docker.start_container(id, None).await
        })
        .await
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), DockerError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = query::StopContainerOptionsBuilder::default()
            .t(seconds)
            .build();
        let stopped = self
            .call(grace + SLOW, |docker| async move {
                docker.stop_container(id, Some(options)).await
            })
            .await;
        ignore_missing(stopped)
    }

    async fn remove(&self, id: &str) -> Result<(), DockerError> {
        let options = query::RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removed = self
            .call(SLOW, |docker| async move {
                docker.remove_container(id, Some(options)).await
            })
            .await;
        match removed {
            Err(DockerError::Conflict(text)) if text.contains("already in progress") => Ok(()),
            other => ignore_missing(other),
        }
    }

    async fn kill(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        self.signal(id, signal).await
    }

    async fn freeze(&self, id: &str, freeze: Freeze) -> Result<(), DockerError> {
        self.set_frozen(id, freeze).await
    }

    async fn limit(
        &self,
        id: &str,
        memory: Megabytes,
        cpu_limit: Option<u32>,
    ) -> Result<(), DockerError> {
        self.set_limits(id, memory, cpu_limit).await
    }

    async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Executing, DockerError> {
        self.start_exec(id, spec).await
    }

    async fn exec_status(&self, exec: &str) -> Result<i64, DockerError> {
        self.status_of_exec(exec).await
    }

    async fn resize_exec(&self, exec: &str, size: TerminalSize) -> Result<(), DockerError> {
        self.resize_terminal_of_exec(exec, size).await
    }

    async fn attach(&self, id: &str) -> Result<Attached, DockerError> {
        self.attach_streams(id).await
    }

    async fn resize(&self, id: &str, rows: u16, columns: u16) -> Result<(), DockerError> {
        self.resize_terminal(id, rows, columns).await
    }

    async fn wait(&self, id: &str) -> Result<i64, DockerError> {
        self.end_of(id).await
    }

    async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError> {
        let found = self
            .call(QUICK, |docker| async move {
                docker.inspect_container(id, None).await
            })
            .await;
        match found {
            Ok(found) => Ok(Some(found::container(found))),
            Err(DockerError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<Container>, DockerError> {
        self.list_labelled(labels).await
    }

    async fn list_by_volume(&self, volume: &str) -> Result<Vec<Container>, DockerError> {
        self.users_of_volume(volume).await
    }

    async fn logs(
        &self,
        id: &str,
        since_nanos: i64,
        reading: LogReading,
    ) -> Result<EngineStream<LogFrame>, DockerError> {
        let docker = self.docker(STREAMING).await?;
        self.note(logs::open(&docker, id, since_nanos, reading).await)
            .await
    }

    async fn usage(&self, id: &str) -> Result<Option<Usage>, DockerError> {
        let options = query::StatsOptionsBuilder::default()
            .stream(false)
            .one_shot(true)
            .build();
        let stats = self
            .call(QUICK, |docker| async move {
                match docker.stats(id, Some(options)).next().await {
                    Some(stats) => stats.map(Some),
                    None => Ok(None),
                }
            })
            .await;
        match stats {
            Ok(stats) => Ok(stats.and_then(translate::usage)),
            Err(DockerError::NotFound(_) | DockerError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn writable_size(&self, id: &str) -> Result<u64, DockerError> {
        let options = query::InspectContainerOptionsBuilder::default()
            .size(true)
            .build();
        let found = self
            .call(SLOW, |docker| async move {
                docker.inspect_container(id, Some(options)).await
            })
            .await?;
        Ok(u64::try_from(found.size_rw.unwrap_or(0)).unwrap_or(0))
    }

    async fn changes(&self, labels: &Labels) -> Result<EngineStream<ContainerChange>, DockerError> {
        let mut filters = translate::label_filters(labels);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let options = query::EventsOptionsBuilder::default()
            .filters(&filters)
            .build();
        let docker = self.docker(STREAMING).await?;
        // A ping first distinguishes an unreachable daemon from one without events.
        self.note(within(QUICK, docker.ping()).await).await?;
        let changes = docker.events(Some(options)).filter_map(|event| async move {
            match event {
                Ok(event) => translate::change(event).map(Ok),
                Err(error) => Some(Err(translate::error(error))),
            }
        });
        Ok(Box::pin(changes))
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError> {
        let found = self
            .call(QUICK, |docker| async move {
                docker.inspect_image(reference).await
            })
            .await;
        match found {
            Ok(found) => Ok(Some(translate::image(found))),
            Err(DockerError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, DockerError> {
        let filters = translate::label_filters(labels);
        let options = query::ListImagesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self
            .call(QUICK, |docker| async move {
                docker.list_images(Some(options)).await
            })
            .await?;
        let mut images = Vec::new();
        for summary in found {
            images.extend(self.image(&summary.id).await?);
        }
        Ok(images)
    }

    async fn image_names(&self, prefix: &str) -> Result<Vec<String>, DockerError> {
        let options = query::ListImagesOptionsBuilder::default().build();
        let found = self
            .call(QUICK, |docker| async move {
                docker.list_images(Some(options)).await
            })
            .await?;
        let names = found
            .into_iter()
            .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests))
            .filter(|name| translate::is_name(name));
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    async fn pull(
        &self,
        reference: &str,
        auth: Option<RegistryAuth>,
        progress: Progress,
    ) -> Result<(), DockerError> {
        let options = query::CreateImageOptionsBuilder::default()
            .from_image(&translate::pull_name(reference))
            .build();
        let docker = self.docker(STREAMING).await?;
        let credentials = auth.map(translate::credentials);
        let steps = docker.create_image(Some(options), None, credentials);
        let steps = steps.map(|step| step.map(translate::pull_text));
        self.note(drain_texts(steps, progress, STALLED).await).await
    }

    async fn import(&self, reference: &str, tar: ByteReader) -> Result<(), DockerError> {
        let (repository, tag) = translate::split_reference(reference);
        let options = query::CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .build();
        let docker = self.docker(STREAMING).await?;
        let body = bollard::body_try_stream(ReaderStream::new(tar));
        let steps = docker.create_image(Some(options), Some(body), None);
        let (silent, _) = tokio::sync::mpsc::unbounded_channel();
        let steps = steps.map(|step| step.map(translate::pull_text));
        self.note(drain_texts(steps, silent, STREAMING).await).await
    }

    async fn build(
        &self,
        build: BuildSpec,
        context: ByteReader,
        progress: Progress,
    ) -> Result<(), DockerError> {
        let docker = self.docker(STREAMING).await?;
        let body = bollard::body_try_stream(ReaderStream::new(context));
        let steps = docker.build_image(translate::build_options(&build), None, Some(body));
        let steps = steps.map(|step| step.map(translate::build_text));
        self.note(drain_texts(steps, progress, STREAMING).await)
            .await
    }

    async fn save(&self, reference: &str) -> Result<ByteReader, DockerError> {
        let docker = self.docker(STREAMING).await?;
        let stream = docker.export_image(reference);
        // The daemon copies all layers before it sends the first byte.
        self.note(reader(stream, STREAMING).await).await
    }

    async fn tag(&self, reference: &str, new_reference: &str) -> Result<(), DockerError> {
        let (repository, tag) = translate::split_reference(new_reference);
        let options = query::TagImageOptionsBuilder::default()
            .repo(repository)
            .tag(tag)
            .build();
        self.call(QUICK, |docker| async move {
            docker.tag_image(reference, Some(options)).await
        })
        .await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), DockerError> {
        let removed = self
            .call(SLOW, |docker| async move {
                let options = query::RemoveImageOptionsBuilder::default().build();
                docker.remove_image(reference, Some(options), None).await
            })
            .await;
        ignore_missing(removed.map(|_| ()))
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<NetworkAddresses, DockerError> {
        self.ensure_shared_network(network).await
    }

    async fn network(&self, name: &str) -> Result<Option<NetworkAddresses>, DockerError> {
        self.shared_network(name).await
    }

    async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        self.delete_network(name).await
    }

    async fn ensure_volume(&self, name: &str, labels: &Labels) -> Result<(), DockerError> {
        self.create_volume(name, labels).await
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, DockerError> {
        self.find_volume(name).await
    }

    async fn volume_names(&self, prefix: &str) -> Result<Vec<String>, DockerError> {
        self.list_volumes(prefix).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        self.delete_volume(name).await
    }
}
