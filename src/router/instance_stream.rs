//! A connection to an instance, read and written by hyper, with two features that hyper lacks.
//!
//! - **Interim responses** (1xx except 101) are extracted from the stream and passed to the task
//!   that waits for the response. hyper has a callback for them, which costs four allocations per
//!   request; here the first read of a response goes through a per-thread buffer, where its first
//!   bytes are checked.
//! - **Replay**: a response head beyond hyper's default limits is replayed to a second HTTP state
//!   with wider limits. hyper reads a response only after it sent a request, so the request of that
//!   state is discarded here.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The maximum size of a response head, the limit of Go's client.
pub(crate) const MAX_RESPONSE_HEAD: u32 = 10 << 20;

/// The size of the per-thread buffer.
const SCRATCH_SIZE: usize = 16 << 10;
/// The maximum head of an interim response; hyper skips longer ones.
const MAX_INTERIM_HEAD: usize = 64 << 10;
/// The maximum number of pending interim responses; more are dropped.
const MAX_PENDING_INTERIM: usize = 64;

/// The buffer of one thread.
#[derive(Clone)]
pub(crate) struct Scratch(Rc<RefCell<Box<[u8]>>>);

impl Default for Scratch {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![0; SCRATCH_SIZE].into())))
    }
}

/// An interim response.
#[derive(Debug)]
pub(crate) struct InterimHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// State of a connection outside hyper.
#[derive(Default)]
pub(crate) struct Inbound {
    /// A response head is expected next.
    expecting: Cell<bool>,
    /// The last write is pending: the instance does not read.
    blocked: Cell<bool>,
    has_interim: Cell<bool>,
    interim: RefCell<Vec<InterimHead>>,
}

impl Inbound {
    /// A request is about to be sent.
    pub(crate) fn expect(&self) {
        self.expecting.set(true);
    }

    /// Whether everything hyper wrote was sent.
    pub(crate) fn is_written(&self) -> bool {
        !self.blocked.get()
    }

    /// Takes the received interim responses.
    pub(crate) fn take_interim(&self) -> Vec<InterimHead> {
        if self.has_interim.replace(false) {
            return self.interim.take();
        }
        Vec::new()
    }

    fn push(&self, head: InterimHead) {
        let mut interim = self.interim.borrow_mut();
        if interim.len() < MAX_PENDING_INTERIM {
            interim.push(head);
            self.has_interim.set(true);
        }
    }
}

/// The progress of a second HTTP state, whose request is discarded before it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replay {
    Off,
    /// Its request was not written yet.
    Waiting,
    /// Its request was discarded.
    Discarded,
}

pub(crate) struct InstanceStream {
    io: TokioIo<TcpStream>,
    inbound: Rc<Inbound>,
    scratch: Scratch,
    /// Read from the socket, not yet by hyper.
    buffered: BytesMut,
    replay: Replay,
}

impl InstanceStream {
    pub(crate) fn new(socket: TcpStream, inbound: Rc<Inbound>, scratch: Scratch) -> Self {
        Self {
            io: TokioIo::new(socket),
            inbound,
            scratch,
            buffered: BytesMut::new(),
            replay: Replay::Off,
        }
    }

    /// Prepares for a second HTTP state that reads `bytes` again.
    pub(crate) fn replaying(mut self, bytes: Bytes) -> Self {
        let mut buffered = BytesMut::from(bytes);
        buffered.unsplit(std::mem::take(&mut self.buffered));
        self.buffered = buffered;
        self.replay = Replay::Waiting;
        self
    }

    fn fill(&mut self, buf: &mut ReadBufCursor<'_>) {
        let count = self.buffered.len().min(buf.remaining());
        buf.put_slice(&self.buffered[..count]);
        self.buffered.advance(count);
        if self.buffered.is_empty() {
            // Frees the memory.
            self.buffered = BytesMut::new();
        }
    }

    /// Reads while a response head is expected.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let scratch = self.scratch.clone();
        let mut scratch = scratch.0.borrow_mut();
        loop {
            let room = scratch.len().min(buf.remaining());
            let mut read = ReadBuf::new(&mut scratch[..room]);
            ready!(Pin::new(&mut self.io).poll_read(cx, read.unfilled()))?;
            let bytes = read.filled();
            if self.buffered.is_empty() && !may_be_interim(bytes) {
                self.inbound.expecting.set(false);
                buf.put_slice(bytes);
                return Poll::Ready(Ok(()));
            }
            self.buffered.extend_from_slice(bytes);
            if bytes.is_empty() || !self.take_interim() {
                self.inbound.expecting.set(false);
                self.fill(buf);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Removes complete interim responses from the front; false if the remaining bytes are for
    /// hyper.
    fn take_interim(&mut self) -> bool {
        loop {
            if !may_be_interim(&self.buffered) {
                return false;
            }
            let Some(length) = head_length(&self.buffered) else {
                return self.buffered.len() <= MAX_INTERIM_HEAD;
            };
            let Some(head) = parse(&self.buffered[..length]) else {
                return false;
            };
            self.inbound.push(head);
            self.buffered.advance(length);
            if self.buffered.is_empty() {
                self.buffered = BytesMut::new();
                return true;
            }
        }
    }
}

/// Whether these first bytes of a head are, or can become, `HTTP/1.x 1..` other than 101.
fn may_be_interim(bytes: &[u8]) -> bool {
    const LIKE: &[u8; 10] = b"HTTP/1.? 1";
    let like = bytes
        .iter()
        .zip(LIKE)
        .all(|(byte, like)| byte == like || *like == b'?');
    like && !bytes.is_empty() && bytes.get(9..12) != Some(b"101")
}

/// The length of a head including its empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let next = from + at + 1;
        match &bytes[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

fn parse(head: &[u8]) -> Option<InterimHead> {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = StatusCode::from_bytes(lines.next()?.get(9..12)?).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(InterimHead { status, headers })
}

impl Read for InstanceStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.replay {
            Replay::Off => {}
            Replay::Waiting => {
                // Polled again after the request is written, which is next.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Replay::Discarded => self.replay = Replay::Off,
        }
        if self.inbound.expecting.get() {
            return self.poll_head(cx, &mut buf);
        }
        if !self.buffered.is_empty() {
            self.fill(&mut buf);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl InstanceStream {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.inbound.blocked.set(result.is_pending());
        result
    }
}

impl Write for InstanceStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replay != Replay::Off {
            self.replay = Replay::Discarded;
            return Poll::Ready(Ok(buf.len()));
        }
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.replay != Replay::Off {
            self.replay = Replay::Discarded;
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// hyper closes its side when it cannot read a head, which must not stop the instance: the head
    /// may be read again. Dropping the connection closes it; tunnels have connections of their own.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interim_heads_are_inspected() {
        for bytes in [&b"H"[..], b"HTTP/1.", b"HTTP/1.0 1", b"HTTP/1.1 103 E"] {
            assert!(may_be_interim(bytes), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200",
            b"HTTP/2",
            b"HTTP/1.1 101 S",
            b"x",
            b"\r\n",
        ] {
            assert!(!may_be_interim(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        assert_eq!(head_length(b"HTTP/1.1 103 E\r\na: b\r\n\r\nmore"), Some(24));
        assert_eq!(head_length(b"HTTP/1.1 103 E\n\nmore"), Some(16));
        assert_eq!(head_length(b"HTTP/1.1 103 E\r\na: b\r\n"), None);
    }

    #[test]
    fn an_interim_head_is_parsed_strictly() {
        let head = parse(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink:  </b> \r\n\r\n");
        let head = head.unwrap();
        assert_eq!(head.status, 103);
        let links: Vec<_> = head.headers.get_all("link").iter().collect();
        assert_eq!(links, ["</a>", "</b>"]);
        for bad in [
            "HTTP/1.1 103 E\r\nno colon\r\n\r\n",
            "HTTP/1.1 103 E\r\na: b\r\n folded\r\n\r\n",
            "HTTP/1.1 103 E\r\na : b\r\n\r\n",
            "HTTP/1.1 1\r\n\r\n",
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
