//! Connections whose ticks the test controls, and clients that control each byte they send.

mod clients;
mod stalls;
mod threads;
mod tls;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};

use super::state::Connection;
use super::thread::Thread;
use super::{BoxError, Limits, Peer, ServeLocal, connection};
use crate::base::SystemClock;
use crate::net::Scheme;
use crate::pki::{ClientCertificates, Pki};

/// Responds with the request's path; `/endless` without end; `/panic` panics.
#[derive(Default)]
struct Paths {
    /// Endless bodies that were not dropped.
    endless: Rc<Cell<usize>>,
}

impl ServeLocal for Paths {
    type Body = Answer;

    async fn serve(
        self: Rc<Self>,
        _peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, BoxError> {
        let path = request.uri().path();
        let body = match path {
            "/endless" => {
                self.endless.set(self.endless.get() + 1);
                Answer::Endless(self.endless.clone())
            }
            "/panic" => panic!("requested"),
            path => Answer::Text(Some(Bytes::from(format!("[{path}]")))),
        };
        Ok(Response::new(body))
    }
}

enum Answer {
    Text(Option<Bytes>),
    Endless(Rc<Cell<usize>>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Self::Text(text) => text.take(),
            Self::Endless(_) => Some(Bytes::from_static(&[b'x'; 16384])),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Self::Endless(count) = self {
            count.set(count.get() - 1);
        }
    }
}

/// A thread whose time advances only by [`Bench::pass`].
struct Bench {
    thread: Rc<Thread>,
    paths: Rc<Paths>,
    pki: Pki,
    tls: Arc<rustls::ServerConfig>,
    _directory: tempfile::TempDir,
}

/// A connection that is served, and the client's end of it.
struct Served {
    connection: Rc<Connection>,
    task: JoinHandle<()>,
    client: TcpStream,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let domains = ["cf.localhost".to_owned()];
        let pki = Pki::open(directory.path(), &domains, Arc::new(SystemClock)).unwrap();
        Self {
            thread: Rc::new(Thread::new(Limits::default())),
            paths: Rc::default(),
            tls: pki.server_config(ClientCertificates::None, "").unwrap(),
            pki,
            _directory: directory,
        }
    }

    async fn serve(&self, scheme: Scheme) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (socket, address) = accepted.unwrap();
        let accepted = connection::Client {
            socket,
            peer: Peer::new(address, scheme),
            tls: (scheme == Scheme::Https).then(|| self.tls.clone()),
        };
        let connection = Rc::new(Connection::new(self.thread.pace.ticks()));
        self.thread.enter(&connection);
        let task = tokio::task::spawn_local(connection::serve(
            self.thread.pace.clone(),
            connection.clone(),
            self.paths.clone(),
            accepted,
        ));
        let client = client.unwrap();
        client.set_nodelay(true).unwrap();
        Served {
            connection,
            task,
            client,
        }
    }

    async fn pass(&self, ticks: u32) {
        for _ in 0..ticks {
            self.thread.pass();
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass until the connection is parked.
    async fn park(&self, connection: &Connection) {
        while !connection.is_parked() {
            self.pass(1).await;
        }
    }

    /// Lets time pass until `done`; returns how many ticks that took.
    async fn pass_until(&self, done: impl Fn() -> bool) -> u32 {
        let mut ticks = 0;
        while !done() {
            self.pass(1).await;
            ticks += 1;
        }
        ticks
    }
}

/// Runs a test on one thread, with a timeout.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let limit = std::time::Duration::from_secs(30);
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(limit, test).await.expect("in time")
    })
}
