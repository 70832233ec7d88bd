//! The idle connections of one thread, by endpoint.
//!
//! The pool grows with concurrency: returned connections are kept, up to [`MAX_IDLE`] per endpoint,
//! and closed after the idle timeout or when their endpoint left the route table, so that no old
//! connection is used for a reassigned address.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::Settings;
use super::backend::{Http1, dial};
use super::client_side::ClientSide;
use super::endpoint::EndpointState;
use super::failure::{Failure, FailureKind};
use super::instance_stream::MAX_RESPONSE_HEAD;
use super::instance_stream::Scratch;
use super::request_body::RequestBody;
use super::table::Table;
use crate::net::server::LocalExecutor;

const MAX_IDLE: usize = 1024;
/// How often an HTTP/2 connection with requests is asked for a sign of life, and how long that is
/// waited for.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How often idle connections are checked.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Connections of one thread.
pub(crate) struct Connections {
    settings: Settings,
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    shared: RefCell<HashMap<u64, Shared>>,
    sweeps: Cell<u32>,
    scratch: Scratch,
}

/// An HTTP/2 connection. It goes on until its requests have ended when it is forgotten here.
struct Shared {
    sender: http2::SendRequest<RequestBody>,
    /// The sweep of its last request.
    since: u32,
}

struct Idle {
    http: Box<Http1>,
    since: u32,
}

/// A request that may have to be sent more than once.
pub(crate) struct Outgoing {
    pub(crate) request: Option<Box<Request<RequestBody>>>,
    /// A copy of the head, if the request may be retried after it was written.
    pub(crate) retry_head: Option<Box<Parts>>,
}

impl Outgoing {
    /// After a failure: restores the request for the next attempt; false if that is not possible.
    pub(crate) fn restore(&mut self, failure: &mut Failure) -> bool {
        if let Some(request) = failure.request.take() {
            self.request = Some(request);
        } else if failure.kind == FailureKind::Interrupted || failure.kind == FailureKind::Reset {
            self.request = self
                .retry_head
                .as_ref()
                .map(|parts| Box::new(Request::from_parts((**parts).clone(), RequestBody::Empty)));
        }
        self.request.is_some()
    }
}

impl Connections {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            idle: RefCell::default(),
            shared: RefCell::default(),
            sweeps: Cell::new(0),
            scratch: Scratch::default(),
        }
    }

    /// Returns a connection after its exchange, if it is reusable.
    pub(crate) fn put(&self, number: u64, mut http: Box<Http1>) {
        if !http.is_idle() {
            return;
        }
        http.reused = true;
        let mut idle = self.idle.borrow_mut();
        let known = idle.entry(number).or_default();
        if known.len() < MAX_IDLE {
            let since = self.sweeps.get();
            known.push(Idle { http, since });
        }
    }

    fn take(&self, number: u64) -> Option<Box<Http1>> {
        let mut idle = self.idle.borrow_mut();
        let known = idle.get_mut(&number)?;
        while let Some(mut candidate) = known.pop() {
            if candidate.http.is_idle() {
                return Some(candidate.http);
            }
        }
        None
    }

    /// Closes connections that were idle too long or whose endpoint is gone.
    pub(crate) fn sweep(&self, table: &Table) {
        let now = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(now);
        let limit = self.settings.backend_idle.as_secs() / SWEEP_INTERVAL.as_secs();
        let is_recent = |since: u32| u64::from(now.wrapping_sub(since)) <= limit;
        self.idle.borrow_mut().retain(|number, known| {
            known.retain_mut(|idle| is_recent(idle.since) && idle.http.is_idle());
            !known.is_empty() && table.contains(*number)
        });
        self.shared.borrow_mut().retain(|number, known| {
            table.contains(*number) && !known.sender.is_closed() && is_recent(known.since)
        });
    }

    /// One attempt over HTTP/1.1. A pooled connection that turns out to be closed is replaced by a
    /// new one; that is not a failure of the endpoint.
    pub(crate) async fn send_http1(
        &self,
        state: &EndpointState,
        outgoing: &mut Outgoing,
        client: &ClientSide<'_>,
        deadline: Instant,
    ) -> Result<(Response<Incoming>, Box<Http1>), Failure> {
        loop {
            let mut http = match self.take(state.number) {
                Some(http) => http,
                None => self.open_http1(state, deadline).await?,
            };
            let Some(request) = outgoing.request.take() else {
                return Err(Failure::timeout());
            };
            let method = request.method().clone();
            let mut failure = match http.exchange(*request, deadline, client).await {
                Ok(response) => return Ok((response, http)),
                Err(failure) if failure.kind == FailureKind::TooLarge => {
                    return Box::pin(http.reread_head(method, client)).await;
                }
                Err(failure) => failure,
            };
            if !(http.reused && failure.kind.is_stale() && outgoing.restore(&mut failure)) {
                return Err(failure);
            }
            // The other pooled ones are as old; the next one is new.
            self.idle.borrow_mut().remove(&state.number);
        }
    }

    async fn open_http1(
        &self,
        state: &EndpointState,
        deadline: Instant,
    ) -> Result<Box<Http1>, Failure> {
        let socket = dial(state, self.settings.dial_timeout).await?;
        let scratch = self.scratch.clone();
        let http = Http1::open(socket, scratch, deadline).await?;
        Ok(Box::new(http))
    }

    /// One attempt over HTTP/2 in clear text. As with HTTP/1.1, a shared connection that turns out to
    /// be closed is replaced by a new one.
    pub(crate) async fn send_http2(
        &self,
        state: &EndpointState,
        outgoing: &mut Outgoing,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Failure> {
        loop {
            let known = self.shared_sender(state.number);
            let is_reused = known.is_some();
            let mut sender = match known {
                Some(sender) => sender,
                None => self.open_http2(state).await?,
            };
            let Some(request) = outgoing.request.take() else {
                return Err(Failure::timeout());
            };
            let sent = sender.try_send_request(for_http2(*request));
            let mut failure = match tokio::time::timeout_at(deadline, sent).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => Failure::from_unsent(error),
                Err(_) => {
                    // Nothing may answer on it any more.
                    self.shared.borrow_mut().remove(&state.number);
                    return Err(Failure::timeout());
                }
            };
            if let Some(request) = &mut failure.request {
                for_http1(request);
            }
            self.shared.borrow_mut().remove(&state.number);
            if !(is_reused && failure.kind.is_stale() && outgoing.restore(&mut failure)) {
                return Err(failure);
            }
        }
    }

    /// The connection that requests to an endpoint share, if it is open.
    fn shared_sender(&self, number: u64) -> Option<http2::SendRequest<RequestBody>> {
        let mut shared = self.shared.borrow_mut();
        let known = shared.get_mut(&number)?;
        known.since = self.sweeps.get();
        (!known.sender.is_closed()).then(|| known.sender.clone())
    }

    async fn open_http2(
        &self,
        state: &EndpointState,
    ) -> Result<http2::SendRequest<RequestBody>, Failure> {
        let socket = dial(state, self.settings.dial_timeout).await?;
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_header_list_size(MAX_RESPONSE_HEAD)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(Failure::from_error)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "http/2 connection to instance failed");
            }
        });
        let mut shared = self.shared.borrow_mut();
        let (kept, since) = (sender.clone(), self.sweeps.get());
        shared.insert(
            state.number,
            Shared {
                sender: kept,
                since,
            },
        );
        Ok(sender)
    }
}

/// HTTP/2 has no `Host`; authority and scheme are part of the request line.
fn for_http2(mut request: Request<RequestBody>) -> Request<RequestBody> {
    *request.version_mut() = Version::HTTP_2;
    if request.uri().authority().is_none()
        && let Some(host) = request.headers_mut().remove(header::HOST)
    {
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = host.as_bytes().try_into().ok();
        parts.path_and_query = path;
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Undoes [`for_http2`]: the next attempt may be at an endpoint that speaks HTTP/1.1.
fn for_http1(request: &mut Request<RequestBody>) {
    *request.version_mut() = Version::HTTP_11;
    let authority = request.uri().authority().map(|one| one.as_str());
    let Some(Ok(host)) = authority.map(HeaderValue::from_str) else {
        return;
    };
    request.headers_mut().insert(header::HOST, host);
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

/// Sweeps the connections periodically until they are dropped.
pub(crate) fn spawn_sweeper(
    connections: &Rc<Connections>,
    table: impl Fn() -> std::sync::Arc<Table> + 'static,
) {
    let connections = Rc::downgrade(connections);
    tokio::task::spawn_local(async move {
        let mut interval = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            interval.tick().await;
            let Some(connections) = connections.upgrade() else {
                break;
            };
            connections.sweep(&table());
        }
    });
}
