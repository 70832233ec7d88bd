//! What is asked of the daemon: containers, commands in them, volumes and files.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;

use super::{ByteReader, ByteWriter, EngineStream, Labels, LogStream};
use crate::base::Megabytes;

/// A container to be created.
#[derive(Debug, Clone, Default)]
pub struct ContainerSpec {
    /// Unique name.
    pub name: String,
    /// Image reference or id.
    pub image: String,
    /// Words of the command; replaces the image's command.
    pub command: Vec<String>,
    /// Replaces the image's entrypoint; `None` keeps it, `Some(vec![])` clears it.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value` pairs, complete.
    pub environment: Vec<(String, String)>,
    /// `2000:2000`, a name, or `None` for the image's user.
    pub user: Option<String>,
    /// Working directory, `None` for the image's.
    pub working_dir: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Labels; must hold [`LABEL_OWNER`](super::LABEL_OWNER).
    pub labels: Labels,
    /// Memory limit without swap; `None` = none.
    pub memory: Option<Megabytes>,
    /// Relative CPU weight.
    pub cpu_shares: Option<i64>,
    /// Most CPU time, in thousandths of a core; `None` = all there is.
    pub cpu_limit: Option<u32>,
    /// Most processes at once.
    pub pids_limit: Option<i64>,
    /// Open files, soft = hard.
    pub nofile: Option<i64>,
    /// Network to join; `None` = the daemon's default bridge.
    pub network: Option<String>,
    /// Address on that network; `None` = the daemon chooses one.
    pub address: Option<Ipv4Addr>,
    /// DNS servers for what the daemon does not know itself, in order; empty for its own choice, as where
    /// containers are not routable: addresses of this machine are nothing to them there.
    pub dns: Vec<IpAddr>,
    /// Further host names, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Further names on that network; containers on it find this one by them.
    pub aliases: Vec<String>,
    /// TCP ports to publish on 127.0.0.1 where containers are not routable.
    pub ports: Vec<u16>,
    /// TCP ports to publish on 127.0.0.1 everywhere, with the port of this machine.
    pub published: BTreeMap<u16, u16>,
    /// The signal that asks its process to end; `None` for the image's, SIGTERM by default.
    pub stop_signal: Option<String>,
    /// Seconds the daemon waits after that signal.
    pub stop_timeout: Option<Duration>,
    /// Volumes to mount. The daemon creates missing ones, empty and without labels.
    pub volumes: Vec<VolumeMount>,
    /// What its standard input is.
    pub input: Input,
    /// What it may do with the network of the daemon's machine.
    pub machine_network: MachineNetwork,
}

/// What a container may do with the network of the daemon's machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MachineNetwork {
    /// It has a network of its own.
    #[default]
    None,
    /// It has the machine's instead, and may change its rules; it may do nothing else of what root may.
    Changes,
}

/// The standard input of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Input {
    /// Empty.
    #[default]
    None,
    /// What [`Engine::attach`](super::Engine::attach) sends, until it is closed.
    Piped,
    /// A terminal: its output is one stream.
    Terminal,
}

/// What becomes of the processes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// They stop where they are and keep their memory.
    Begin,
    /// They go on.
    End,
}

/// A connection to the standard streams of a container.
pub struct Attached {
    /// Its standard input.
    pub input: ByteWriter,
    /// What it writes from now on; ends when it ends.
    pub output: EngineStream<(LogStream, Bytes)>,
}

/// A command in a running container.
#[derive(Clone, Default)]
pub struct ExecSpec {
    /// Its words.
    pub command: Vec<String>,
    /// `2000:2000` or a name; `None` for the container's user.
    pub user: Option<String>,
    /// Further `NAME=value` pairs.
    pub environment: Vec<(String, String)>,
    /// A terminal of this size for its standard streams: its output is one stream.
    pub terminal: Option<TerminalSize>,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// A command that was started in a container.
pub struct Executing {
    /// The daemon's id of it.
    pub id: String,
    /// Its standard streams; the output ends when the command ends.
    pub streams: Attached,
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// Its name.
    pub volume: String,
    /// Folder in the container; what the image has there is hidden.
    pub folder: String,
    /// What the container may do with it.
    pub access: Access,
}

/// Access to a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Labels; none when the daemon created it for a container.
    pub labels: Labels,
}

/// Files for a container, as a tar stream unpacked into a folder.
pub struct Upload {
    /// Existing folder in the container.
    pub folder: String,
    /// Tar stream.
    pub tar: ByteReader,
}
