//! Serving HTTP on listeners: accept, TLS, HTTP/1.1 and HTTP/2, drain.
//!
//! A [`Server`] runs a few threads, each with its own runtime; a connection stays on its thread, so
//! that serving it needs no lock and wakes no other thread. Every thread accepts; a new connection
//! goes to the thread with the fewest. The service is created once per thread ([`Serve::local`])
//! and may keep unshared state there.
//!
//! An idle connection costs next to nothing: its HTTP state is created when the first byte arrives
//! and dropped after a while without traffic ([`connection`]).
//!
//! A client that does not read its response for [`Limits::write`] loses its connection, or its
//! HTTP/2 stream.
//!
//! A panic ends only the connection it happened in. A thread that dies ends [`Server::run`] at once
//! with its panic message; the supervisor restarts all threads, while the remaining old ones drain.
//! The listeners stay open meanwhile, so that no connection is refused.
//!
//! Shutdown: listeners and idle connections close at once, exchanges in progress get
//! [`Limits::drain`] to end, then everything is dropped.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::caller::Scheme;
use crate::base::panic_text;

mod activity;
mod connection;
mod head;
mod interim;
mod pace;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod thread;

pub use connection::LocalExecutor;
pub use head::MAX_HEAD;
pub use interim::Interim;
pub use stream::ClientStream;

/// Anything a body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Creates the service of each thread.
pub trait Serve: Send + Sync + 'static {
    /// The service of one thread.
    type Local: ServeLocal;

    /// Called on the thread itself, inside its runtime.
    fn local(&self) -> Self::Local;
}

/// Serves requests on one thread.
pub trait ServeLocal: 'static {
    /// Body of the responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Serves one request. An error closes the connection without a response.
    fn serve(
        self: Rc<Self>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Self::Body>, BoxError>> + 'static;
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Its address as text, for access lines.
    pub text: Rc<str>,
    /// Its address without port, as `X-Forwarded-For` wants it.
    pub ip: HeaderValue,
    /// Scheme of its listener.
    pub scheme: Scheme,
    /// Port of its listener.
    pub port: u16,
    /// The certificate that it showed, as DER in base64.
    pub certificate: Option<HeaderValue>,
    /// Takes interim responses while one of its HTTP/1.1 requests is served.
    pub interim: Option<Interim>,
}

impl Peer {
    /// A peer at `address`, of a listener on the scheme's own port.
    pub fn new(address: SocketAddr, scheme: Scheme) -> Self {
        let ip = address.ip().to_canonical().to_string();
        Self {
            address,
            text: address.to_string().into(),
            ip: HeaderValue::from_str(&ip).unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            scheme,
            port: scheme.default_port(),
            certificate: None,
            interim: None,
        }
    }
}

/// A bound port and its protocol.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listener {
    /// Clear text.
    pub fn plain(socket: TcpListener) -> Self {
        Self::new(socket, None)
    }

    /// TLS, with HTTP/2 when `tls` offers it by ALPN.
    pub fn tls(socket: TcpListener, tls: Arc<rustls::ServerConfig>) -> Self {
        Self::new(socket, Some(tls))
    }

    fn new(socket: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let port = socket.local_addr().map_or(0, |address| address.port());
        Self { socket, port, tls }
    }

    /// The other end of a connection that it accepted from `address`.
    fn peer(&self, address: SocketAddr) -> Peer {
        let scheme = if self.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        Peer {
            port: self.port,
            ..Peer::new(address, scheme)
        }
    }
}

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Serving threads; 0 = one per processor.
    pub threads: usize,
    /// Time limit for a request's head, from its first byte.
    pub header_read: Duration,
    /// Time limit of an idle connection.
    pub idle: Duration,
    /// Idle time after which a connection drops its HTTP state.
    pub park: Duration,
    /// Time limit for a client to read something of a pending response.
    pub write: Duration,
    /// Time limit for a TLS handshake.
    pub handshake: Duration,
    /// Time limit for exchanges to end at shutdown.
    pub drain: Duration,
    /// How often connections are checked.
    pub tick: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: 0,
            header_read: Duration::from_secs(60),
            idle: Duration::from_secs(900),
            park: Duration::from_secs(5),
            write: Duration::from_secs(300),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            tick: Duration::from_secs(1),
        }
    }
}

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener or thread could not be created.
    #[error("cannot start serving: {0}")]
    Start(#[from] std::io::Error),
    /// A thread ended unexpectedly.
    #[error("a serving thread ended early")]
    ThreadEnded,
    /// A thread, or one of its tasks, panicked.
    #[error("a serving thread panicked: {0}")]
    ThreadPanicked(String),
}

impl ServeError {
    /// The error for a thread's task that has ended.
    fn ended(end: Result<(), tokio::task::JoinError>) -> Self {
        match end.map_err(tokio::task::JoinError::try_into_panic) {
            Err(Ok(panic)) => Self::ThreadPanicked(panic_text(&*panic).to_owned()),
            Ok(()) | Err(Err(_)) => Self::ThreadEnded,
        }
    }
}

/// Listeners and what serves them.
#[derive(Debug)]
pub struct Server<S> {
    listeners: Vec<Listener>,
    serve: S,
    limits: Limits,
}

struct Shared<S> {
    server: Arc<Server<S>>,
    loads: Vec<AtomicUsize>,
    inboxes: Vec<mpsc::Sender<Accepted>>,
    stop: CancellationToken,
}

impl<S> Shared<S> {
    /// The thread with the fewest connections, `own` among equals.
    fn least_loaded(&self, own: usize) -> usize {
        let load = |thread: &usize| self.loads[*thread].load(Ordering::Relaxed);
        let best = (0..self.loads.len()).min_by_key(load).unwrap_or(own);
        if load(&own) <= load(&best) { own } else { best }
    }
}

struct Accepted {
    socket: std::net::TcpStream,
    address: SocketAddr,
    listener: usize,
}

/// Accepted connections queued for another thread.
const INBOX: usize = 256;

impl<S: Serve> Server<S> {
    /// Serves `listeners` with `serve`, once [`Server::run`] runs.
    pub fn new(listeners: Vec<Listener>, serve: S, limits: Limits) -> Self {
        Self {
            listeners,
            serve,
            limits,
        }
    }

    /// Addresses of the listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.socket.local_addr().ok())
            .collect()
    }

    /// A worker for the supervisor: serves until `token` is cancelled, then drains.
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ServeError> {
        for listener in &self.listeners {
            listener.socket.set_nonblocking(true)?;
        }
        let count = match self.limits.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let stop = token.child_token();
        let _stop_when_dropped = stop.clone().drop_guard();
        let (inboxes, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::channel(INBOX)).unzip();
        let shared = Arc::new(Shared {
            server: self,
            loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
            inboxes,
            stop,
        });
        let ends = FuturesUnordered::new();
        for (index, inbox) in receivers.into_iter().enumerate() {
            let (ended, end) = oneshot::channel();
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(format!("serve-{index}"))
                .spawn(move || {
                    let run = AssertUnwindSafe(|| thread::run(shared, index, inbox));
                    let end = catch_unwind(run).unwrap_or_else(|panic| {
                        Err(ServeError::ThreadPanicked(panic_text(&*panic).to_owned()))
                    });
                    // The receiver is gone when `run` has returned or was dropped.
                    let _unreceived = ended.send(end);
                })?;
            ends.push(end);
        }
        drop(shared);
        watch(ends, &token).await
    }
}

/// Waits for the threads; the first that ends before shutdown ends all.
async fn watch(
    mut ends: FuturesUnordered<oneshot::Receiver<Result<(), ServeError>>>,
    token: &CancellationToken,
) -> Result<(), ServeError> {
    while let Some(end) = ends.next().await {
        end.map_err(|_| ServeError::ThreadEnded)??;
        if !token.is_cancelled() {
            return Err(ServeError::ThreadEnded);
        }
    }
    Ok(())
}
