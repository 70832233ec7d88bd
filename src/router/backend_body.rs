//! Response bodies of instances, together with their connections.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::net::server::BoxError;

use super::backend::{Http1, noop};
use super::pool::Connections;

/// Why a body that is not complete at its exchange's deadline fails.
pub(super) const TIMED_OUT: &str = "the exchange timed out";

/// A response body with its connection, which returns to the pool at the end.
pub(crate) struct BackendBody {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    incoming: Incoming,
    http: Option<Box<Http1>>,
    pool: Rc<Connections>,
    number: u64,
}

/// A response body as far as it was received together with its head.
pub(crate) enum ReceivedBody {
    /// The complete body, and whether it has a content length.
    Complete(Bytes, ContentLength),
    /// More data follows.
    Partial(BackendBody),
}

/// Whether the length of a body is known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentLength {
    Known,
    Unknown,
}

impl BackendBody {
    pub(crate) fn receive(
        mut incoming: Incoming,
        http: Box<Http1>,
        pool: Rc<Connections>,
        number: u64,
    ) -> ReceivedBody {
        let content_length = match incoming.size_hint().exact() {
            Some(_) => ContentLength::Known,
            None => ContentLength::Unknown,
        };
        let mut first = None;
        let mut ended = incoming.is_end_stream();
        if !ended && let Poll::Ready(frame) = Pin::new(&mut incoming).poll_frame(&mut noop()) {
            ended = frame.is_none() || incoming.is_end_stream();
            first = frame.map(|frame| frame.map_err(Into::into));
        }
        let mut body = Self {
            first,
            incoming,
            http: Some(http),
            pool,
            number,
        };
        if ended {
            body.release();
            match body.first.take() {
                None => return ReceivedBody::Complete(Bytes::new(), content_length),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return ReceivedBody::Complete(data, content_length),
                    Err(frame) => body.first = Some(Ok(frame)),
                },
                failed => body.first = failed,
            }
        }
        ReceivedBody::Partial(body)
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Poll::Ready(frame) = self.poll_incoming() {
            return Poll::Ready(frame);
        }
        let Some(http) = &mut self.http else {
            return Poll::Ready(None);
        };
        http.poll_connection(cx);
        if let Poll::Ready(frame) = self.poll_incoming() {
            return Poll::Ready(frame);
        }
        match &mut self.http {
            Some(http) => http
                .deadline
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(TIMED_OUT.into()))),
            None => Poll::Ready(None),
        }
    }

    fn poll_incoming(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(&mut noop());
        polled.map(|frame| match frame {
            Some(Err(error)) => {
                self.http = None;
                Some(Err(error.into()))
            }
            frame => {
                if frame.is_none() || self.incoming.is_end_stream() {
                    self.release();
                }
                frame.map(|frame| frame.map_err(Into::into))
            }
        })
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let mut hint = self.incoming.size_hint();
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok());
        let more = first
            .and_then(|frame| frame.data_ref())
            .map_or(0, |data| data.len() as u64);
        if let Some(rest) = hint.exact() {
            return SizeHint::with_exact(rest + more);
        }
        hint.set_lower(hint.lower() + more);
        hint
    }

    fn release(&mut self) {
        if let Some(http) = self.http.take() {
            self.pool.put(self.number, http);
        }
    }
}
