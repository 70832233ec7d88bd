//! Bridges between async streams and synchronous readers and writers (tar, zip, gzip), with a
//! bounded number of chunks in flight.
//!
//! Both hold a blocking thread until the stream ends, so the other end must be on this machine; for
//! clients there are [`super::Blobs::put`] and [`super::spool`].
//!
//! A stream that is dropped early is an error on the other side, never an end of file: an aborted
//! upload must not look complete.

use std::io::{self, Read, Write};
use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, TryFutureExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;

use crate::base::{QueueError, WorkQueue};

/// The maximum size of a chunk; with [`CHUNKS`], bounds the memory of a stream.
const CHUNK: usize = 128 * 1024;
const CHUNKS: usize = 4;

/// `Ok` with no bytes is the end; a channel closed without it is an aborted stream.
type Message = io::Result<Bytes>;

/// Runs `work` on a blocking thread with the bytes of `reader`.
///
/// What `work` does not read is not read from `reader` either.
pub(super) async fn consume<T, F>(
    streams: &WorkQueue,
    reader: impl AsyncRead + Send,
    work: F,
) -> Result<T, QueueError>
where
    F: FnOnce(PipeReader) -> T + Send + 'static,
    T: Send + 'static,
{
    let slot = streams.enter().await?;
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let worker = slot.run(move || work(PipeReader::new(receiver)));
    let feeding = async {
        feed(reader, &sender).await;
        drop(sender);
    };
    futures_util::future::join(worker, feeding).await.0
}

/// Runs `work` on a blocking thread and returns its output as a stream. After the stream is
/// dropped, the next write of `work` fails. `work` starts at the first read of the stream.
pub(super) fn produce<F>(streams: WorkQueue, work: F) -> impl AsyncRead + Send + Unpin + 'static
where
    F: FnOnce(&mut PipeWriter) -> io::Result<()> + Send + 'static,
{
    let chunks = async move {
        let slot = streams.enter().await.map_err(io::Error::other)?;
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let worker = slot.start(move || write(work, sender));
        Ok(messages(receiver, worker))
    };
    StreamReader::new(Box::pin(chunks.try_flatten_stream()))
}

fn write<F>(work: F, sender: mpsc::Sender<Message>)
where
    F: FnOnce(&mut PipeWriter) -> io::Result<()>,
{
    let mut writer = PipeWriter {
        sender,
        chunk: BytesMut::with_capacity(CHUNK),
    };
    let last = match work(&mut writer).and_then(|()| writer.flush()) {
        Ok(()) => Ok(Bytes::new()),
        Err(error) => Err(error),
    };
    // The reader may be gone: then the result is ignored.
    writer.sender.blocking_send(last).ok();
}

/// The chunks until the end message; without one, an error in its place.
fn messages(
    receiver: mpsc::Receiver<Message>,
    worker: AbortOnDropHandle<()>,
) -> impl Stream<Item = Message> + Send {
    stream::unfold(Some((receiver, worker)), |open| async move {
        let (mut receiver, worker) = open?;
        match receiver.recv().await {
            Some(Ok(chunk)) if chunk.is_empty() => None,
            Some(Ok(chunk)) => Some((Ok(chunk), Some((receiver, worker)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(aborted()), None)),
        }
    })
}

pub(super) fn aborted() -> io::Error {
    let text = "the stream was aborted before its end";
    io::Error::new(io::ErrorKind::ConnectionAborted, text)
}

async fn feed(reader: impl AsyncRead + Send, sender: &mpsc::Sender<Message>) {
    let mut reader = pin!(reader);
    loop {
        let message = next_chunk(&mut reader).await;
        let last = message.as_ref().map_or(true, Bytes::is_empty);
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

/// The next bytes, at least half a chunk unless they are the last; none at the end.
pub(super) async fn next_chunk(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(CHUNK);
    while chunk.len() < CHUNK / 2 {
        if reader.read_buf(&mut chunk).await? == 0 {
            break;
        }
    }
    Ok(chunk.freeze())
}

/// The reading end on a blocking thread.
pub struct PipeReader {
    receiver: mpsc::Receiver<Message>,
    chunk: Bytes,
    ended: bool,
}

impl PipeReader {
    fn new(receiver: mpsc::Receiver<Message>) -> Self {
        Self {
            receiver,
            chunk: Bytes::new(),
            ended: false,
        }
    }
}

impl Read for PipeReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !self.ended {
            self.chunk = self
                .receiver
                .blocking_recv()
                .unwrap_or_else(|| Err(aborted()))?;
            self.ended = self.chunk.is_empty();
        }
        let count = into.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

/// The writing end on a blocking thread.
pub struct PipeWriter {
    sender: mpsc::Sender<Message>,
    chunk: BytesMut,
}

impl PipeWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK));
        self.sender
            .blocking_send(Ok(full.freeze()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> WorkQueue {
        let timeout = std::time::Duration::from_secs(30);
        let bounds = crate::base::Bounds {
            at_once: 1,
            waiting: 1,
            timeout,
        };
        WorkQueue::new("streams", bounds)
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..=250_u8).cycle().take(length).collect()
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_unchanged() {
        let streams = streams();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7] {
            let sent = pattern(length);
            let source = sent.clone();
            let mut stream = produce(streams.clone(), move |writer| writer.write_all(&source));
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.expect("stream");
            assert!(read == sent, "produced {length}");
            let got = consume(&streams, io::Cursor::new(sent.clone()), |mut reader| {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).map(|_| all)
            });
            let got = got.await.expect("worker").expect("bytes");
            assert!(got == sent, "consumed {length}");
        }
    }

    #[tokio::test]
    async fn a_failing_source_is_an_error_and_not_an_end() {
        let mut stream = produce(streams(), |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("broken"))
        });
        let mut read = Vec::new();
        assert!(stream.read_to_end(&mut read).await.is_err());

        let broken = produce(streams(), |_| Err(io::Error::other("broken")));
        let streams = streams();
        let got = consume(&streams, broken, |mut reader| {
            reader.read_to_end(&mut Vec::new())
        });
        assert!(got.await.expect("worker").is_err());
    }

    #[tokio::test]
    async fn a_dropped_stream_releases_its_slot() {
        let streams = streams();
        let endless = |writer: &mut PipeWriter| loop {
            writer.write_all(&vec![0; CHUNK])?;
        };
        for _ in 0..3 {
            let mut stream = produce(streams.clone(), endless);
            stream.read_u8().await.expect("a byte");
            drop(stream);
        }
        let (mut client, server) = tokio::io::duplex(64);
        let mut read = Box::pin(consume(&streams, server, |mut reader| {
            reader.read_to_end(&mut Vec::new())
        }));
        // The reader is dropped half-way.
        tokio::io::AsyncWriteExt::write_all(&mut client, b"half")
            .await
            .expect("room");
        assert!(futures_util::poll!(read.as_mut()).is_pending());
        drop(read);
        let slot = streams.enter().await;
        slot.expect("the slot was released");
    }

    #[test]
    fn an_aborted_stream_is_an_error() {
        let (sender, receiver) = mpsc::channel(2);
        sender
            .blocking_send(Ok(Bytes::from_static(b"half")))
            .expect("room");
        drop(sender);
        let mut all = Vec::new();
        let error = PipeReader::new(receiver).read_to_end(&mut all);
        assert_eq!(
            error.expect_err("aborted").kind(),
            io::ErrorKind::ConnectionAborted
        );
    }
}
