//! Follows one container from its cursors to its end: follow, then read once more after the end.
//!
//! Lines that a follow missed (a stopped stream, a rotated file, the last lines of an exited
//! container) come with the next reading, because every reading starts at the cursors and drops
//! older lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use super::cursor::{Cursor, Piece, Track};
use super::envelope::{LogStream, Message, Tags};
use super::inbox::Entry;
use super::ingest::Ingest;
use super::rate_limit::{RateLimit, Verdict};
use super::speakers::Speakers;
use super::{LABEL_RATE_LIMIT, split};
use crate::base::Backoff;
use crate::base::Timestamp;
use crate::docker::{ContainerState, DockerError, Labels, LogFrame, LogReading};

/// The maximum number of frames per batch.
const BATCH: usize = 128;
/// A follow that is silent for this long is checked against a plain reading, then less and less
/// often.
const CHECKS: Backoff = Backoff {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(60),
};
const RETRIES: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};
const SECOND: i64 = 1_000_000_000;
/// The two outputs get their timestamps before they are queued for the daemon's log file, so they
/// may be slightly out of order; a reading starts at most this long before the newest cursor.
/// Otherwise a container with one silent output would be read again from the start.
const MAX_SKEW: i64 = 60 * SECOND;

/// Counts how often an instance exceeded its log rate limit.
const EXCEEDED: &str = "AppInstanceExceededLogRateLimitCount";

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The container exited at this time, and all its output is stored.
    Drained(Timestamp),
    /// The container is gone, or was not started.
    Gone,
}

/// Where following a container begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursors {
    pub(super) out: Cursor,
    pub(super) err: Cursor,
}

/// Follows one container.
pub(super) struct Follower {
    ingest: Ingest,
    id: Arc<str>,
    speakers: Speakers,
    out: Track,
    err: Track,
    /// The cursors last put into the inbox.
    saved: [Cursor; 2],
    limit: RateLimit,
    /// How many times the limit was exceeded.
    exceeded: u64,
    received: Arc<AtomicU64>,
}

impl Follower {
    pub(super) fn new(
        ingest: Ingest,
        id: Arc<str>,
        labels: &Labels,
        cursors: Cursors,
        received: Arc<AtomicU64>,
    ) -> Self {
        let limit = labels.get(LABEL_RATE_LIMIT);
        let bytes_per_second = limit.and_then(|text| text.parse().ok()).unwrap_or(-1);
        let speakers = Speakers::of(labels);
        let marked = speakers.are_several();
        Self {
            ingest,
            id,
            speakers,
            out: Track::new(cursors.out, marked),
            err: Track::new(cursors.err, marked),
            saved: [cursors.out, cursors.err],
            limit: RateLimit::new(bytes_per_second),
            exceeded: 0,
            received,
        }
    }

    /// Runs until the container exited and everything is stored, or it is gone.
    pub(super) async fn run(mut self) -> End {
        let mut retries = RETRIES.pauses();
        loop {
            let state = self.ingest.engine().inspect(&self.id).await;
            let step = match state.map(|found| found.map(|container| container.state)) {
                Ok(None | Some(ContainerState::Created)) => return End::Gone,
                Ok(Some(ContainerState::Running { .. })) => self.tail().await,
                Ok(Some(ContainerState::Exited { at, .. })) => match self.read_to_end().await {
                    Ok(()) => return End::Drained(at),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match step {
                Ok(true) => retries.reset(),
                Ok(false) => {}
                Err(DockerError::NotFound(_)) => return End::Gone,
                Err(error) => {
                    tracing::debug!(%error, container = %self.id, "reading container logs failed; retrying");
                }
            }
            tokio::time::sleep(retries.pause()).await;
        }
    }

    /// Follows until the stream ends or stalls; returns whether it received anything.
    async fn tail(&mut self) -> Result<bool, DockerError> {
        let engine = self.ingest.engine().clone();
        let frames = engine
            .logs(&self.id, self.since(), LogReading::Follow)
            .await?;
        let mut frames = frames.ready_chunks(BATCH);
        self.rewind();
        let mut checks = CHECKS.pauses();
        let mut received_any = false;
        loop {
            match tokio::time::timeout(checks.pause(), frames.next()).await {
                Ok(None) => return Ok(received_any),
                Ok(Some(chunk)) => {
                    self.take(chunk).await?;
                    received_any = true;
                    checks.reset();
                }
                Err(_) if self.is_behind().await? => {
                    tracing::warn!(container = %self.id, "log stream stalled; reopening it");
                    return Ok(received_any);
                }
                Err(_) => {}
            }
        }
    }

    /// Reads the remaining output of an exited container.
    async fn read_to_end(&mut self) -> Result<(), DockerError> {
        let engine = self.ingest.engine().clone();
        let frames = engine
            .logs(&self.id, self.since(), LogReading::Once)
            .await?;
        let mut frames = frames.ready_chunks(BATCH);
        self.rewind();
        while let Some(chunk) = frames.next().await {
            self.take(chunk).await?;
        }
        let mut entries = Vec::new();
        for stream in [LogStream::Out, LogStream::Err] {
            let mut pieces = Vec::new();
            self.track(stream).finish(&mut pieces);
            self.admit(stream, pieces, &mut entries);
        }
        self.put(entries).await;
        self.ingest.logs().flush().await;
        Ok(())
    }

    /// Whether the daemon has lines that the follow missed.
    async fn is_behind(&mut self) -> Result<bool, DockerError> {
        let engine = self.ingest.engine().clone();
        let mut frames = engine
            .logs(&self.id, self.since(), LogReading::Once)
            .await?;
        while let Some(frame) = frames.next().await {
            let frame = frame?;
            if self.track(frame.stream).is_new(&frame) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Processes a chunk of frames; frames before an error are kept.
    async fn take(&mut self, chunk: Vec<Result<LogFrame, DockerError>>) -> Result<(), DockerError> {
        let mut entries = Vec::with_capacity(chunk.len());
        let mut pieces = Vec::new();
        let mut result = Ok(());
        for frame in chunk {
            match frame {
                Ok(frame) => {
                    let stream = frame.stream;
                    self.track(stream).feed(frame, &mut pieces);
                    self.admit(stream, std::mem::take(&mut pieces), &mut entries);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.put(entries).await;
        result
    }

    /// Adds the lines that pass the rate limit.
    fn admit(&mut self, stream: LogStream, pieces: Vec<Piece>, entries: &mut Vec<Entry>) {
        for piece in pieces {
            let origin = self.speakers.origin(piece.sidecar).clone();
            let entry = |message| Entry {
                source_id: self.speakers.source_id.clone(),
                at: piece.nanos,
                origin: origin.clone(),
                own: Tags::new(),
                message,
            };
            for payload in split::lines(piece.data) {
                let size = payload.len();
                self.received
                    .fetch_add(u64::try_from(size).unwrap_or(0), Ordering::Relaxed);
                match self.limit.admit(piece.nanos, size) {
                    Verdict::Pass => entries.push(entry(Message::Log { payload, stream })),
                    Verdict::Drop => {}
                    Verdict::Report => {
                        self.exceeded += 1;
                        entries.push(entry(Message::Log {
                            payload: self.limit.report().into(),
                            stream: LogStream::Out,
                        }));
                        entries.push(entry(Message::Counter {
                            name: EXCEEDED.to_owned(),
                            delta: 1,
                            total: self.exceeded,
                        }));
                    }
                }
            }
        }
    }

    /// Puts lines into the inbox together with the cursors after them.
    async fn put(&mut self, entries: Vec<Entry>) {
        let now = [self.out.cursor(), self.err.cursor()];
        let streams = [LogStream::Out, LogStream::Err].into_iter();
        let moved = streams.zip(now).zip(self.saved);
        let moved: Vec<_> = moved
            .filter(|((_, now), saved)| now != saved)
            .map(|((stream, now), _)| ((self.id.clone(), stream), now))
            .collect();
        if moved.is_empty() {
            return;
        }
        self.ingest.logs().inbox().put(entries, moved).await;
        self.saved = now;
        self.ingest.moved(&self.id, now);
    }

    /// The start of a reading, in whole seconds: some daemons have no finer filter.
    fn since(&self) -> i64 {
        let (out, err) = (self.out.cursor().nanos, self.err.cursor().nanos);
        let since = out.min(err).max(out.max(err) - MAX_SKEW);
        (since / SECOND * SECOND).max(0)
    }

    fn rewind(&mut self) {
        self.out.rewind();
        self.err.rewind();
    }

    fn track(&mut self, stream: LogStream) -> &mut Track {
        match stream {
            LogStream::Out => &mut self.out,
            LogStream::Err => &mut self.err,
        }
    }
}

impl Drop for Follower {
    /// After a panic no end is reported; the container must be followed again.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ingest.released(&self.id);
        }
    }
}
