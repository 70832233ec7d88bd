//! Limits of a request's head, and the rejection of larger ones.
//!
//! The limits are those of Go's server as Cloud Foundry's router runs it: [`MAX_HEAD`] and some
//! slack for the whole head, no separate limit for the number of fields. hyper takes both limits
//! when a connection's HTTP state is created, and a high limit of fields costs time with every
//! request. So a connection starts with [`HeadLimits::Default`]. When a head does not fit, hyper's
//! rejection is held ([`super::activity::Refusal`]), its state is dropped, and the bytes are read
//! again with [`HeadLimits::Raised`].
//!
//! One head is rejected although it would fit: that of a pipelined request whose client does not
//! read the previous response.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, Write};
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;

use super::stream::ClientStream;

/// Bytes a request's head may have, as documented.
pub const MAX_HEAD: usize = 1 << 20;
/// Where Go's server stops reading a head.
const READ_LIMIT: usize = MAX_HEAD + 4096;
/// Fields a head may have: the capacity of the header map, less what the router adds.
const MAX_FIELDS: usize = 24_000;
/// Limit for HTTP/2, where every field counts 32 bytes more.
pub(super) const HEADER_LIST: u32 = (1 << 20) + 10 * 32;
/// How long a rejected client may continue to send, so that it sees the response.
const LINGER: Duration = Duration::from_millis(500);

const REFUSAL: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n\
    431 Request Header Fields Too Large";

/// Limits that hyper applies to a head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadLimits {
    /// hyper's defaults, which cost nothing: 100 fields, 400 kB.
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

/// Responds that the request's head is too large, and closes the connection.
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
        tracing::debug!("client continued to send a rejected head");
    }
}

/// Writes what was held, then closes the connection for writing.
pub(super) async fn close(stream: &mut ClientStream) {
    let written = async {
        poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await?;
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
    };
    match tokio::time::timeout(LINGER, written).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %error, "cannot write the final response"),
        Err(_) => tracing::debug!("client did not read the final response in time"),
    }
}
