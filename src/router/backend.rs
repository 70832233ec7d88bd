//! Connections to instances: pooled per thread, one per concurrent request.
//!
//! An HTTP/1.1 connection is driven by the task of its request ([`Http1`] is polled together with
//! the exchange, not spawned), which avoids wake-ups and task switches. Idle connections in the
//! pool are not polled; their liveness is checked when they are taken out. HTTP/2 connections are
//! shared by many requests and have their own task.
//!
//! Decisions: the waker registered in an idle connection is always the no-op waker, so that handing
//! it to another task does not wake the previous one.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::client_side::ClientSide;
use super::endpoint::EndpointState;
use super::failure::{Failure, FailureKind};
use super::instance_stream::{Inbound, InstanceStream, MAX_RESPONSE_HEAD, Scratch};
use super::request_body::RequestBody;

/// The maximum number of response header fields: the capacity of the header map, less the fields
/// the router adds.
const MAX_FIELDS: usize = 24_000;

/// One connection that carries one exchange at a time.
pub(crate) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    connection: http1::Connection<InstanceStream, RequestBody>,
    inbound: Rc<Inbound>,
    pub(super) deadline: Pin<Box<Sleep>>,
    ended: bool,
    /// Not reusable: a part of the last request was not sent.
    close_after: bool,
    pub(super) reused: bool,
}

/// Dials an instance that is still in the route table. Dialling an unused address would take
/// seconds, since its packets are dropped: so it stops as soon as the instance is withdrawn.
pub(crate) async fn dial(state: &EndpointState, limit: Duration) -> Result<TcpStream, Failure> {
    let address = state.endpoint.address;
    let dialled = async {
        tokio::select! {
            biased;
            () = state.withdrawn() => Err(io::Error::other("instance is gone")),
            dialled = TcpStream::connect(address) => dialled,
        }
    };
    let error = match tokio::time::timeout(limit, dialled).await {
        Ok(Ok(socket)) => match socket.set_nodelay(true) {
            Ok(()) => return Ok(socket),
            Err(error) => error,
        },
        Ok(Err(error)) => error,
        Err(_) => io::Error::new(io::ErrorKind::TimedOut, "i/o timeout"),
    };
    Err(Failure::dial(address, &error))
}

/// An HTTP/1.1 client with the platform's limits for response heads. More expensive in hyper for
/// every response.
pub(crate) fn wide_http1_builder() -> http1::Builder {
    let limit = MAX_RESPONSE_HEAD as usize;
    let mut builder = http1_builder();
    builder
        .max_headers(MAX_FIELDS)
        .max_header_size(limit)
        .max_buf_size(limit);
    builder
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true);
    builder
}

impl Http1 {
    pub(crate) async fn open(
        socket: TcpStream,
        scratch: Scratch,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let inbound = Rc::<Inbound>::default();
        let stream = InstanceStream::new(socket, inbound.clone(), scratch);
        let (sender, connection) = http1_builder()
            .handshake(stream)
            .await
            .map_err(Failure::from_error)?;
        Ok(Self {
            sender,
            connection,
            inbound,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            ended: false,
            close_after: false,
            reused: false,
        })
    }

    /// Sends a request and waits for the response head.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        deadline: Instant,
        client: &ClientSide<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        self.deadline.as_mut().reset(deadline);
        self.inbound.expect();
        self.wait_for_head(request, client).await
    }

    /// After an exchange that failed because the response head exceeds hyper's default limits:
    /// reads the head again with the platform's limits. `method` is the request's. A request body
    /// still being sent is cut off, as on a real router.
    pub(crate) async fn reread_head(
        self: Box<Self>,
        method: Method,
        client: &ClientSide<'_>,
    ) -> Result<(Response<Incoming>, Box<Self>), Failure> {
        let parts = self.connection.into_parts();
        let close_after = !(self.inbound.is_written() && client.sent_all());
        let (sender, connection) = wide_http1_builder()
            .handshake(parts.io.replaying(parts.read_buf))
            .await
            .map_err(Failure::from_error)?;
        let mut http = Box::new(Self {
            sender,
            connection,
            inbound: self.inbound,
            deadline: self.deadline,
            ended: false,
            close_after,
            reused: false,
        });
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = method;
        match http.wait_for_head(request, client).await {
            Ok(response) => Ok((response, http)),
            Err(failure) if failure.kind == FailureKind::TooLarge => {
                let read = http.connection.into_parts().read_buf.len();
                let short = read < MAX_RESPONSE_HEAD as usize;
                Err(if short {
                    Failure::too_many_fields()
                } else {
                    failure
                })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn wait_for_head(
        &mut self,
        request: Request<RequestBody>,
        client: &ClientSide<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.poll_connection(cx);
            client.relay(self.inbound.take_interim());
            if let Poll::Ready(result) = response.as_mut().poll(&mut noop()) {
                return Poll::Ready(result.map_err(Failure::from_unsent));
            }
            self.deadline
                .as_mut()
                .poll(cx)
                .map(|()| Err(Failure::timeout()))
        })
        .await
    }

    /// Whether the next exchange may use this connection.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.poll_connection(&mut noop());
        !(self.ended || self.close_after) && self.sender.is_ready()
    }

    pub(super) fn poll_connection(&mut self, cx: &mut Context<'_>) {
        // An error is reported to the task that waits for the response or its body.
        self.ended = self.ended || Pin::new(&mut self.connection).poll(cx).is_ready();
    }
}

pub(crate) fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl FailureKind {
    /// Whether a pooled connection with this failure was just closed by the instance meanwhile.
    pub(crate) fn is_stale(self) -> bool {
        matches!(self, Self::Unsent | Self::Interrupted | Self::Reset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::Endpoint;
    use super::super::testing::endpoint;
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_left_the_table_is_not_dialled() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = EndpointState::new(Endpoint {
            address,
            ..endpoint(address.port())
        });
        let limit = Duration::from_secs(5);
        assert!(dial(&state, limit).await.is_ok());
        listener.accept().await.unwrap();
        state.withdraw();
        let failure = dial(&state, limit).await.unwrap_err();
        assert_eq!(
            failure.cause,
            format!("dial tcp {address}: instance is gone")
        );
        let accepted = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_ready()));
        assert!(!accepted.await, "nobody connected");
    }

    #[tokio::test]
    async fn waiters_are_notified_of_the_withdrawal() {
        let state = EndpointState::new(endpoint(1));
        let wait = pin!(state.withdrawn());
        let mut wait = wait;
        assert!(wait.as_mut().poll(&mut noop()).is_pending());
        state.withdraw();
        assert!(wait.as_mut().poll(&mut noop()).is_ready());
    }
}
