//! The blocking work of the store, in one queue per order of duration.

use std::io;
use std::time::Duration;

use tokio::io::AsyncRead;

use crate::base::{Bounds, QueueError, WorkQueue};

use super::draft::Temporary;
use super::pipe::{self, PipeReader, PipeWriter};
use super::spool::{SpoolWriter, spool};
use super::{BlobError, Blobs};

/// Creating, moving, removing and listing files: milliseconds, bound by the disk.
const FILES: Bounds = Bounds {
    at_once: 8,
    waiting: 1024,
    timeout: Duration::from_secs(60),
};

/// Reading and writing whole archives: seconds of CPU time each.
const ARCHIVES: Bounds = Bounds {
    at_once: 4,
    waiting: 256,
    timeout: Duration::from_secs(300),
};

/// Streaming archives: as long as the other end takes.
const STREAMS: Bounds = Bounds {
    at_once: 16,
    waiting: 256,
    timeout: Duration::from_secs(300),
};

pub(super) struct Queues {
    files: WorkQueue,
    archives: WorkQueue,
    streams: WorkQueue,
}

impl Queues {
    pub(super) fn new() -> Self {
        Self {
            files: WorkQueue::new("the blob store", FILES),
            archives: WorkQueue::new("the reading of archives", ARCHIVES),
            streams: WorkQueue::new("the streaming of archives", STREAMS),
        }
    }
}

impl Blobs {
    /// Runs short file operations on a blocking thread.
    pub(super) async fn with_files<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<BlobError> + Send + 'static,
    {
        self.0
            .queues
            .files
            .run(work)
            .await
            .map_err(BlobError::from)?
    }

    /// Runs work on a whole archive on a blocking thread.
    pub(super) async fn with_archive<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<BlobError> + Send + 'static,
    {
        let done = self.0.queues.archives.run(work).await;
        done.map_err(BlobError::from)?
    }

    /// Runs `work` on a blocking thread with the bytes of `reader`.
    ///
    /// What `work` does not read is not read from `reader` either.
    pub async fn consume<T, F>(
        &self,
        reader: impl AsyncRead + Send,
        work: F,
    ) -> Result<T, BlobError>
    where
        F: FnOnce(PipeReader) -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(pipe::consume(&self.0.queues.streams, reader, work).await?)
    }

    /// Runs `work` on a blocking thread and returns its output as a stream. `work` starts at the
    /// first read of the stream; after the stream is dropped, its next write fails.
    pub fn produce<F>(&self, work: F) -> impl AsyncRead + Send + Unpin + 'static
    where
        F: FnOnce(&mut PipeWriter) -> io::Result<()> + Send + 'static,
    {
        pipe::produce(self.0.queues.streams.clone(), work)
    }
}

impl Blobs {
    /// Runs `work` on a blocking thread and returns its output as a stream, buffered in a temporary
    /// file: `work` never waits for the reader.
    pub(super) async fn spool<F>(
        &self,
        work: F,
    ) -> Result<impl AsyncRead + Send + Unpin + 'static + use<F>, BlobError>
    where
        F: FnOnce(&mut SpoolWriter) -> io::Result<()> + Send + 'static,
    {
        let folder = self.temporary_folder();
        let created = self.with_files(move || Temporary::create(&folder));
        let (written, temporary) = created.await?;
        let slot = self.0.queues.archives.enter().await?;
        spool(written, temporary, slot, work)
    }
}

impl From<QueueError> for BlobError {
    fn from(cause: QueueError) -> Self {
        match cause {
            QueueError::Interrupted { cause, .. } => Self::Interrupted(cause),
            QueueError::Full { .. } | QueueError::TimedOut { .. } => Self::Overloaded(cause),
        }
    }
}
