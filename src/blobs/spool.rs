//! Archives created while a client reads them, buffered in a temporary file: the writer never waits
//! for the client, so that a slow client holds no thread.
//!
//! The file is unlinked from the start and disappears with the reader. After the reader is dropped,
//! the next write fails.

use std::fs::File;
use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;

use crate::base::Slot;

use super::BlobError;
use super::draft::Temporary;
use super::pipe::aborted;

/// The read size.
const CHUNK: u64 = 128 * 1024;

/// Runs `work` in its slot and returns its output as a stream, through a temporary file.
pub(super) fn spool<F>(
    written: File,
    temporary: Temporary,
    slot: Slot,
    work: F,
) -> Result<impl AsyncRead + Send + Unpin + 'static + use<F>, BlobError>
where
    F: FnOnce(&mut SpoolWriter) -> io::Result<()> + Send + 'static,
{
    let read = temporary.open()?;
    drop(temporary);
    let (sender, progress) = watch::channel(0);
    let worker = slot.start(move || {
        work(&mut SpoolWriter {
            file: written,
            written: sender,
        })
    });
    let reader = Reader {
        file: tokio::fs::File::from_std(read),
        read: 0,
        progress,
        worker,
    };
    Ok(StreamReader::new(Box::pin(reader.chunks())))
}

/// The writing end.
pub(super) struct SpoolWriter {
    file: File,
    written: watch::Sender<u64>,
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = self.file.write(bytes)?;
        self.written.send_modify(|written| *written += count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Reader {
    file: tokio::fs::File,
    read: u64,
    progress: watch::Receiver<u64>,
    worker: AbortOnDropHandle<io::Result<()>>,
}

impl Reader {
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(Some(self), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(chunk) if chunk.is_empty() => None,
                Ok(chunk) => Some((Ok(chunk), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The next bytes; none at the end, which requires that the work succeeded.
    async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            let ready = *self.progress.borrow_and_update() - self.read;
            if ready > 0 {
                let mut chunk =
                    BytesMut::with_capacity(usize::try_from(ready.min(CHUNK)).unwrap_or(0));
                let count = (&mut self.file)
                    .take(ready.min(CHUNK))
                    .read_buf(&mut chunk)
                    .await?;
                self.read += count as u64;
                return if count == 0 {
                    Err(aborted())
                } else {
                    Ok(chunk.freeze())
                };
            }
            if self.progress.changed().await.is_err() {
                // The work has ended, and all its output has been read.
                (&mut self.worker).await.map_err(io::Error::other)??;
                return Ok(Bytes::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::base::{Bounds, WorkQueue};

    async fn spool_in<F>(
        folder: &tempfile::TempDir,
        work: F,
    ) -> impl AsyncRead + Send + Unpin + 'static + use<F>
    where
        F: FnOnce(&mut SpoolWriter) -> io::Result<()> + Send + 'static,
    {
        let bounds = Bounds {
            at_once: 1,
            waiting: 1,
            timeout: std::time::Duration::from_secs(30),
        };
        let slot = WorkQueue::new("archives", bounds).enter().await.unwrap();
        let (written, temporary) = Temporary::create(folder.path()).unwrap();
        spool(written, temporary, slot, work).unwrap()
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, 127 * 1024, 1_000_000] {
            let sent: Vec<u8> = (0..=250_u8).cycle().take(length).collect();
            let source = sent.clone();
            let mut reader = spool_in(&folder, move |writer| {
                source
                    .chunks(10_000)
                    .try_for_each(|part| writer.write_all(part))
            })
            .await;
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            assert!(got == sent, "{length}");
        }
    }

    #[tokio::test]
    async fn work_that_fails_or_panics_is_an_error_and_not_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut failing = spool_in(&folder, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("broken"))
        })
        .await;
        let error = failing.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "broken");
        let mut dying = spool_in(&folder, |_| panic!("dies")).await;
        assert!(dying.read_to_end(&mut Vec::new()).await.is_err());
    }

    #[tokio::test]
    async fn work_completes_without_reads_and_fails_when_the_reader_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (ended, end) = channel();
        let reader = spool_in(&folder, move |writer| {
            writer.write_all(&vec![7; 3_000_000])?;
            ended.send(()).map_err(io::Error::other)
        })
        .await;
        tokio::task::spawn_blocking(move || end.recv())
            .await
            .unwrap()
            .unwrap();
        drop(reader);

        let (started, begin) = channel();
        let (proceed, wait) = channel();
        let (result_sender, result) = channel();
        let reader = spool_in(&folder, move |writer| {
            started.send(()).map_err(io::Error::other)?;
            wait.recv().map_err(io::Error::other)?;
            result_sender
                .send(writer.write(b"x").map_err(|error| error.kind()))
                .map_err(io::Error::other)
        })
        .await;
        // Work that has not started when its reader is dropped never starts.
        tokio::task::spawn_blocking(move || begin.recv())
            .await
            .unwrap()
            .unwrap();
        drop(reader);
        proceed.send(()).unwrap();
        let written = tokio::task::spawn_blocking(move || result.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(written, Err(io::ErrorKind::BrokenPipe));
    }
}
