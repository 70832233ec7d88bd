//! A client's connection as hyper reads and writes it, clear text or TLS, recording activity.
//!
//! The router's own bytes are written between two of hyper's messages ([`super::interim`]): a
//! message lasts from hyper's first write to the flush after its buffer is empty.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;

/// A client's socket that records whether writes make progress.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    activity: Arc<Activity>,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, activity: Arc<Activity>) -> Self {
        Self { tcp, activity }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let flag = if result.is_pending() {
            &self.activity.blocked
        } else {
            if self.activity.blocked.load(Ordering::Relaxed) {
                self.activity.blocked.store(false, Ordering::Relaxed);
            }
            &self.activity.wrote
        };
        if !flag.load(Ordering::Relaxed) {
            flag.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// One client's connection.
#[derive(Debug)]
pub struct ClientStream {
    transport: Transport,
    /// Bytes put back, to be read again.
    ahead: Bytes,
    /// Own bytes, to be written before hyper's next bytes.
    own: Bytes,
    /// hyper is in the middle of a message.
    writing: bool,
}

#[derive(Debug)]
enum Transport {
    Plain(TokioIo<Socket>),
    Tls(TokioIo<Box<TlsStream<Socket>>>),
}

impl ClientStream {
    pub(super) fn plain(socket: Socket) -> Self {
        Self::over(Transport::Plain(TokioIo::new(socket)))
    }

    pub(super) fn tls(stream: Box<TlsStream<Socket>>) -> Self {
        Self::over(Transport::Tls(TokioIo::new(stream)))
    }

    fn over(transport: Transport) -> Self {
        Self {
            transport,
            ahead: Bytes::new(),
            own: Bytes::new(),
            writing: false,
        }
    }

    /// Puts back bytes that were read and not used; they are read first.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.ahead = if self.ahead.is_empty() {
            bytes
        } else {
            [bytes, std::mem::take(&mut self.ahead)].concat().into()
        };
    }

    /// Ready when there is something to read, end or error included; consumes nothing.
    ///
    /// With TLS the socket alone does not show this: a request that arrived together with the end
    /// of the handshake, or after another one, is already decrypted while the socket has no data.
    /// And half a record makes the socket readable without anything to read.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let stream = match &mut self.transport {
            Transport::Plain(stream) => return stream.inner().tcp.poll_read_ready(cx),
            Transport::Tls(stream) => stream.inner_mut(),
        };
        if let Poll::Ready(read) = Pin::new(&mut **stream).poll_fill_buf(cx) {
            return Poll::Ready(read.map(|_| ()));
        }
        // Session tickets and responses to key updates: only this sends them while hyper is idle.
        if stream.get_ref().1.wants_write()
            && let Poll::Ready(Err(error)) = Pin::new(&mut **stream).poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }

    fn activity(&self) -> &Activity {
        let socket = match &self.transport {
            Transport::Plain(stream) => stream.inner(),
            Transport::Tls(stream) => stream.inner().get_ref().0,
        };
        &socket.activity
    }

    /// Replaces the held bytes, which are written next.
    pub(super) fn replace_held(&mut self, bytes: Bytes) {
        self.own = bytes;
    }

    fn poll_transport_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Writes the own bytes that precede hyper's next bytes, if any.
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.own.is_empty() {
            if self.writing || !self.activity().interim.any() {
                return Poll::Ready(Ok(()));
            }
            self.own = self.activity().interim.take();
        }
        while !self.own.is_empty() {
            let own = self.own.clone();
            let count = ready!(self.poll_transport_write(cx, &own))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Before hyper writes `bytes`: true when they are held back instead.
    fn poll_before_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<bool>> {
        let refusal = &self.activity().refusal;
        if refusal.is_held() {
            // hyper continues to write, so it was no rejection.
            refusal.release();
        }
        ready!(self.poll_own(cx))?;
        let held = self.activity().refusal.holds(bytes);
        if held {
            self.own = Bytes::copy_from_slice(bytes);
        } else {
            self.writing = true;
        }
        Poll::Ready(Ok(held))
    }
}

impl Read for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let result = match &mut self.transport {
                Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
                Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            };
            ready!(result)?;
        } else {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
        }
        self.activity().read.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl Write for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_before_write(cx, buf))? {
            return Poll::Ready(Ok(buf.len()));
        }
        self.poll_transport_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let only: &[u8] = match bufs {
            [only] => only,
            _ => &[],
        };
        if ready!(self.poll_before_write(cx, only))? {
            return Poll::Ready(Ok(only.len()));
        }
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity().refusal.is_held() {
            return Poll::Ready(Ok(()));
        }
        // hyper flushes when its buffer is empty.
        self.writing = false;
        ready!(self.poll_own(cx))?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity().refusal.is_held() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
