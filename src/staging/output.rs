//! The log lines of a build: those of the platform and those of the container.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::base::guid::AppGuid;
use crate::docker::{DockerError, Engine, LogReading, LogStream};
use crate::logs::{Line, Logs};

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
    let mut output_limit = OutputLimit::new(rate);
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
        match output_limit.pass(bytes.len(), Instant::now()) {
            Verdict::Pass => log.line(frame.stream, text.trim_end_matches(['\n', '\r'])),
            Verdict::Drop => {}
            Verdict::Notify(text) => log.error(&text),
        }
    }
    Ok(())
}

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Drop,
    Notify(String),
}

/// Bounds output per second and in total. Pure.
struct OutputLimit {
    rate: i64,
    second: Option<Instant>,
    in_second: usize,
    notified: bool,
    total: u64,
    closed: bool,
}

impl OutputLimit {
    fn new(rate: i64) -> Self {
        Self {
            rate,
            second: None,
            in_second: 0,
            notified: false,
            total: 0,
            closed: false,
        }
    }

    fn pass(&mut self, bytes: usize, now: Instant) -> Verdict {
        if self.closed || self.rate == 0 {
            return Verdict::Drop;
        }
        self.total += bytes as u64;
        if self.total > MAX_BYTES {
            self.closed = true;
            let limit = crate::base::Bytes(MAX_BYTES.cast_signed()).to_short();
            return Verdict::Notify(format!(
                "the build output exceeded {limit}; discarding the rest"
            ));
        }
        let Ok(rate) = usize::try_from(self.rate) else {
            return Verdict::Pass;
        };
        let fresh = self
            .second
            .is_none_or(|begin| now.duration_since(begin) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.in_second = 0;
            self.notified = false;
        }
        self.in_second += bytes;
        if self.in_second <= rate {
            return Verdict::Pass;
        }
        if std::mem::replace(&mut self.notified, true) {
            return Verdict::Drop;
        }
        Verdict::Notify(format!(
            "app instance exceeded log rate limit ({rate} bytes/sec)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_second_is_dropped_above_the_rate() {
        let begin = Instant::now();
        let mut output_limit = OutputLimit::new(10);
        assert_eq!(output_limit.pass(10, begin), Verdict::Pass);
        assert!(matches!(output_limit.pass(1, begin), Verdict::Notify(_)));
        assert_eq!(output_limit.pass(1, begin), Verdict::Drop);
        let next = begin + Duration::from_secs(1);
        assert_eq!(output_limit.pass(5, next), Verdict::Pass);
    }

    #[test]
    fn no_limit_passes_until_the_total_is_reached_and_zero_passes_nothing() {
        let begin = Instant::now();
        let mut unlimited = OutputLimit::new(-1);
        let max = usize::try_from(MAX_BYTES).expect("a small number");
        assert_eq!(unlimited.pass(max, begin), Verdict::Pass);
        assert!(matches!(unlimited.pass(1, begin), Verdict::Notify(_)));
        assert_eq!(unlimited.pass(1, begin), Verdict::Drop);
        assert_eq!(OutputLimit::new(0).pass(1, begin), Verdict::Drop);
    }
}
