//! The log lines of a build: those of the platform and those of the container.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::base::guid::AppGuid;
use crate::docker::{DockerError, Engine, LogReading, LogStream};
use crate::logs::{Line, Logs, RateLimit, Verdict};

/// The maximum output of one build; a runaway build must not evict the app's own log.
const MAX_BYTES: u64 = 32 << 20;
/// Longer lines are split into parts of this size.
const MAX_LINE: usize = 60 * 1024;

/// Writes lines of source type `STG`.
#[derive(Clone)]
pub(super) struct BuildLog {
    logs: Logs,
    app: AppGuid,
}

impl BuildLog {
    pub(super) fn new(logs: &Logs, app: &AppGuid) -> Self {
        Self {
            logs: logs.clone(),
            app: app.clone(),
        }
    }

    pub(super) fn out(&self, text: &str) {
        self.line(LogStream::Out, text);
    }

    pub(super) fn error(&self, text: &str) {
        self.line(LogStream::Err, text);
    }

    fn line(&self, stream: LogStream, text: &str) {
        self.logs.emit(Line {
            source_id: self.app.as_str(),
            source_type: "STG",
            instance_id: "0",
            stream,
            text,
        });
    }
}

/// Forwards a container's output until it exits.
pub(super) async fn follow(
    engine: &dyn Engine,
    id: &str,
    log: &BuildLog,
    rate: i64,
) -> Result<(), DockerError> {
    let mut frames = engine.logs(id, 0, LogReading::Follow).await?;
    let (mut output_limit, begin) = (OutputLimit::new(rate), Instant::now());
    let mut lines: BTreeMap<LogStream, Vec<u8>> = BTreeMap::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        let line = lines.entry(frame.stream).or_default();
        line.extend_from_slice(&frame.data);
        if !line.ends_with(b"\n") && line.len() < MAX_LINE {
            continue;
        }
        let bytes = std::mem::take(line);
        let text = String::from_utf8_lossy(&bytes);
        let nanos = i64::try_from(begin.elapsed().as_nanos()).unwrap_or(i64::MAX);
        match output_limit.admit(nanos, bytes.len()) {
            Outcome::Written => log.line(frame.stream, text.trim_end_matches(['\n', '\r'])),
            Outcome::Dropped => {}
            Outcome::Replaced(text) => log.error(&text),
        }
    }
    Ok(())
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Written,
    Dropped,
    /// It is dropped, and this says why.
    Replaced(String),
}

/// Bounds output per second and in total. Pure.
struct OutputLimit {
    rate: RateLimit,
    /// Bytes until the total is reached; `None` = nothing passes any more.
    left: Option<u64>,
}

impl OutputLimit {
    /// Bytes per second as in [`RateLimit::new`].
    fn new(rate: i64) -> Self {
        Self {
            rate: RateLimit::new(rate),
            // Without any output, the total says nothing.
            left: (rate != 0).then_some(MAX_BYTES),
        }
    }

    /// Decides about a line of `size` bytes written at `nanos`. What the rate drops counts in the
    /// total, too.
    fn admit(&mut self, nanos: i64, size: usize) -> Outcome {
        let Some(left) = self.left else {
            return Outcome::Dropped;
        };
        self.left = left.checked_sub(size as u64);
        if self.left.is_none() {
            let limit = crate::base::Bytes(MAX_BYTES.cast_signed()).to_short();
            return Outcome::Replaced(format!(
                "the build output exceeded {limit}; discarding the rest"
            ));
        }
        match self.rate.admit(nanos, size) {
            Verdict::Pass => Outcome::Written,
            Verdict::Drop => Outcome::Dropped,
            Verdict::Report => Outcome::Replaced(self.rate.report()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const MAX: usize = 32 << 20;

    #[test]
    fn the_rest_of_a_second_is_dropped_above_the_rate() {
        let mut limit = OutputLimit::new(10);
        assert_eq!(limit.admit(0, 10), Outcome::Written);
        let exceeded = "app instance exceeded log rate limit (10 bytes/sec)".to_owned();
        assert_eq!(limit.admit(0, 1), Outcome::Replaced(exceeded));
        assert_eq!(limit.admit(0, 1), Outcome::Dropped);
        assert_eq!(limit.admit(SECOND, 5), Outcome::Written);
    }

    #[test]
    fn no_limit_passes_until_the_total_is_reached() {
        let mut limit = OutputLimit::new(-1);
        assert_eq!(limit.admit(0, MAX), Outcome::Written);
        let exceeded = "the build output exceeded 32M; discarding the rest".to_owned();
        assert_eq!(limit.admit(0, 1), Outcome::Replaced(exceeded));
        assert_eq!(limit.admit(0, 1), Outcome::Dropped);
    }

    #[test]
    fn what_the_rate_drops_counts_in_the_total() {
        let mut limit = OutputLimit::new(10);
        assert!(matches!(limit.admit(0, MAX), Outcome::Replaced(_)));
        assert!(matches!(limit.admit(0, 1), Outcome::Replaced(_)));
        assert_eq!(limit.admit(2 * SECOND, 1), Outcome::Dropped);
    }

    #[test]
    fn a_limit_of_zero_passes_and_reports_nothing() {
        let mut limit = OutputLimit::new(0);
        for size in [1, MAX, 1] {
            assert_eq!(limit.admit(0, size), Outcome::Dropped);
        }
    }
}
