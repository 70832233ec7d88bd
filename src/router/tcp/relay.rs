//! Copies bytes both ways until both sides have ended.
//!
//! The end of one side is passed on to the other one, which may go on sending: half-closed
//! connections are what some protocols work with. A connection that is idle costs no buffer: one is
//! there only while bytes move.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;

/// The most bytes that are read at once.
const CHUNK: usize = 32 << 10;

/// How long a connection may be idle.
pub(super) struct Limits<'a> {
    pub(super) idle: Duration,
    /// From then on it is `drain_idle`.
    pub(super) draining: &'a CancellationToken,
    pub(super) drain_idle: Duration,
}

/// When something moved last, in milliseconds since the begin.
struct Activity {
    began: Instant,
    last: AtomicU64,
}

impl Activity {
    fn touch(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Waits until nothing moved for `limit`.
    async fn idle_for(&self, limit: Duration) {
        loop {
            let end = self.last() + limit;
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// Copies until both sides have ended, one fails, or nothing moves for too long.
pub(super) async fn relay(
    client: &mut TcpStream,
    instance: &mut TcpStream,
    limits: Limits<'_>,
    figures: &Figures,
) -> io::Result<()> {
    let activity = Activity {
        began: Instant::now(),
        last: AtomicU64::new(0),
    };
    let (from_client, to_client) = client.split();
    let (from_instance, to_instance) = instance.split();
    let up = pump(from_client, to_instance, |bytes| {
        activity.touch();
        figures.received(bytes);
    });
    let down = pump(from_instance, to_client, |bytes| {
        activity.touch();
        figures.sent(bytes);
    });
    let idle = async {
        tokio::select! {
            () = activity.idle_for(limits.idle) => {}
            () = limits.draining.cancelled() => activity.idle_for(limits.drain_idle).await,
        }
    };
    tokio::select! {
        ended = async { tokio::try_join!(up, down) } => ended.map(|_| ()),
        () = idle => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing moved for too long")),
    }
}

/// Copies one way; `moved` is told of bytes that were passed on.
async fn pump(from: ReadHalf<'_>, mut to: WriteHalf<'_>, moved: impl Fn(u64)) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            buffer.clear();
            match from.try_read_buf(&mut buffer) {
                Ok(0) => return end(&mut to).await,
                Ok(read) => {
                    to.write_all(&buffer).await?;
                    moved(u64::try_from(read).unwrap_or(u64::MAX));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Passes the end of one side on. The other side may have ended completely already.
async fn end(to: &mut WriteHalf<'_>) -> io::Result<()> {
    match to.shutdown().await {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        _ => Ok(()),
    }
}
