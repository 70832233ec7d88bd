//! What is known about this machine, without judgement.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::base::Timestamp;
use crate::docker::DaemonInfo;

/// Everything that the checks look at.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) docker: Docker,
    /// How many images of the stack are current; `None` = the daemon was not asked.
    pub(super) stack: Option<usize>,
    /// The data dir, and the daemon's folder where this machine has it.
    pub(super) disks: Vec<Disk>,
    /// The permissions of the data dir, if it exists.
    pub(super) data_dir_mode: Option<(PathBuf, u32)>,
    /// The newest time that the platform recorded, and where.
    pub(super) newest: Option<(Timestamp, &'static str)>,
    pub(super) inotify: Inotify,
    /// Whether packets between containers come to the machine's rules; `None` = not known here.
    pub(super) filters_bridges: Option<bool>,
    /// How many files a process may open, and how many at most after raising it.
    pub(super) open_files: Option<(u64, u64)>,
    /// Ports of a platform that does not run: the option, and the port or why not.
    pub(super) ports: Vec<(&'static str, Result<u16, PortFault>)>,
    /// Names that have to lead here, and what they resolve to.
    pub(super) names: Vec<(String, Vec<IpAddr>)>,
    pub(super) is_local_domain: bool,
    /// Where names of the domain have to lead.
    pub(super) bind: IpAddr,
    /// Variables of a proxy, without passwords.
    pub(super) proxy: Vec<(String, String)>,
    /// Whether an interface other than loopback has an IPv4 address, and an IPv6 one.
    pub(super) families: (bool, bool),
    /// Kernel release, such as `6.6.87-microsoft-standard-WSL2`.
    pub(super) kernel: String,
    /// What `cf version` says; `None` = it is not on PATH.
    pub(super) cf: Option<String>,
}

/// The daemon.
#[derive(Debug, Clone)]
pub(super) enum Docker {
    Answers(Box<DaemonInfo>),
    Fails {
        host: String,
        reason: String,
        socket: Socket,
        /// Whether the program `docker` or `dockerd` is on PATH.
        installed: bool,
    },
}

/// What connecting to the daemon's socket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    /// The daemon is not at a socket of this machine.
    Elsewhere,
    Missing,
    Denied,
    Refused,
    Connects,
}

/// A file system.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    pub(super) free: u64,
    pub(super) free_files: u64,
    /// File systems without a fixed number of files say 0.
    pub(super) files: u64,
}

/// The kernel's limits for watching files; `None` = unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inotify {
    pub(super) instances: Option<u64>,
    pub(super) watches: Option<u64>,
}

/// Why a port cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortFault {
    pub(super) port: u16,
    pub(super) text: String,
    pub(super) denied: bool,
}
