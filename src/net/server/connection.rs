//! One client connection: handshake, protocol, requests, and idle time between them.
//!
//! An HTTP/1.1 connection is *parked* after it was idle for [`super::Limits::park`]: its HTTP state
//! with all buffers is dropped and only the socket remains. That is safe only while no exchange is
//! in progress and no write is pending; bytes read but not used are put back.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::head::{self, HeadLimits};
use super::interim::Interim;
use super::pace::Pace;
use super::state::{Connection, Counted, Exchange, Order};
use super::stream::{ClientStream, Socket};
use super::{BoxError, Peer, ServeLocal};

/// Concurrent streams of one HTTP/2 client.
const MAX_STREAMS: u32 = 250;

/// What serves a connection's requests.
struct Serving<L> {
    pace: Rc<Pace>,
    connection: Rc<Connection>,
    serve: Rc<L>,
    peer: Rc<Peer>,
}

impl<L> Clone for Serving<L> {
    fn clone(&self) -> Self {
        Self {
            pace: self.pace.clone(),
            connection: self.connection.clone(),
            serve: self.serve.clone(),
            peer: self.peer.clone(),
        }
    }
}

impl<L: ServeLocal> Serving<L> {
    fn respond(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Counted<L::Body>>, BoxError>> + 'static + use<L> {
        let exchange = Exchange::begin(self.connection.clone(), self.pace.clone());
        let response = self.serve.clone().serve(self.peer.clone(), request);
        async move {
            let response = response.await?;
            exchange.before_final();
            Ok(response.map(|body| Counted::new(body, exchange)))
        }
    }

    /// What the connection must do now, if anything.
    fn order(&self, cx: &Context<'_>) -> Order {
        self.connection.take_order(cx)
    }
}

/// An accepted connection.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    pub(super) peer: Peer,
    /// `None` for plain HTTP.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
}

/// Serves a connection until it ends.
pub(super) async fn serve<L: ServeLocal>(
    pace: Rc<Pace>,
    connection: Rc<Connection>,
    serve: Rc<L>,
    client: Client,
) {
    let Client {
        socket,
        mut peer,
        tls,
    } = client;
    let activity = connection.activity();
    peer.interim = Some(Interim::new(activity.clone()));
    let socket = Socket::new(socket, activity);
    let stream = match tls {
        None => ClientStream::plain(socket),
        Some(tls) => {
            let limit = pace.limits.handshake;
            // Boxed, as is HTTP/2 below: a plain HTTP/1.1 connection must not reserve memory for
            // it.
            let Some(stream) = Box::pin(tls_handshake(tls, socket, limit)).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                connection.set_multiplexed();
            }
            peer.certificate = shown_by(&stream);
            ClientStream::tls(stream)
        }
    };
    let serving = Serving {
        pace,
        connection,
        serve,
        peer: Rc::new(peer),
    };
    if serving.connection.is_multiplexed() {
        Box::pin(serve_http2(serving, stream)).await;
    } else {
        serve_http1(serving, stream).await;
    }
}

async fn tls_handshake(
    tls: Arc<rustls::ServerConfig>,
    socket: Socket,
    limit: Duration,
) -> Option<Box<TlsStream<Socket>>> {
    let handshake = TlsAcceptor::from(tls).accept(socket);
    match tokio::time::timeout(limit, handshake).await {
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
    None
}

/// The certificate that a client showed, as DER in base64.
fn shown_by(stream: &TlsStream<Socket>) -> Option<HeaderValue> {
    let chain = stream.get_ref().1.peer_certificates()?;
    HeaderValue::try_from(BASE64_STANDARD.encode(chain.first()?)).ok()
}

/// Why polling a connection's HTTP state ended.
enum Ended {
    Order(Order),
    /// It is complete, or became a tunnel.
    Done,
    /// A request's head exceeded the limits.
    TooLarge,
    /// A held write was no rejection by hyper.
    Unwritten,
}

async fn serve_http1<L: ServeLocal>(serving: Serving<L>, stream: ClientStream) {
    let mut stream = stream;
    let mut head_limits = HeadLimits::Default;
    let activity = serving.connection.activity();
    loop {
        if !wait_readable(&serving, &mut stream).await {
            return;
        }
        let requests = serving.clone();
        let service = service_fn(move |request| requests.respond(request));
        let http = head_limits.builder().serve_connection(stream, service);
        let mut http = Box::new(http.with_upgrades());
        let mut closing = false;
        let ended = poll_fn(|cx| {
            match serving.order(cx) {
                Order::Nothing => {}
                order => return Poll::Ready(Ended::Order(order)),
            }
            if serving.pace.draining() && !closing {
                closing = true;
                Pin::new(&mut *http).graceful_shutdown();
            }
            poll_http1(&activity, cx, &mut *http)
        })
        .await;
        let next = match ended {
            Ended::Order(Order::Park) => HeadLimits::Default,
            Ended::Order(Order::Close | Order::Nothing) | Ended::Done => return,
            Ended::TooLarge | Ended::Unwritten => HeadLimits::Raised,
        };
        let Some(parts) = http.into_parts() else {
            return;
        };
        stream = parts.io;
        match ended {
            Ended::Unwritten => return Box::pin(head::close(&mut stream)).await,
            Ended::TooLarge if head_limits == HeadLimits::Raised => {
                return Box::pin(head::refuse(stream)).await;
            }
            Ended::TooLarge => stream.replace_held(Bytes::new()),
            Ended::Order(_) | Ended::Done => {}
        }
        stream.put_back(parts.read_buf);
        head_limits = next;
    }
}

/// Polls a connection's HTTP state; hyper's rejection of a head does not reach the client.
fn poll_http1<F>(activity: &Activity, cx: &mut Context<'_>, http: &mut F) -> Poll<Ended>
where
    F: Future<Output = hyper::Result<()>> + Unpin,
{
    activity.refusal.watch();
    let mut polled = Pin::new(&mut *http).poll(cx);
    let mut held = activity.refusal.release();
    if held && polled.is_pending() {
        // An app's own response that looks like a rejection: it is written when hyper flushes
        // again.
        held = false;
        polled = Pin::new(http).poll(cx);
    }
    polled.map(|result| match result {
        Err(error) if held && error.is_parse_too_large() => Ended::TooLarge,
        result => {
            if let Err(error) = result {
                tracing::debug!(error = %error, "connection failed");
            }
            if held { Ended::Unwritten } else { Ended::Done }
        }
    })
}

/// Waits for something to read; false when the connection should end instead.
async fn wait_readable<L: ServeLocal>(serving: &Serving<L>, stream: &mut ClientStream) -> bool {
    serving.connection.set_parked(true);
    let readable = poll_fn(|cx| {
        if serving.order(cx) == Order::Close || serving.pace.draining() {
            return Poll::Ready(false);
        }
        stream.poll_readable(cx).map(|ready| ready.is_ok())
    })
    .await;
    serving.connection.set_parked(false);
    readable
}

async fn serve_http2<L: ServeLocal>(serving: Serving<L>, stream: ClientStream) {
    let requests = serving.clone();
    let service = service_fn(move |request| requests.respond(request));
    let executor = StreamExecutor(serving.connection.clone());
    let http = http2::Builder::new(executor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(head::HEADER_LIST)
        .serve_connection(stream, service);
    let mut http = pin!(http);
    let mut closing = false;
    let result = poll_fn(|cx| {
        let close = serving.order(cx) == Order::Close;
        if close && closing {
            // GOAWAY was sent a tick ago, and the client does not read what is pending.
            return Poll::Ready(Ok(()));
        }
        if (close || serving.pace.draining()) && !closing {
            closing = true;
            http.as_mut().graceful_shutdown();
        }
        http.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = result {
        tracing::debug!(error = %error, "HTTP/2 connection failed");
    }
}

/// Runs a connection's streams on its own thread.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Runs a client's streams on the connection's thread and registers each with the connection.
#[derive(Clone)]
struct StreamExecutor(Rc<Connection>);

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(future);
        self.0.task_started(task.abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::super::Limits;
    use super::*;
    use crate::net::Scheme;

    struct Silent;

    impl ServeLocal for Silent {
        type Body = Empty<Bytes>;

        async fn serve(
            self: Rc<Self>,
            _peer: Rc<Peer>,
            _request: Request<Incoming>,
        ) -> Result<Response<Empty<Bytes>>, BoxError> {
            Ok(Response::new(Empty::new()))
        }
    }

    #[tokio::test]
    async fn an_idle_connection_takes_less_than_two_kilobytes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (socket, address) = accepted.unwrap();
        let pace = Rc::new(Pace::new(Limits::default()));
        let connection = Rc::new(Connection::new(0));
        let peer = Peer::new(address, Scheme::Http);
        let accepted = Client {
            socket,
            peer,
            tls: None,
        };
        let serving = serve(pace, connection, Rc::new(Silent), accepted);
        let size = size_of_val(&serving);
        assert!(size < 2048, "{size}");
        drop(client);
    }
}
