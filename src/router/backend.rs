//! Connections to instances: kept per thread, as many as there are requests at once.
//!
//! An HTTP/1.1 connection is driven by the very task whose request it carries ([`Http1`] is polled
//! together with the exchange, not spawned): a request then costs no wake-up and no switch between
//! tasks. While a connection lies in the pool nobody polls it; whether it still lives is looked at
//! when it is taken out. HTTP/2 connections are shared by many requests and have a task.
//!
//! Decisions: the waker registered in an idle connection is always the no-op one, so that handing
//! it to another task does not wake the one before.

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

/// Fields a response's head may have: what the map of fields can hold, less what the router adds.
const MOST_FIELDS: usize = 24_000;

/// One connection that carries one exchange at a time.
pub(crate) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    connection: http1::Connection<InstanceStream, RequestBody>,
    inbound: Rc<Inbound>,
    pub(super) deadline: Pin<Box<Sleep>>,
    ended: bool,
    /// Carries no further exchange: a part of the last request was not sent.
    last: bool,
    pub(super) reused: bool,
}

/// Dials an instance that is still in the route table. Packets to an address that nobody has any
/// more are lost, so that dialling it would take seconds: it ends as soon as the instance is known
/// to be gone.
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

/// How HTTP/1.1 is spoken to instances, with room for every head the platform allows. hyper pays
/// for that with every response.
pub(crate) fn wide_http1_builder() -> http1::Builder {
    let limit = MAX_RESPONSE_HEAD as usize;
    let mut builder = http1_builder();
    builder
        .max_headers(MOST_FIELDS)
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
        limit: Duration,
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
            deadline: Box::pin(tokio::time::sleep(limit)),
            ended: false,
            last: false,
            reused: false,
        })
    }

    /// Sends a request and waits for the response's head.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        limit: Duration,
        client: &ClientSide<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        self.deadline.as_mut().reset(Instant::now() + limit);
        self.inbound.expect();
        self.wait_for_head(request, client).await
    }

    /// After an exchange that failed since the response's head is too large for hyper's usual
    /// limits: reads the head again within those of the platform. `method` is the request's. A
    /// body that is still on its way is cut, as on a real router.
    pub(crate) async fn read_again(
        self: Box<Self>,
        method: Method,
        client: &ClientSide<'_>,
    ) -> Result<(Response<Incoming>, Box<Self>), Failure> {
        let parts = self.connection.into_parts();
        let last = !(self.inbound.is_written() && client.sent_all());
        let (sender, connection) = wide_http1_builder()
            .handshake(parts.io.again(parts.read_buf))
            .await
            .map_err(Failure::from_error)?;
        let mut http = Box::new(Self {
            sender,
            connection,
            inbound: self.inbound,
            deadline: self.deadline,
            ended: false,
            last,
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
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.poll_connection(cx);
            client.relay(self.inbound.take_interim());
            if let Poll::Ready(result) = answer.as_mut().poll(&mut noop()) {
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
        !(self.ended || self.last) && self.sender.is_ready()
    }

    pub(super) fn poll_connection(&mut self, cx: &mut Context<'_>) {
        // The error, if any, reaches whoever waits for the response or its body.
        self.ended = self.ended || Pin::new(&mut self.connection).poll(cx).is_ready();
    }
}

pub(crate) fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl FailureKind {
    /// Whether a kept connection that fails so was simply closed in the meantime.
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
    async fn who_waits_learns_of_the_withdrawal() {
        let state = EndpointState::new(endpoint(1));
        let wait = pin!(state.withdrawn());
        let mut wait = wait;
        assert!(wait.as_mut().poll(&mut noop()).is_pending());
        state.withdraw();
        assert!(wait.as_mut().poll(&mut noop()).is_ready());
    }
}
