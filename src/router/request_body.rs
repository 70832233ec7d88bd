//! Request bodies for instances: counted and streamed, never buffered.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

/// How long a body waits for the app's `100 Continue`.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// The progress of a request body while it is sent.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Bytes taken from the client.
    pub(crate) bytes: Cell<u64>,
    /// The client aborted.
    pub(crate) broken: Cell<bool>,
    /// Everything was taken from the client.
    pub(crate) ended: Cell<bool>,
}

/// A request body for an instance.
pub(crate) enum RequestBody {
    Empty,
    Stream(Box<StreamBody>),
}

pub(crate) struct StreamBody {
    incoming: Incoming,
    upload: Rc<Upload>,
    gate: Option<Gate>,
}

/// Delays a body until the app sends `100 Continue`, for [`CONTINUE_TIMEOUT`] at most.
struct Gate {
    signal: Arc<Signal>,
    timeout: Pin<Box<Sleep>>,
}

/// Signals the app's `100 Continue`.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// The app sent `100 Continue`.
    pub(crate) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Gate {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.waker.register(cx.waker());
        if self.signal.given.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.timeout.as_mut().poll(cx)
    }
}

impl RequestBody {
    pub(crate) fn stream(
        incoming: Incoming,
        upload: Rc<Upload>,
        signal: Option<Arc<Signal>>,
    ) -> Self {
        let gate = signal.map(|signal| Gate {
            signal,
            timeout: Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)),
        });
        Self::Stream(Box::new(StreamBody {
            incoming,
            upload,
            gate,
        }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Stream(stream) = &mut *self else {
            return Poll::Ready(None);
        };
        if let Some(gate) = &mut stream.gate {
            std::task::ready!(gate.poll_open(cx));
            stream.gate = None;
        }
        let frame = std::task::ready!(Pin::new(&mut stream.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                stream.upload.bytes.set(stream.upload.bytes.get() + length);
                if stream.incoming.is_end_stream() {
                    stream.upload.ended.set(true);
                }
            }
            Some(Err(_)) => stream.upload.broken.set(true),
            None => stream.upload.ended.set(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}
