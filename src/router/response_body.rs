//! Response bodies for clients: counted and streamed, never buffered.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::net::server::BoxError;

use super::backend_body::{BackendBody, ContentLength, TIMED_OUT};
use super::trace::Trace;

/// A response body for the client; its end is the end of the exchange.
pub struct ResponseBody {
    source: Source,
    trace: Option<Box<Trace>>,
}

enum Source {
    Empty,
    Whole(Bytes, ContentLength),
    Backend(Box<BackendBody>),
    Stream(Incoming, Pin<Box<Sleep>>),
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
            Source::Whole(bytes, ContentLength::Known)
        };
        Self { source, trace }
    }

    /// A completely received body; keeps whether its length is sent.
    pub(crate) fn received(bytes: Bytes, content_length: ContentLength, trace: Box<Trace>) -> Self {
        let source = match content_length {
            ContentLength::Known if bytes.is_empty() => Source::Empty,
            content_length => Source::Whole(bytes, content_length),
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

    /// A body that has to be complete at the deadline.
    pub(crate) fn stream(body: Incoming, deadline: Instant, trace: Box<Trace>) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        Self {
            source: Source::Stream(body, deadline),
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
            Source::Stream(body, deadline) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(Into::into)),
                Poll::Pending => {
                    std::task::ready!(deadline.as_mut().poll(cx));
                    Some(Err(TIMED_OUT.into()))
                }
            },
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
            Source::Stream(body, _) => body.is_end_stream(),
            Source::Platform(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes, ContentLength::Known) => SizeHint::with_exact(bytes.len() as u64),
            Source::Whole(_, ContentLength::Unknown) => SizeHint::new(),
            Source::Backend(body) => body.size_hint(),
            Source::Stream(body, _) => body.size_hint(),
            Source::Platform(body) => body.size_hint(),
        }
    }
}
