//! TCP routes: a port of this machine leads to the instances of apps, connection by connection.
//!
//! Flow: [`TcpRouter::set`] gets the routes with their endpoints → the worker compares the ports
//! that are open with those that have an endpoint ([`ports`]) and binds or closes sockets → an
//! accepted connection is given an instance in turn ([`connection`]) → bytes are copied both ways
//! until both sides have ended, or nothing moved for [`TcpSettings::idle`] ([`relay`]).
//!
//! Invariants:
//! - a port without an endpoint is closed, so that clients are refused as by an app that is not there;
//! - a change of the table ends no connection: what was connected stays so until one side ends it;
//! - the number of connections is bounded, and one more is closed at once;
//! - a port that another program has leaves the others alone, and is tried again.
//!
//! Decisions: connections run on the platform's runtime rather than on the threads of the HTTP
//! server, since each is a task of its own that copies bytes and has nothing to share.

mod connection;
mod figures;
mod ports;
mod relay;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::Clock;

pub use figures::TcpFigures;
pub use table::TcpRoute;

use figures::Figures;
use ports::{Ports, Turn};
use table::TcpTable;

/// The limits of TCP routes.
#[derive(Clone, Debug)]
pub struct TcpSettings {
    /// The address that ports are bound on.
    pub bind: IpAddr,
    /// Timeout for connecting to an instance.
    pub dial_timeout: Duration,
    /// Timeout for connecting to any instance.
    pub connect_timeout: Duration,
    /// A connection on which nothing moves for this long is closed.
    pub idle: Duration,
    /// The most connections at once.
    pub connections: usize,
    /// When a port that could not be bound is tried again.
    pub retry: Duration,
    /// How long connections may go on after the platform was told to stop.
    pub drain: Duration,
    /// Then one on which nothing moves for this long ends at once.
    pub drain_idle: Duration,
}

impl TcpSettings {
    /// The usual limits.
    pub fn on(bind: IpAddr) -> Self {
        Self {
            bind,
            dial_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            connections: 4096,
            retry: Duration::from_secs(10),
            drain: Duration::from_secs(8),
            drain_idle: Duration::from_secs(1),
        }
    }
}

/// Serves TCP routes; clones share everything.
#[derive(Clone)]
pub struct TcpRouter {
    shared: Arc<Shared>,
}

struct Shared {
    settings: TcpSettings,
    clock: Arc<dyn Clock>,
    table: watch::Sender<Arc<TcpTable>>,
    places: Arc<Semaphore>,
    figures: Figures,
    /// Ports that should be open and are not, and why.
    unavailable: Mutex<BTreeMap<u16, String>>,
}

impl TcpRouter {
    /// A router without routes.
    pub fn new(settings: TcpSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                places: Arc::new(Semaphore::new(settings.connections)),
                settings,
                clock,
                table: watch::Sender::default(),
                figures: Figures::default(),
                unavailable: Mutex::default(),
            }),
        }
    }

    /// Replaces the routes. Connections stay as they are, and no new one is opened to an endpoint
    /// that is not in `routes`, even for clients that are waiting for one.
    pub fn set(&self, routes: Vec<TcpRoute>) {
        self.shared.table.send_modify(|table| {
            let new = Arc::new(TcpTable::build(routes).adopt(table));
            table.withdraw_missing(&new);
            *table = new;
        });
    }

    /// What it did so far, and what it does now.
    pub fn figures(&self) -> TcpFigures {
        self.shared.figures.now(self.unavailable().keys().copied())
    }

    fn unavailable(&self) -> MutexGuard<'_, BTreeMap<u16, String>> {
        let all = self.shared.unavailable.lock();
        all.unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker for the supervisor: keeps ports open and serves them until `token` is cancelled,
    /// then lets connections end.
    pub async fn run(self, token: CancellationToken) -> Result<(), Infallible> {
        let connections = TaskTracker::new();
        // Dropped when this worker fails, so that no connection outlives it unseen.
        let cut = CancellationToken::new();
        let _cut_at_the_end = cut.clone().drop_guard();
        let mut table = self.shared.table.subscribe();
        let mut ports = Ports::default();
        loop {
            let wanted = table.borrow_and_update().ports();
            ports.adjust(&self, &wanted);
            loop {
                let turn = tokio::select! {
                    biased;
                    () = token.cancelled() => Turn::Stop,
                    _ = table.changed() => Turn::Adjust,
                    turn = ports.next() => turn,
                };
                match turn {
                    Turn::Stop => {
                        drop(ports);
                        self.shared.figures.set_ports(Vec::new());
                        self.drain(&connections).await;
                        return Ok(());
                    }
                    Turn::Adjust => break,
                    Turn::Accepted(port, client) => {
                        let ends = connection::Ends {
                            draining: token.clone(),
                            cut: cut.clone(),
                        };
                        self.accepted(port, client, &connections, ends);
                    }
                }
            }
        }
    }

    /// Lets connections end on which something moves.
    async fn drain(&self, connections: &TaskTracker) {
        connections.close();
        let limit = self.shared.settings.drain;
        if tokio::time::timeout(limit, connections.wait())
            .await
            .is_err()
        {
            let open = connections.len();
            tracing::info!(open, "closing the TCP connections that are still open");
        }
    }

    fn accepted(
        &self,
        port: u16,
        client: tokio::net::TcpStream,
        connections: &TaskTracker,
        ends: connection::Ends,
    ) {
        let Ok(place) = self.shared.places.clone().try_acquire_owned() else {
            let refused = self.shared.figures.refused(self.shared.clock.now());
            if let Some(count) = refused {
                let limit = self.shared.settings.connections;
                tracing::warn!(
                    port,
                    count,
                    limit,
                    "refused TCP connections: there are too many"
                );
            }
            return;
        };
        let shared = self.shared.clone();
        connections.spawn(async move {
            connection::serve(&shared, port, client, ends).await;
            drop(place);
        });
    }
}

impl fmt::Debug for TcpRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpRouter")
            .field("ports", &self.shared.table.borrow().ports())
            .finish_non_exhaustive()
    }
}
