//! A front door on loopback, apps written as functions over a socket, and a raw client.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;

use crate::base::{Supervisor, SystemClock};
use crate::net::origin::PlatformHosts;
use crate::net::ports::{PortChoice, bind};
use crate::net::server::{Limits, Listener, Server};
use crate::net::slow_body::BodyLimits;
use crate::pki::{ClientCertificates, Pki};
use crate::router::testing::{endpoint, route};
use crate::router::{AccessLog, Endpoint, Finished, FrontDoor, Router, Settings, Table};

/// Collects access lines.
#[derive(Default)]
pub(super) struct Lines {
    lines: Mutex<VecDeque<(String, u32, String)>>,
    arrived: std::sync::Condvar,
}

impl AccessLog for Lines {
    fn finished(&self, exchange: &Finished<'_>) {
        let index = exchange.endpoint.map_or(0, |endpoint| endpoint.index);
        let line = (
            exchange.app_guid.to_string(),
            index,
            exchange.line.to_owned(),
        );
        self.lines.lock().unwrap().push_back(line);
        self.arrived.notify_all();
    }
}

impl Lines {
    /// The next line's text.
    pub(super) fn next(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let limit = Duration::from_secs(10);
        let (mut lines, timeout) = self
            .arrived
            .wait_timeout_while(lines, limit, |lines| lines.is_empty())
            .unwrap();
        assert!(!timeout.timed_out(), "no access line came");
        lines.pop_front().unwrap().2
    }

    pub(super) fn count(&self) -> usize {
        self.lines.lock().unwrap().len()
    }
}

/// A running front door.
pub(super) struct Door {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) router: Router,
    pub(super) lines: Arc<Lines>,
    pub(super) pki: Pki,
    pub(super) supervisor: Supervisor,
    runtime: Option<tokio::runtime::Runtime>,
    _directory: tempfile::TempDir,
}

pub(super) fn door() -> Door {
    door_with(Settings::default(), &Limits::default(), axum::Router::new())
}

pub(super) fn door_with(settings: Settings, limits: &Limits, platform: axum::Router) -> Door {
    door_of(settings, limits, platform, BodyLimits::default())
}

pub(super) fn door_of(
    settings: Settings,
    limits: &Limits,
    platform: axum::Router,
    body_limits: BodyLimits,
) -> Door {
    let clients = (ClientCertificates::None, "");
    open(settings, limits, (platform, body_limits), clients)
}

/// A front door that asks clients for certificates of an authority (PEM).
pub(super) fn door_for_clients_of(settings: Settings, authority: &str) -> Door {
    let platform = (axum::Router::new(), BodyLimits::default());
    let clients = (ClientCertificates::Request, authority);
    open(settings, &Limits::default(), platform, clients)
}

fn open(
    settings: Settings,
    limits: &Limits,
    (platform, body_limits): (axum::Router, BodyLimits),
    (clients, authority): (ClientCertificates, &str),
) -> Door {
    let limits = Limits {
        threads: 2,
        ..limits.clone()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let domains = ["cf.localhost".to_owned()];
    let pki = Pki::open(directory.path(), &domains, Arc::new(SystemClock)).unwrap();
    let lines = Arc::new(Lines::default());
    let router = Router::new(settings, lines.clone());
    let front = FrontDoor {
        router: router.clone(),
        platform,
        screen: |_| None,
        hosts: PlatformHosts::new("cf.localhost"),
        clock: Arc::new(SystemClock),
        runtime: runtime.handle().clone(),
        body_limits,
        too_slow: |path| {
            let text = format!("{path} was too slow");
            (http::StatusCode::REQUEST_TIMEOUT, text).into_response()
        },
    };
    let loopback = [127, 0, 0, 1].into();
    let plain = bind(loopback, PortChoice::Exactly(0)).unwrap();
    let tls = bind(loopback, PortChoice::Exactly(0)).unwrap();
    let listeners = vec![
        Listener::plain(plain),
        Listener::tls(tls, pki.server_config(clients, authority).unwrap()),
    ];
    let server = Arc::new(Server::new(listeners, front, limits));
    let addresses = server.addresses();
    let supervisor = Supervisor::new();
    {
        let _entered = runtime.enter();
        supervisor.worker("front door", move |token| server.clone().run(token));
    }
    Door {
        http: addresses[0],
        https: addresses[1],
        router,
        lines,
        pki,
        supervisor,
        runtime: Some(runtime),
        _directory: directory,
    }
}

impl Door {
    /// Routes each host to these addresses.
    pub(super) fn routes(&self, routes: &[(&str, &[SocketAddr])]) {
        let routes = routes
            .iter()
            .map(|(host, addresses)| {
                let endpoints = addresses.iter().map(|address| at(*address)).collect();
                route(host, "", endpoints)
            })
            .collect();
        self.router.swap(Table::build(routes));
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().unwrap().block_on(future)
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.http)
    }

    /// An HTTP/2-only app that echoes the request; the body of `/stall` never ends, and
    /// `/trailers` answers with the body and its trailer, and with one of its own.
    pub(super) fn http2_app(&self) -> SocketAddr {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let listener = self.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = Arc::new(listener.unwrap());
        let address = listener.local_addr().unwrap();
        let service = hyper::service::service_fn(async |request: http::Request<Incoming>| {
            let (version, uri) = (request.version(), request.uri());
            let host = uri.authority().map_or("-", |authority| authority.as_str());
            let text = format!("{version:?} {host} {}", uri.path());
            let is_trailed = uri.path() == "/trailers";
            let body = match uri.path() {
                "/stall" => stalling("abc"),
                "/trailers" => BoxBody::default(),
                _ => Full::from(text).boxed(),
            };
            let mut response = http::Response::new(body);
            if uri.path() == "/large" {
                let value = http::HeaderValue::from_str(&"x".repeat(10_000)).unwrap();
                for _ in 0..20 {
                    response.headers_mut().append("x-large", value.clone());
                }
            }
            if is_trailed {
                *response.body_mut() = trailed(request.into_body()).await;
            }
            Ok::<_, Infallible>(response)
        });
        let _entered = self.runtime.as_ref().unwrap().enter();
        let supervisor = self.supervisor.clone();
        self.supervisor.worker("app", move |token| {
            let (listener, supervisor) = (listener.clone(), supervisor.clone());
            async move {
                loop {
                    let (socket, _) = tokio::select! {
                        accepted = listener.accept() => accepted?,
                        () = token.cancelled() => return Ok::<(), std::io::Error>(()),
                    };
                    let token = token.clone();
                    supervisor.once(async move {
                        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(socket), service);
                        tokio::select! {
                            ended = served => drop(ended),
                            () = token.cancelled() => {}
                        }
                    });
                }
            }
        });
        address
    }

    /// One request, one response, one connection.
    pub(super) fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        client.send(request.as_bytes());
        client.answer()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let supervisor = self.supervisor.clone();
            runtime.block_on(supervisor.shut_down(Duration::from_secs(5)));
            runtime.shutdown_background();
        }
    }
}

async fn trailed(body: Incoming) -> BoxBody<Bytes, Infallible> {
    let body = body.collect().await.unwrap();
    let sum = body.trailers().and_then(|trailers| trailers.get("x-sum"));
    let sum = sum.map_or("none", |sum| sum.to_str().unwrap()).to_owned();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    let data = Frame::data(Bytes::from(format!("trailers {text} {sum}")));
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let frames = [data, Frame::trailers(trailers)];
    BoxBody::new(StreamBody::new(stream::iter(frames.map(Ok))))
}

fn stalling(text: &'static str) -> BoxBody<Bytes, Infallible> {
    let first = stream::once(async move { Ok(Frame::data(Bytes::from(text))) });
    BoxBody::new(StreamBody::new(first.chain(stream::pending())))
}

pub(super) fn at(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        ..endpoint(address.port())
    }
}

/// An app: every connection is handed to `serve` on a thread of its own. Ends with the test.
pub(super) fn app(serve: impl Fn(Client) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(Client::new(socket.unwrap())));
        }
    });
    address
}

/// An app that answers every request with `answer(head)`, keeping connections.
pub(super) fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    app(move |mut client| {
        while let Some(head) = client.head() {
            client.send(answer(&head).as_bytes());
        }
    })
}

/// `200` with this body.
pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An address without a listener.
pub(super) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// One end of a connection, with raw bytes.
pub(super) struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// A response's head, as text, and its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// A header's value in a head.
pub(super) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }

    fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        let limit = Some(Duration::from_secs(20));
        socket.set_read_timeout(limit).unwrap();
        Self {
            socket,
            buffer: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        // The other side may be gone already; the next read shows that.
        let _sent = self.socket.write_all(bytes);
    }

    /// Reads more; false at the end.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16384];
        match self.socket.read(&mut bytes) {
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                count > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!(
                    "nothing came; so far: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                )
            }
            Err(_) => false,
        }
    }

    /// The next head up to its empty line; `None` at the end.
    pub(super) fn head(&mut self) -> Option<String> {
        let mut seen = 0;
        loop {
            let end = self.buffer[seen..]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.buffer.drain(..seen + end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            seen = self.buffer.len().saturating_sub(3);
            if !self.more() {
                return None;
            }
        }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_bytes(count).expect("the connection ended early")
    }

    /// The next bytes; `None` if the connection ends before.
    pub(super) fn try_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// Everything up to the end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads until `text` was received.
    pub(super) fn until(&mut self, text: &str) -> String {
        loop {
            let all = String::from_utf8_lossy(&self.buffer).into_owned();
            if let Some(at) = all.find(text) {
                self.buffer.drain(..at + text.len());
                return all[..at + text.len()].to_owned();
            }
            assert!(self.more(), "the connection ended before {text:?}: {all:?}");
        }
    }

    /// The next response, with its body by length or chunks.
    pub(super) fn answer(&mut self) -> Answer {
        let head = self.head().expect("an answer");
        let body = match header(&head, "content-length") {
            Some(length) => self.bytes(length.parse().unwrap()),
            None if header(&head, "transfer-encoding").is_some() => self.chunks(),
            None => Vec::new(),
        };
        Answer {
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.until("\r\n");
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let chunk = self.bytes(size + 2);
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// The port of this side.
    pub(super) fn local_port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// The same connection, for another thread.
    pub(super) fn second(&self) -> Self {
        Self::new(self.socket.try_clone().unwrap())
    }

    /// Closes with a reset where the system supports that.
    pub(super) fn close(self) {
        drop(self.socket);
    }
}
