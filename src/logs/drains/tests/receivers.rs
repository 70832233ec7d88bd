//! Receivers of messages, over TCP, TLS and HTTPS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::SOON;

/// An address where nobody listens yet.
pub(super) async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// What came.
pub(super) struct Received {
    messages: mpsc::UnboundedReceiver<String>,
    _server: JoinSet<()>,
}

impl Received {
    pub(super) async fn next(&mut self) -> String {
        let next = tokio::time::timeout(SOON, self.messages.recv()).await;
        next.expect("a message in time").expect("a receiver")
    }

    /// Whether nothing comes for a while.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let some = tokio::time::timeout(Duration::from_millis(400), self.messages.recv()).await;
        some.is_err()
    }
}

/// Reads messages behind their lengths.
pub(super) struct TcpReceiver;

impl TcpReceiver {
    pub(super) async fn start(tls: Option<TlsAcceptor>) -> (SocketAddr, Received) {
        let address = free_address().await;
        (address, Self::start_at(address, tls).await)
    }

    pub(super) async fn start_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> Received {
        let listener = TcpListener::bind(address).await.expect("the port");
        let (sender, messages) = mpsc::unbounded_channel();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.expect("a connection");
                let (tls, sender) = (tls.clone(), sender.clone());
                connections.spawn(async move {
                    match tls {
                        None => read(tcp, &sender).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                read(stream, &sender).await;
                            }
                        }
                    }
                });
            }
        });
        Received {
            messages,
            _server: server,
        }
    }
}

async fn read(stream: impl AsyncRead + Unpin, sender: &mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        match stream.read_until(b' ', &mut length).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        let length = String::from_utf8(length).expect("a length");
        let mut message = vec![0; length.trim_end().parse().expect("a length")];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        let message = String::from_utf8(message).expect("UTF-8");
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// A request that came.
pub(super) struct Posted {
    pub(super) head: String,
    pub(super) body: String,
}

/// Takes requests over HTTPS.
pub(super) struct WebReceiver {
    pub(super) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Posted>,
    refusals: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl WebReceiver {
    pub(super) async fn start(tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::unbounded_channel();
        let refusals = Arc::new(AtomicUsize::new(0));
        let mut server = JoinSet::new();
        let left = refusals.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.expect("a connection");
                let (tls, sender, left) = (tls.clone(), sender.clone(), left.clone());
                connections.spawn(async move {
                    if let Ok(stream) = tls.accept(tcp).await {
                        answer(stream, &sender, &left).await;
                    }
                });
            }
        });
        Self {
            address,
            requests,
            refusals,
            _server: server,
        }
    }

    /// The next requests are refused.
    pub(super) fn refuse(&self, count: usize) {
        self.refusals.store(count, Ordering::Relaxed);
    }

    pub(super) async fn next(&mut self) -> Posted {
        let next = tokio::time::timeout(SOON, self.requests.recv()).await;
        next.expect("a request in time").expect("a receiver")
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    sender: &mpsc::UnboundedSender<Posted>,
    refusals: &AtomicUsize,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(stream.read_line(&mut head).await, Ok(count) if count > 0) {
                return;
            }
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.expect("a length").parse().expect("a length")];
        stream.read_exact(&mut body).await.expect("a body");
        let body = String::from_utf8(body).expect("UTF-8");
        let one_less = |left: usize| left.checked_sub(1);
        let refused = refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        let status = if refused.is_ok() { "503 No" } else { "204 Yes" };
        if sender.send(Posted { head, body }).is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
