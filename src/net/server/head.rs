//! How large a request's head may be, and what becomes of one that is larger.
//!
//! The limits are those of Go's server as Cloud Foundry's router runs it: [`MAX_HEAD`] and some
//! slack for the whole head, no limit for the number of fields but what fits. hyper has to be told
//! both when a connection's HTTP state is made, and pays for many fields with every request. So a
//! connection is served [`HeadLimits::Default`] until a head does not fit: hyper's refusal is kept back
//! ([`super::interim::Refusal`]), its state is dropped, and what it read is read again with
//! [`HeadLimits::Raised`].
//!
//! One head is refused though it would fit: of a request that follows another one at once while
//! the client does not take that one's answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, Write};
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;

use super::stream::ClientStream;

/// Bytes a request's head may have, as the platform promises it.
pub const MAX_HEAD: usize = 1 << 20;
/// What Go's server reads of a head before it gives up.
const READ_LIMIT: usize = MAX_HEAD + 4096;
/// Fields a head may have: what the map of fields can hold, less what the router adds.
const MAX_FIELDS: usize = 24_000;
/// For HTTP/2, where every field counts 32 bytes more.
pub(super) const HEADER_LIST: u32 = (1 << 20) + 10 * 32;
/// How long a client that was refused may go on sending, so that it sees the answer.
const LINGER: Duration = Duration::from_millis(500);

const REFUSAL: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n\
    431 Request Header Fields Too Large";

/// How much of a head hyper takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadLimits {
    /// hyper's own limits, which cost nothing: 100 fields, 400 kB.
    Default,
    /// The platform's.
    Raised,
}

impl HeadLimits {
    pub(super) fn builder(self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .title_case_headers(true)
            .timer(TokioTimer::new())
            .header_read_timeout(None);
        if self == Self::Raised {
            builder
                .max_headers(MAX_FIELDS)
                .max_header_size(READ_LIMIT)
                .max_buf_size(READ_LIMIT);
        }
        builder
    }
}

/// Tells the client that its request's head is too large, and closes the connection.
pub(super) async fn refuse(mut stream: ClientStream) {
    stream.replace_held(Bytes::from_static(REFUSAL));
    close(&mut stream).await;
    let drained = async {
        let mut scratch = [0; 4096];
        loop {
            let mut read = ReadBuf::new(&mut scratch);
            let polled = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, read.unfilled())).await;
            if polled.is_err() || read.filled().is_empty() {
                break;
            }
        }
    };
    if tokio::time::timeout(LINGER, drained).await.is_err() {
        tracing::debug!("a client went on sending a head that was refused");
    }
}

/// Writes what was kept back, then closes the connection for writing.
pub(super) async fn close(stream: &mut ClientStream) {
    let written = async {
        poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await?;
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
    };
    match tokio::time::timeout(LINGER, written).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %error, "a last answer was not written"),
        Err(_) => tracing::debug!("a client did not take a last answer"),
    }
}
