//! Timeouts and streams of calls.

use std::io;
use std::time::Duration;

use bollard::errors::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio_util::io::StreamReader;

use super::step::Step;
use super::{IDLE, translate};
use crate::docker::{ByteReader, DockerError, Progress};

/// Applies a timeout to a call.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, DockerError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(translate::error),
        Err(_) => Err(DockerError::Unreachable(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}

/// Treats a missing object as already stopped or removed.
pub(super) fn ignore_missing(result: Result<(), DockerError>) -> Result<(), DockerError> {
    match result {
        Err(DockerError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// A reader of a download; an error of the request is returned now, not with the first read.
pub(super) async fn reader(
    stream: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
    first: Duration,
) -> Result<ByteReader, DockerError> {
    let mut stream = Box::pin(stream);
    let head = match tokio::time::timeout(first, stream.next()).await {
        Ok(Some(Ok(bytes))) => bytes,
        Ok(Some(Err(error))) => return Err(translate::error(error)),
        Ok(None) => Bytes::new(),
        Err(_) => return Err(DockerError::Unreachable("a download did not start".into())),
    };
    let rest = futures_util::stream::unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        match tokio::time::timeout(IDLE, stream.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(stream))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(translate::error(error))), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    let all = futures_util::stream::once(async { Ok(head) }).chain(rest);
    Ok(Box::pin(StreamReader::new(Box::pin(all))))
}

/// Follows a build, an import or a pull to its end; fails when nothing arrives for `silence`.
pub(super) async fn drain_texts(
    steps: impl Stream<Item = Result<Step, Error>>,
    progress: Progress,
    silence: Duration,
) -> Result<(), DockerError> {
    let mut steps = std::pin::pin!(steps);
    loop {
        let next = tokio::time::timeout(silence, steps.next()).await;
        let next = next.map_err(|_| {
            let seconds = silence.as_secs();
            DockerError::Unreachable(format!("no progress for {seconds} s"))
        })?;
        let Some(step) = next else { return Ok(()) };
        match step.map_err(translate::error)? {
            // The receiver may be gone.
            Step::Text(text) => drop(progress.send(text)),
            Step::Fault(text) => return Err(translate::fault(text)),
            Step::Silent => {}
        }
    }
}
