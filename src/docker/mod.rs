//! The Docker daemon behind the trait [`Engine`].
//!
//! Two adapters: `BollardEngine` (the only user of bollard) and `FakeEngine`, a small stateful
//! engine in memory that can crash, stall and fail. One contract suite runs on both
//! (`tests/docker/contract`), so that the fake cannot drift.
//!
//! Everything cflite creates carries the label [`LABEL_OWNER`] with the platform's id, so that
//! platforms on one daemon do not interfere, and labels hold everything needed to adopt a container
//! after a restart.

mod bollard_engine;
pub mod bound_files;
#[cfg(any(test, feature = "testing"))]
mod fake_engine;
mod network;
mod spec;
pub mod trust;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::base::{Megabytes, Timestamp};

pub use bollard_engine::{BollardEngine, DEFAULT_HOST};
#[cfg(any(test, feature = "testing"))]
pub use fake_engine::{Behaviour, FakeEngine, FakeFile, Verb};
pub use network::{AddressRange, InvalidSubnet, NetworkAddresses, NetworkSpec, Subnet};
pub use spec::{
    Access, Attached, ContainerSpec, ExecSpec, Executing, Freeze, Input, MachineNetwork,
    TerminalSize, Upload, Volume, VolumeMount,
};

/// Label on everything cflite creates; its value is the platform's id (created at first boot).
pub const LABEL_OWNER: &str = "cflite.platform";
/// Label with the purpose of a container: `instance`, `staging`, `task`, `service`, `helper`.
pub const LABEL_KIND: &str = "cflite.kind";

/// Container label: the build that runs in it, by its guid.
pub const LABEL_BUILD: &str = "cflite.build";
/// Container label: the source of its output (an app's guid). Without it the log is not followed.
pub const LABEL_SOURCE_ID: &str = "cflite.log.source_id";
/// Container label: the source type of its lines, such as `APP/PROC/WEB` or `STG`.
pub const LABEL_SOURCE_TYPE: &str = "cflite.log.source_type";
/// Container label: the index of the instance.
pub const LABEL_INSTANCE_ID: &str = "cflite.log.instance_id";
/// Container label: most bytes of output per second; -1 = unlimited.
pub const LABEL_RATE_LIMIT: &str = "cflite.log.rate_limit";
/// Container label: a JSON list with the names of the sidecars whose lines begin with a mark.
pub const LABEL_SIDECARS: &str = "cflite.log.sidecars";
/// Prefix of container labels that become tags of log envelopes.
pub const LABEL_TAG_PREFIX: &str = "cflite.log.tag.";

/// A byte stream into or out of the daemon.
pub type ByteReader = Pin<Box<dyn AsyncRead + Send>>;

/// Bytes to the daemon.
pub type ByteWriter = Pin<Box<dyn AsyncWrite + Send>>;
/// A stream of what the daemon reports.
pub type EngineStream<T> = Pin<Box<dyn Stream<Item = Result<T, DockerError>> + Send>>;
/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// An error of the daemon, classified by how callers handle it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DockerError {
    /// No such container, image, network or volume.
    #[error("docker: {0} not found")]
    NotFound(String),
    /// The name is in use or the state does not allow it.
    #[error("docker: {0}")]
    Conflict(String),
    /// The daemon does not answer.
    #[error("docker does not answer: {0}")]
    Unreachable(String),
    /// Any other error, with the daemon's message.
    #[error("docker: {0}")]
    Failed(String),
}

/// Version and properties of the daemon.
#[derive(Debug, Clone)]
pub struct DaemonInfo {
    /// Engine version.
    pub version: String,
    /// `linux/amd64` style platform.
    pub architecture: String,
    /// Whether container IPs are routable from this process (Linux) or ports must be published
    /// (Docker Desktop).
    pub containers_routable: bool,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// What the daemon runs on.
    pub facts: DaemonFacts,
}

/// What the daemon runs on, as far as it tells; texts are empty where it does not.
#[derive(Debug, Clone, Default)]
pub struct DaemonFacts {
    /// `1` or `2`.
    pub cgroup_version: String,
    /// `systemd`, `cgroupfs` or `none`.
    pub cgroup_driver: String,
    /// `overlay2` or another.
    pub storage_driver: String,
    /// Where it keeps images and containers, on its machine.
    pub root_dir: String,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Its clock.
    pub system_time: Option<Timestamp>,
    /// What it warns of.
    pub warnings: Vec<String>,
}

/// A container as the daemon reports it.
#[derive(Debug, Clone)]
pub struct Container {
    /// The daemon's id.
    pub id: String,
    /// Name without slash.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Image reference it was created from.
    pub image: String,
    /// State.
    pub state: ContainerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// IP on its network while running.
    pub ip: Option<std::net::IpAddr>,
    /// The address it was created with, running or not.
    pub assigned: Option<Ipv4Addr>,
    /// Container port -> published address, where ports are published.
    pub published: BTreeMap<u16, SocketAddr>,
    /// Names of its volumes.
    pub volumes: Vec<String>,
    /// Whether it runs and its processes are stopped where they are.
    pub frozen: bool,
}

impl Container {
    /// The address of a container port for this process: the published one where containers are not
    /// routable, else the container's own. Must not be stored.
    pub fn address(&self, port: u16) -> Option<SocketAddr> {
        let published = self.published.get(&port).copied();
        published.or_else(|| self.ip.map(|ip| SocketAddr::new(ip, port)))
    }

    /// Whether it runs now.
    pub fn is_running(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. })
    }
}

/// A container's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, not started.
    Created,
    /// Running since.
    Running {
        /// Start time.
        since: Timestamp,
    },
    /// Ended.
    Exited {
        /// Exit status, 128 + signal for signals.
        code: i64,
        /// Whether the kernel killed it for its memory.
        out_of_memory: bool,
        /// When.
        at: Timestamp,
    },
}

/// How a container's log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogReading {
    /// What there is now.
    Once,
    /// To the container's end.
    Follow,
}

/// One line or part of a line a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFrame {
    /// stdout or stderr.
    pub stream: LogStream,
    /// The daemon's time in nanoseconds since 1970; parts of one long line share it.
    pub nanos: i64,
    /// Bytes. A frame without a final newline is a part of [`LONGEST_FRAME`] bytes and the line
    /// continues in the next frame of the same stream; the last frame of a line always has one,
    /// also when the container ended before writing it.
    pub data: Bytes,
}

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogStream {
    /// stdout.
    Out,
    /// stderr.
    Err,
}

/// Daemons split lines into frames of at most this size.
pub const LONGEST_FRAME: usize = 16 * 1024;

/// What a running container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// CPU time since start in nanoseconds.
    pub cpu_nanos: u64,
    /// Resident memory in bytes (without page cache).
    pub memory: u64,
    /// Received bytes.
    pub rx: u64,
    /// Sent bytes.
    pub tx: u64,
}

/// A change that the daemon reported; carries no data on purpose: inspect the container again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerChange {
    /// Container id.
    pub id: String,
    /// `start`, `die`, `oom`, `destroy`, …
    pub action: String,
}

/// An image the daemon has.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `name:tag` references.
    pub tags: Vec<String>,
    /// `name@sha256:…` references it was pulled with.
    pub digests: Vec<String>,
    /// Labels of its configuration.
    pub labels: Labels,
    /// Bytes.
    pub size: u64,
    /// Uncompressed layers, base first.
    pub diff_ids: Vec<String>,
    /// Entrypoint.
    pub entrypoint: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// User.
    pub user: String,
    /// Working directory.
    pub working_dir: String,
    /// Exposed TCP ports, ascending.
    pub exposed_ports: Vec<u16>,
}

/// The daemon. All methods are idempotent: removing a missing container or stopping a stopped one
/// succeeds.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Version and properties of the daemon; the cheapest check that it answers.
    async fn info(&self) -> Result<DaemonInfo, DockerError>;

    /// Creates a container and returns its id. `Conflict` when the name is in use.
    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError>;

    /// Unpacks a tar stream into a container, running or not.
    async fn upload(&self, id: &str, upload: Upload) -> Result<(), DockerError>;

    /// A tar stream of a path in a container, running or not: entry names begin with the path's
    /// last part. `NotFound` when there is no such path.
    async fn download(&self, id: &str, path: &str) -> Result<ByteReader, DockerError>;

    /// Starts a created container.
    async fn start(&self, id: &str) -> Result<(), DockerError>;

    /// SIGTERM, then SIGKILL after `grace` (whole seconds); returns when it stopped. A missing
    /// container counts as stopped.
    async fn stop(&self, id: &str, grace: Duration) -> Result<(), DockerError>;

    /// SIGKILLs and removes a container with its anonymous volumes.
    async fn remove(&self, id: &str) -> Result<(), DockerError>;

    /// Sends a signal, such as `SIGHUP`, to a running container.
    async fn kill(&self, id: &str, signal: &str) -> Result<(), DockerError>;

    /// Stops all processes of a running container where they are, or lets them go on; `Conflict`
    /// when it does not run. No command may be starting in it: some daemons never end that start, and
    /// then neither let the container go on nor remove it.
    async fn freeze(&self, id: &str, freeze: Freeze) -> Result<(), DockerError>;

    /// Changes the limits of a container, running or not: memory without swap, and CPU time in
    /// thousandths of a core.
    async fn limit(
        &self,
        id: &str,
        memory: Megabytes,
        cpu_limit: Option<u32>,
    ) -> Result<(), DockerError>;

    /// Starts a command in a running container; `Conflict` when it does not run.
    async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Executing, DockerError>;

    /// The exit status of a command whose output ended.
    async fn exec_status(&self, exec: &str) -> Result<i64, DockerError>;

    /// Sets the size of a command's terminal.
    async fn resize_exec(&self, exec: &str, size: TerminalSize) -> Result<(), DockerError>;

    /// Connects to the standard streams of a container with an [`Input`], before its start.
    async fn attach(&self, id: &str) -> Result<Attached, DockerError>;

    /// Sets the size of a container's terminal, in characters.
    async fn resize(&self, id: &str, rows: u16, columns: u16) -> Result<(), DockerError>;

    /// Waits until the container ended and returns its exit status; `Conflict` when it was never
    /// started.
    async fn wait(&self, id: &str) -> Result<i64, DockerError>;

    /// One container.
    async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError>;

    /// All containers, running or not, that carry all of `labels`.
    async fn list(&self, labels: &Labels) -> Result<Vec<Container>, DockerError>;

    /// All containers, running or not and whoever created them, that have a volume.
    async fn list_by_volume(&self, volume: &str) -> Result<Vec<Container>, DockerError>;

    /// Frames a container wrote at or after `since_nanos` (nanoseconds since 1970, inclusive; the
    /// adapter may return earlier ones of the same second). With `follow` the stream ends when the
    /// container ended.
    async fn logs(
        &self,
        id: &str,
        since_nanos: i64,
        reading: LogReading,
    ) -> Result<EngineStream<LogFrame>, DockerError>;

    /// What a running container uses now; `None` when it does not run.
    async fn usage(&self, id: &str) -> Result<Option<Usage>, DockerError>;

    /// Bytes in a container's writable layer.
    async fn writable_size(&self, id: &str) -> Result<u64, DockerError>;

    /// Changes of containers that carry `labels`, until the connection breaks.
    async fn changes(&self, labels: &Labels) -> Result<EngineStream<ContainerChange>, DockerError>;

    /// An image by reference or id.
    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError>;

    /// All images that carry all of `labels`.
    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, DockerError>;

    /// The names of images, with tag or digest, that begin with `prefix`.
    async fn image_names(&self, prefix: &str) -> Result<Vec<String>, DockerError>;

    /// Pulls an image; progress texts go to `progress`.
    async fn pull(
        &self,
        reference: &str,
        auth: Option<RegistryAuth>,
        progress: Progress,
    ) -> Result<(), DockerError>;

    /// Creates an image from a tar stream of a root file system.
    async fn import(&self, reference: &str, tar: ByteReader) -> Result<(), DockerError>;

    /// Builds an image from a context (tar with a Dockerfile).
    async fn build(
        &self,
        build: BuildSpec,
        context: ByteReader,
        progress: Progress,
    ) -> Result<(), DockerError>;

    /// The image as `docker save` writes it.
    async fn save(&self, reference: &str) -> Result<ByteReader, DockerError>;

    /// Adds a name to an image.
    async fn tag(&self, reference: &str, new_reference: &str) -> Result<(), DockerError>;

    /// Removes an image reference.
    async fn remove_image(&self, reference: &str) -> Result<(), DockerError>;

    /// Creates a bridge network unless it exists, and returns its addresses, of which its owner
    /// may assign some ([`ContainerSpec::address`]).
    async fn ensure_network(&self, network: &NetworkSpec) -> Result<NetworkAddresses, DockerError>;

    /// The addresses of a network that [`Engine::ensure_network`] made, if it is there.
    async fn network(&self, name: &str) -> Result<Option<NetworkAddresses>, DockerError>;

    /// Removes a network.
    async fn remove_network(&self, name: &str) -> Result<(), DockerError>;

    /// Creates an empty volume unless there is one with this name, whatever its labels.
    async fn ensure_volume(&self, name: &str, labels: &Labels) -> Result<(), DockerError>;

    /// A volume by name.
    async fn volume(&self, name: &str) -> Result<Option<Volume>, DockerError>;

    /// The names of volumes that begin with `prefix`.
    async fn volume_names(&self, prefix: &str) -> Result<Vec<String>, DockerError>;

    /// Removes a volume; `Conflict` while a container has it, running or not.
    async fn remove_volume(&self, name: &str) -> Result<(), DockerError>;
}

/// Credentials for a pull: the registry's own token, never a user's password.
#[derive(Debug, Clone)]
pub struct RegistryAuth {
    /// User name.
    pub username: String,
    /// Password, alphanumeric (the wire encoding loses other characters).
    pub password: crate::base::Secret<String>,
}

/// Where progress texts go.
pub type Progress = tokio::sync::mpsc::UnboundedSender<String>;

/// An image build.
#[derive(Debug, Clone, Default)]
pub struct BuildSpec {
    /// Name for the result.
    pub reference: String,
    /// File in the context.
    pub dockerfile: String,
    /// `--build-arg`s.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the result.
    pub labels: Labels,
}
