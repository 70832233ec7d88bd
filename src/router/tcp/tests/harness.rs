//! A router of TCP routes on loopback, and instances that do as they are told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::base::SystemClock;
use crate::router::testing::endpoint;
use crate::router::{TcpFigures, TcpRoute, TcpRouter, TcpSettings};

/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A router that runs, and what has to be kept for it.
pub(super) struct World {
    pub(super) router: TcpRouter,
    pub(super) token: CancellationToken,
    pub(super) running: JoinSet<()>,
}

pub(super) fn settings() -> TcpSettings {
    TcpSettings {
        retry: Duration::from_millis(50),
        ..TcpSettings::on(Ipv4Addr::LOCALHOST.into())
    }
}

impl World {
    pub(super) fn new(settings: TcpSettings) -> Self {
        let router = TcpRouter::new(settings, Arc::new(SystemClock));
        let token = CancellationToken::new();
        let mut running = JoinSet::new();
        let (worker, stop) = (router.clone(), token.clone());
        running.spawn(async move {
            let Ok(()) = worker.run(stop).await;
        });
        Self {
            router,
            token,
            running,
        }
    }

    /// Makes these the routes and waits until their ports are as they should be.
    pub(super) async fn set(&self, routes: &[(u16, &[u16])]) {
        let route = |(port, backends): &(u16, &[u16])| TcpRoute {
            port: *port,
            endpoints: backends.iter().map(|port| endpoint(*port)).collect(),
        };
        self.router.set(routes.iter().map(route).collect());
        let wanted = routes.iter().filter(|(_, backends)| !backends.is_empty());
        let mut wanted: Vec<u16> = wanted.map(|(port, _)| *port).collect();
        wanted.sort_unstable();
        self.until(|figures| {
            let mut all = [&figures.ports[..], &figures.unavailable].concat();
            all.sort_unstable();
            all == wanted
        })
        .await;
    }

    /// Waits until the figures are such.
    pub(super) async fn until(&self, met: impl Fn(&TcpFigures) -> bool) {
        let waiting = async {
            while !met(&self.router.figures()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("still {:?}", self.router.figures()));
    }
}

/// A port that nothing listens on.
pub(super) async fn free_port() -> u16 {
    let socket = listener().await;
    socket.local_addr().expect("address").port()
}

pub(super) async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound")
}

/// An instance that says its name to every client, then sends back what it gets.
pub(super) async fn named_echo(tasks: &mut JoinSet<()>, name: &'static str) -> u16 {
    let socket = listener().await;
    let port = socket.local_addr().expect("address").port();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = socket.accept().await {
            clients.spawn(async move {
                client.write_all(name.as_bytes()).await.ok();
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
                to.shutdown().await.ok();
            });
        }
    });
    port
}

pub(super) async fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect(address).await.expect("connected")
}

/// What an instance of one letter calls itself.
pub(super) async fn letter(client: &mut TcpStream) -> char {
    let mut name = [0];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut name)).await;
    read.expect("in time").expect("a name");
    char::from(name[0])
}

/// Everything until the other side ends.
pub(super) async fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut all)).await;
    read.expect("in time").expect("an end");
    all
}

/// Whether the other side closes without a byte.
pub(super) async fn is_closed(client: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(PATIENCE, client.read(&mut byte)).await;
    matches!(read.expect("in time"), Ok(0) | Err(_))
}
