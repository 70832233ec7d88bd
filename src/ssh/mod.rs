//! SSH into the containers of instances: shells, commands, files and forwarded ports.
//!
//! A connection names an instance as its user and proves itself by a one-time code; an
//! [`Authorizer`] says whether, and which container that is. Everything after that happens in the
//! container, as commands of the daemon under the container's own user and environment: the
//! container needs no SSH server, and its network no port.
//!
//! Invariants:
//! - A session reaches one container, the one that its user named.
//! - What a client started ends with its channel: it is hung up, and killed if it does not care.
//! - Connections, channels and what waits in them are bounded ([`Settings`], `relay`).
//! - Sessions end with this process, and need nothing after a restart.
//!
//! Decisions:
//! - One host key (Ed25519): clients of Cloud Foundry compare the fingerprint of the key that was
//!   negotiated with the one that the API tells.
//! - Only passwords: one-time codes are the only secret, and clients ask for nothing else then.

mod command;
mod connection;
mod files;
mod forward;
mod host_key;
mod process;
mod relay;
mod server;
mod session;
mod shared;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::base::guid::{AppGuid, ProcessGuid};
use crate::base::{Secret, Supervisor};
use crate::docker::Engine;

pub use host_key::{HostKey, HostKeyError};

/// Where a session leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// App.
    pub app_guid: AppGuid,
    /// Process.
    pub process_guid: ProcessGuid,
    /// Index of the instance.
    pub index: u32,
    /// Its container.
    pub container_id: String,
}

/// Who asks to be let in.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// `cf:<process guid>/<index>`.
    pub user: String,
    /// The one-time code.
    pub code: Secret<String>,
    /// Where the visitor is.
    pub from: SocketAddr,
}

/// Why a visitor is not let in; for the log, as clients are told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Decides who may visit which container.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Lets a visitor in or not. A code is used up either way.
    async fn admit(&self, visitor: Visitor) -> Result<Place, Refusal>;
}

/// Told of sessions.
pub trait Observer: Send + Sync + 'static {
    /// A visitor was let in.
    fn began(&self, place: &Place, from: SocketAddr);
    /// A visitor who was let in is gone.
    fn ended(&self, place: &Place, from: SocketAddr);
}

/// Limits of the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most connections at once.
    pub connections: usize,
    /// The most channels of a connection at once.
    pub channels: usize,
    /// How long a client may take to prove itself.
    pub log_in: Duration,
    /// The longest connection.
    pub lifetime: Duration,
    /// After so much silence a client is asked whether it is there.
    pub keepalive: Duration,
    /// How many such questions may go unanswered.
    pub unanswered: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 256,
            channels: 128,
            log_in: Duration::from_secs(60),
            lifetime: Duration::from_secs(24 * 3600),
            keepalive: Duration::from_secs(15),
            unanswered: 8,
        }
    }
}

/// What a server works with.
pub struct Parts {
    /// The daemon.
    pub engine: Arc<dyn Engine>,
    /// Who may come in.
    pub authorizer: Arc<dyn Authorizer>,
    /// Told of sessions.
    pub observer: Arc<dyn Observer>,
    /// The key that clients know the server by.
    pub host_key: HostKey,
    /// Limits.
    pub settings: Settings,
}

/// The SSH server of one platform; cheap to clone.
#[derive(Clone)]
pub struct Ssh(Arc<server::Server>);

impl Ssh {
    /// A server that does not listen yet.
    pub fn new(parts: Parts, supervisor: &Supervisor) -> Self {
        Self(Arc::new(server::Server::new(parts, supervisor.clone())))
    }

    /// Listens on `sockets`.
    pub fn start(&self, sockets: Vec<TcpListener>) {
        for (number, socket) in sockets.into_iter().enumerate() {
            let name = match number {
                0 => "ssh".to_owned(),
                more => format!("ssh {}", more + 1),
            };
            self.0.clone().listen(&name, socket);
        }
    }
}
