//! A websocket in progress: one binary frame per envelope, pings, and an end when the client does
//! not answer them, reads too slowly or may no longer read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::SinkExt;
use prost::Message as _;
use tokio::time::{Instant, sleep_until, timeout};

use super::convert;
use crate::logs::Logs;
use crate::logs::grant::{self, Grant};
use crate::logs::live::{Item, PATIENCE, Subscription};

const PING_EVERY: Duration = Duration::from_secs(15);
const PONG_WITHIN: Duration = Duration::from_secs(30);
/// Items sent before the socket is read again.
const BATCH: usize = 100;
/// How long the closing frame may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What a websocket sends, and on whose behalf.
pub(super) struct Stream {
    pub(super) logs: Logs,
    pub(super) subscription: Subscription,
    pub(super) grant: Grant,
    /// The source of warnings about losses.
    pub(super) loss_source: Arc<str>,
}

/// Why a websocket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// The client left, or does not read.
    Gone,
    /// It does not answer pings.
    Silent,
    /// Its token or its rights ended.
    Forbidden,
    /// The platform stops, or the client took nothing for too long.
    Ended,
}

impl Stream {
    /// Sends until one side ends it.
    pub(super) async fn run(self, mut socket: WebSocket) {
        let closed = self.send_all(&mut socket).await;
        tracing::debug!(?closed, "log websocket ended");
        let (code, reason) = match closed {
            Closed::Gone => return,
            Closed::Silent => (
                close_code::POLICY,
                "Client did not respond to ping before keep-alive timeout expired.",
            ),
            Closed::Forbidden => (close_code::POLICY, "The token or its rights have ended."),
            Closed::Ended => (close_code::AWAY, "The log stream has ended."),
        };
        let frame = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        // The client may be gone already.
        drop(timeout(CLOSE_WITHIN, socket.send(frame)).await);
    }

    async fn send_all(&self, socket: &mut WebSocket) -> Closed {
        let begun = Instant::now();
        let mut ping_at = begun + PING_EVERY;
        let mut silent_at = begun + PONG_WITHIN;
        let mut check_at = begun + grant::CHECK_EVERY;
        loop {
            tokio::select! {
                biased;
                message = socket.recv() => match message {
                    Some(Ok(Message::Pong(_))) => silent_at = Instant::now() + PONG_WITHIN,
                    // Pings are answered by the protocol; nothing else is expected.
                    Some(Ok(Message::Ping(_) | Message::Text(_) | Message::Binary(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Closed::Gone,
                },
                () = sleep_until(silent_at) => return Closed::Silent,
                () = sleep_until(check_at) => {
                    if !self.grant.holds().await {
                        return Closed::Forbidden;
                    }
                    check_at = Instant::now() + grant::CHECK_EVERY;
                }
                () = sleep_until(ping_at) => {
                    let ping = socket.send(Message::Ping(Bytes::new()));
                    if !matches!(timeout(PATIENCE, ping).await, Ok(Ok(()))) {
                        return Closed::Gone;
                    }
                    ping_at = Instant::now() + PING_EVERY;
                }
                items = self.subscription.next(BATCH) => {
                    let Some(items) = items else { return Closed::Ended };
                    let sent = timeout(PATIENCE, self.send(socket, &items)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return Closed::Gone;
                    }
                }
            }
        }
    }

    async fn send(&self, socket: &mut WebSocket, items: &[Item]) -> Result<(), axum::Error> {
        let now = self.logs.now_nanos();
        for item in items {
            for envelope in convert::envelopes(item, &self.loss_source, now) {
                let frame = Message::Binary(envelope.encode_to_vec().into());
                socket.feed(frame).await?;
            }
        }
        socket.flush().await
    }
}
