//! Connections for one exchange: those of tunnels, and of route services elsewhere.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use tokio::time::Instant;

use super::backend::wide_http1_builder;
use super::client_side::ClientSide;
use super::failure::Failure;
use super::instance_stream::InterimHead;
use super::request_body::RequestBody;

/// The maximum number of pending interim responses; more are dropped.
const MAX_PENDING_INTERIM: usize = 64;

/// Sends a request over `io` and waits for the head of its response until the deadline. The
/// connection ends with the response's body, or becomes a tunnel.
pub(super) async fn send<T>(
    io: T,
    mut request: Request<RequestBody>,
    client: &ClientSide<'_>,
    deadline: Instant,
) -> Result<Response<Incoming>, Failure>
where
    T: Read + Write + Send + Unpin + 'static,
{
    let heads = Arc::<InterimHeads>::default();
    if client.interim.is_some() || client.signal.is_some() {
        let heads = heads.clone();
        hyper::ext::on_informational(&mut request, move |response| {
            heads.push(response.status(), response.headers());
        });
    }
    let (mut sender, connection) = wide_http1_builder()
        .handshake::<_, RequestBody>(io)
        .await
        .map_err(Failure::from_error)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(error = %error, "connection of one exchange failed");
        }
    });
    let mut sent = pin!(sender.try_send_request(request));
    let sent = poll_fn(|cx| {
        // hyper itself sends a `100 Continue` when a body is read that nothing holds back.
        let is_relayed =
            |head: &InterimHead| head.status != StatusCode::CONTINUE || client.signal.is_some();
        client.relay(heads.take(cx).into_iter().filter(is_relayed).collect());
        sent.as_mut().poll(cx)
    });
    match tokio::time::timeout_at(deadline, sent).await {
        Ok(result) => result.map_err(Failure::from_unsent),
        Err(_) => Err(Failure::timeout()),
    }
}

/// Passes interim responses from the task of a connection to the task that waits for the final
/// response.
#[derive(Default)]
struct InterimHeads {
    heads: Mutex<Vec<InterimHead>>,
    waker: AtomicWaker,
}

impl InterimHeads {
    fn push(&self, status: StatusCode, headers: &HeaderMap) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() < MAX_PENDING_INTERIM {
            let headers = headers.clone();
            heads.push(InterimHead { status, headers });
            self.waker.wake();
        }
    }

    fn take(&self, cx: &Context<'_>) -> Vec<InterimHead> {
        self.waker.register(cx.waker());
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *heads)
    }
}
