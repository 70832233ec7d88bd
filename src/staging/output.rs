//! A build's lines in the app's log: the platform's own and those the container writes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::base::guid::AppGuid;
use crate::docker::{DockerError, Engine, LogReading, LogStream};
use crate::logs::{Line, Logs};

/// Output of one build that is kept; a loop that prints must not push out the app's own log.
const MOST_BYTES: u64 = 32 << 20;
/// A line without an end is passed on in parts of this size.
const LONGEST_LINE: usize = 60 * 1024;

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

/// Passes on what a container writes until it ends.
pub(super) async fn follow(
    engine: &dyn Engine,
    id: &str,
    log: &BuildLog,
    rate: i64,
) -> Result<(), DockerError> {
    let mut frames = engine.logs(id, 0, LogReading::Follow).await?;
    let mut gate = Gate::new(rate);
    let mut lines: BTreeMap<LogStream, Vec<u8>> = BTreeMap::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        let line = lines.entry(frame.stream).or_default();
        line.extend_from_slice(&frame.data);
        if !line.ends_with(b"\n") && line.len() < LONGEST_LINE {
            continue;
        }
        let bytes = std::mem::take(line);
        let text = String::from_utf8_lossy(&bytes);
        match gate.pass(bytes.len(), Instant::now()) {
            Verdict::Pass => log.line(frame.stream, text.trim_end_matches(['\n', '\r'])),
            Verdict::Drop => {}
            Verdict::Say(text) => log.error(&text),
        }
    }
    Ok(())
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Drop,
    Say(String),
}

/// Bounds output per second and in total. Pure.
struct Gate {
    rate: i64,
    second: Option<Instant>,
    in_second: usize,
    told: bool,
    total: u64,
    closed: bool,
}

impl Gate {
    fn new(rate: i64) -> Self {
        Self {
            rate,
            second: None,
            in_second: 0,
            told: false,
            total: 0,
            closed: false,
        }
    }

    fn pass(&mut self, bytes: usize, now: Instant) -> Verdict {
        if self.closed || self.rate == 0 {
            return Verdict::Drop;
        }
        self.total += bytes as u64;
        if self.total > MOST_BYTES {
            self.closed = true;
            let limit = crate::base::Bytes(MOST_BYTES.cast_signed()).to_short();
            return Verdict::Say(format!(
                "the build wrote more than {limit}: the rest is left out"
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
            self.told = false;
        }
        self.in_second += bytes;
        if self.in_second <= rate {
            return Verdict::Pass;
        }
        if std::mem::replace(&mut self.told, true) {
            return Verdict::Drop;
        }
        Verdict::Say(format!(
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
        let mut gate = Gate::new(10);
        assert_eq!(gate.pass(10, begin), Verdict::Pass);
        assert!(matches!(gate.pass(1, begin), Verdict::Say(_)));
        assert_eq!(gate.pass(1, begin), Verdict::Drop);
        let next = begin + Duration::from_secs(1);
        assert_eq!(gate.pass(5, next), Verdict::Pass);
    }

    #[test]
    fn no_limit_passes_until_the_total_is_reached_and_zero_passes_nothing() {
        let begin = Instant::now();
        let mut open = Gate::new(-1);
        let most = usize::try_from(MOST_BYTES).expect("a small number");
        assert_eq!(open.pass(most, begin), Verdict::Pass);
        assert!(matches!(open.pass(1, begin), Verdict::Say(_)));
        assert_eq!(open.pass(1, begin), Verdict::Drop);
        assert_eq!(Gate::new(0).pass(1, begin), Verdict::Drop);
    }
}
