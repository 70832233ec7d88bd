//! Bodies on their way through: counted, never held.

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

use crate::net::server::BoxError;

use super::backend::{Announced, BackendBody};
use super::trace::Trace;

/// How long a body waits for the app's `100 Continue`.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What is known of a request body while somebody else sends it.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Bytes taken from the client.
    pub(crate) bytes: Cell<u64>,
    /// The client broke off.
    pub(crate) broken: Cell<bool>,
    /// Everything was taken from the client.
    pub(crate) ended: Cell<bool>,
}

/// A request's body on its way to an instance.
pub(crate) enum RequestBody {
    Empty,
    Stream(Box<StreamBody>),
}

pub(crate) struct StreamBody {
    incoming: Incoming,
    upload: Rc<Upload>,
    gate: Option<Gate>,
}

/// Keeps a body back until the app agrees to it, for [`CONTINUE_WAIT`] at most.
struct Gate {
    signal: Arc<Signal>,
    patience: Pin<Box<Sleep>>,
}

/// The app's agreement.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// The app wants the body.
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
        self.patience.as_mut().poll(cx)
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
            patience: Box::pin(tokio::time::sleep(CONTINUE_WAIT)),
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

/// A response's body on its way to the client; its end is the end of the exchange.
pub struct ResponseBody {
    source: Source,
    trace: Option<Box<Trace>>,
}

enum Source {
    Empty,
    Whole(Bytes, Announced),
    Backend(Box<BackendBody>),
    Stream(Incoming),
    Platform(axum::body::Body),
}

impl ResponseBody {
    pub(crate) fn empty(trace: Option<Box<Trace>>) -> Self {
        Self {
            source: Source::Empty,
            trace,
        }
    }

    pub(crate) fn whole(bytes: Bytes, trace: Option<Box<Trace>>) -> Self {
        let source = if bytes.is_empty() {
            Source::Empty
        } else {
            Source::Whole(bytes, Announced::Length)
        };
        Self { source, trace }
    }

    /// A body that arrived as a whole; whether its length is told stays as it was.
    pub(crate) fn arrived(bytes: Bytes, announced: Announced, trace: Box<Trace>) -> Self {
        let source = match announced {
            Announced::Length if bytes.is_empty() => Source::Empty,
            announced => Source::Whole(bytes, announced),
        };
        Self {
            source,
            trace: Some(trace),
        }
    }

    pub(crate) fn backend(body: BackendBody, trace: Box<Trace>) -> Self {
        Self {
            source: Source::Backend(Box::new(body)),
            trace: Some(trace),
        }
    }

    pub(crate) fn stream(body: Incoming, trace: Box<Trace>) -> Self {
        Self {
            source: Source::Stream(body),
            trace: Some(trace),
        }
    }

    pub(crate) fn platform(body: axum::body::Body) -> Self {
        Self {
            source: Source::Platform(body),
            trace: None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Empty => None,
            Source::Whole(bytes, _) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            Source::Backend(body) => std::task::ready!(body.poll_frame(cx)),
            Source::Stream(body) => std::task::ready!(Pin::new(body).poll_frame(cx))
                .map(|frame| frame.map_err(Into::into)),
            Source::Platform(body) => std::task::ready!(Pin::new(body).poll_frame(cx))
                .map(|frame| frame.map_err(Into::into)),
        };
        if let (Some(Ok(frame)), Some(trace)) = (&frame, &mut this.trace)
            && let Some(data) = frame.data_ref()
        {
            trace.sent(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Whole(..) => false,
            Source::Backend(body) => body.is_end_stream(),
            Source::Stream(body) => body.is_end_stream(),
            Source::Platform(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes, Announced::Length) => SizeHint::with_exact(bytes.len() as u64),
            Source::Whole(_, Announced::Nothing) => SizeHint::new(),
            Source::Backend(body) => body.size_hint(),
            Source::Stream(body) => body.size_hint(),
            Source::Platform(body) => body.size_hint(),
        }
    }
}
