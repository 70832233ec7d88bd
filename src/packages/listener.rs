//! Where staging containers reach the cache.
//!
//! Their network has a gateway, which is an address of this machine; the listener is bound to it
//! alone, so that no other machine reaches it. The network may be recreated with another range: the
//! address is checked before each build. Where the daemon runs in a machine of its own (Docker
//! Desktop), the gateway is no address of this one: there the listener is on loopback, and containers
//! get a name for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{Packages, respond};
use crate::base::Supervisor;
use crate::net::axum_port;
use crate::net::server::ServeError;

/// The name of this machine in containers of Docker Desktop.
const DESKTOP: &str = "host.docker.internal";

/// How a container reaches the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Without a slash at its end.
    pub url: String,
    /// A host name that the container needs, as `NAME:ADDRESS`.
    pub extra_host: Option<String>,
}

/// The present listener.
#[derive(Default)]
pub(super) struct Listening {
    /// The gateway that it is for, and where it listens.
    bound: Mutex<Option<(Ipv4Addr, SocketAddr)>>,
    socket: watch::Sender<Option<Arc<TcpListener>>>,
}

impl Listening {
    async fn at(&self, gateway: Ipv4Addr) -> io::Result<SocketAddr> {
        let mut bound = self.bound.lock().await;
        if let Some((known, address)) = *bound
            && known == gateway
        {
            return Ok(address);
        }
        let socket = match TcpListener::bind((gateway, 0)) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            }
            bound => bound?,
        };
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        tracing::info!(%address, "the package cache listens");
        self.socket.send_replace(Some(Arc::new(socket)));
        *bound = Some((gateway, address));
        Ok(address)
    }
}

impl Packages {
    /// How containers of a network with this gateway reach the cache; listens there if it does not
    /// yet.
    pub async fn reach(&self, gateway: Ipv4Addr) -> io::Result<Reach> {
        let address = self.0.listening.at(gateway).await?;
        Ok(if address.ip() == IpAddr::V4(gateway) {
            Reach {
                url: format!("http://{address}"),
                extra_host: None,
            }
        } else {
            Reach {
                url: format!("http://{DESKTOP}:{}", address.port()),
                extra_host: Some(format!("{DESKTOP}:host-gateway")),
            }
        })
    }

    /// Serves containers as soon as it is known where.
    pub fn start(&self, supervisor: &Supervisor) {
        if self.is_on() {
            let packages = self.clone();
            supervisor.worker("package cache", move |token| packages.clone().serve(token));
        }
    }

    async fn serve(self, token: CancellationToken) -> Result<(), ServeError> {
        let mut sockets = self.0.listening.socket.subscribe();
        loop {
            let socket = sockets.borrow_and_update().clone();
            let Some(socket) = socket else {
                tokio::select! {
                    () = token.cancelled() => return Ok(()),
                    _ = sockets.changed() => continue,
                }
            };
            let stop = token.child_token();
            let listener = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
            let serving = axum_port::serve(respond::router(&self), listener, stop.clone());
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                ended = &mut serving => return ended,
                _ = sockets.changed() => {
                    // The network that it was for is gone.
                    stop.cancel();
                    serving.await?;
                }
            }
        }
    }
}
