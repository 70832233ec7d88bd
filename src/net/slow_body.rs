//! Request bodies with a minimum rate: a client that sends nothing, or next to nothing, times out,
//! so that it cannot hold a handler and its connection for ever.
//!
//! Only the time a reader waits for the client counts, not the handler's own. The reader gets an
//! error, never an early end, and [`Progress::timed_out`] reports it to the code that responds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::server::BoxError;

/// How slow a request body may be.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// Time limit for the next byte.
    pub stall: Duration,
    /// Wait allowed in addition to what [`BodyLimits::bytes_per_second`] allows.
    pub grace: Duration,
    /// The lowest average rate: each byte that arrives allows more waiting.
    pub bytes_per_second: u32,
}

impl Default for BodyLimits {
    /// A minute for the next byte, as in the web servers in front of a Cloud Controller, and a rate
    /// below that of the slowest mobile networks.
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(60),
            bytes_per_second: 1024,
        }
    }
}

/// The client was too slow.
#[derive(Debug, thiserror::Error)]
#[error("the client sent its request body too slowly")]
pub struct TooSlow;

/// The state of a request body, shared with the code that does not read it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicBool>);

impl Progress {
    /// Whether the client was too slow.
    pub fn timed_out(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A request body that fails when its client is too slow.
#[derive(Debug)]
pub struct TimedBody<B> {
    body: B,
    limits: BodyLimits,
    progress: Progress,
    bytes: u64,
    /// Time spent waiting for the client, without the current wait.
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    /// Applies `limits` to `body`.
    pub fn new(body: B, limits: BodyLimits) -> Self {
        Self {
            body,
            limits,
            progress: Progress::default(),
            bytes: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: None,
        }
    }

    /// The state, also after the body was moved.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// How long a wait that begins now may last.
    fn allowed_wait(&self) -> Duration {
        let rate = u64::from(self.limits.bytes_per_second.max(1));
        let allowed = self.limits.grace + Duration::from_secs(self.bytes / rate);
        self.limits.stall.min(allowed.saturating_sub(self.waited))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let end = now + self.allowed_wait();
            match &mut self.deadline {
                Some(deadline) => deadline.as_mut().reset(end),
                None => self.deadline = Some(Box::pin(tokio::time::sleep_until(end))),
            }
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.progress.timed_out() {
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.poll_deadline(cx));
            this.progress.0.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(TooSlow.into())));
        };
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            this.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        stall: Duration::from_secs(60),
        grace: Duration::from_secs(90),
        bytes_per_second: 1000,
    };

    /// Chunks of a size with a pause before each; afterwards nothing.
    fn slow(
        pieces: usize,
        pause: Duration,
        size: usize,
    ) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        let pieces = futures_util::stream::unfold(0, move |number| async move {
            if number == pieces {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(pause).await;
            let piece = Frame::data(Bytes::from(vec![0; size]));
            Some((Ok(piece), number + 1))
        });
        StreamBody::new(Box::pin(pieces))
    }

    /// How many bytes arrived before the body timed out, and when.
    async fn read(body: impl Body<Data = Bytes, Error = BoxError> + Unpin) -> (usize, u64) {
        let began = Instant::now();
        let mut body = TimedBody::new(body, LIMITS);
        let progress = body.progress();
        let mut bytes = 0;
        loop {
            assert!(!progress.timed_out());
            match body.frame().await.expect("no end") {
                Ok(frame) => bytes += frame.into_data().unwrap().len(),
                Err(error) => {
                    assert!(error.is::<TooSlow>(), "{error}");
                    assert!(progress.timed_out());
                    let again = body.frame().await.expect("no end");
                    assert!(again.is_err());
                    return (bytes, began.elapsed().as_secs());
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_times_out_after_the_stall_limit() {
        assert_eq!(read(slow(0, Duration::ZERO, 0)).await, (0, 60));
        let pause = Duration::from_secs(10);
        assert_eq!(read(slow(3, pause, 100_000)).await, (300_000, 90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_times_out_when_its_grace_is_used_up() {
        let (bytes, seconds) = read(slow(1000, Duration::from_secs(29), 1)).await;
        assert_eq!((bytes, seconds), (3, 90));
        // Empty chunks are no progress.
        let (bytes, seconds) = read(slow(1000, Duration::from_secs(1), 0)).await;
        assert_eq!((bytes, seconds), (0, 90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_link_may_take_hours() {
        let (bytes, seconds) = read(slow(3600, Duration::from_secs(2), 2_000)).await;
        assert_eq!((bytes, seconds), (7_200_000, 7_260));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_a_reader_does_not_read_is_not_counted() {
        let mut body = TimedBody::new(slow(3, Duration::from_secs(1), 5), LIMITS);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(600)).await;
            body.frame().await.unwrap().unwrap();
        }
    }
}
