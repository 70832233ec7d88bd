//! A client's connection as hyper reads and writes it, clear text or TLS, noting what happens.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What happened on a connection since somebody last looked.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Bytes came in.
    pub(super) read: AtomicBool,
    /// Bytes wait because the client does not take them.
    pub(super) blocked: AtomicBool,
}

/// One client's connection.
#[derive(Debug)]
pub struct ClientStream {
    transport: Transport,
    /// Read already, to be read again.
    ahead: Bytes,
    activity: Arc<Activity>,
}

#[derive(Debug)]
enum Transport {
    Plain(TokioIo<TcpStream>),
    Tls(TokioIo<Box<TlsStream<TcpStream>>>),
}

impl ClientStream {
    pub(super) fn plain(socket: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            transport: Transport::Plain(TokioIo::new(socket)),
            ahead: Bytes::new(),
            activity,
        }
    }

    pub(super) fn tls(stream: Box<TlsStream<TcpStream>>, activity: Arc<Activity>) -> Self {
        Self {
            transport: Transport::Tls(TokioIo::new(stream)),
            ahead: Bytes::new(),
            activity,
        }
    }

    /// Puts bytes back that were read and not used.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    /// Ready when there may be something to read.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.transport {
            Transport::Plain(stream) => stream.inner().poll_read_ready(cx),
            Transport::Tls(stream) => stream.inner().get_ref().0.poll_read_ready(cx),
        }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let blocked = result.is_pending();
        if self.activity.blocked.load(Ordering::Relaxed) != blocked {
            self.activity.blocked.store(blocked, Ordering::Relaxed);
        }
        result
    }
}

impl hyper::rt::Read for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        ready!(result)?;
        self.activity.read.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => {
                let result = Pin::new(stream).poll_flush(cx);
                self.activity
                    .blocked
                    .store(result.is_pending(), Ordering::Relaxed);
                result
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
