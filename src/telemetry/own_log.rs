//! The platform's own log: how `tracing` writes, and the file that keeps it small.
//!
//! `cflite up` starts the platform with its standard error in `cflite.log`. A worker notices that
//! (the open file is the one of that name) and, once the file is large or old, renames it to
//! `cflite.log.1`, the earlier ones to `.2` and so on, and continues in a new file. Panics and what
//! libraries print go the same way, as they write to the same descriptor. In the foreground, or with
//! output sent elsewhere, nothing is touched; lines to systemd's journal have their severity in front.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::base::{Clock, Timestamp, private_file};

/// The file in the data dir.
pub const LOG: &str = "cflite.log";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// A file of this size is put aside …
const LARGEST: u64 = 10 << 20;
/// … or of this age.
const OLDEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many are kept beside the current one.
const KEPT: u32 = 5;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// `text` or `json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format of this name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A line's severity as systemd's journal reads it, in front of the line (`sd-daemon(3)`).
struct ForJournal<F>(F);

impl<S, N, F> FormatEvent<S, N> for ForJournal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", severity(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The severity of `syslog(3)`.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether a file is the stream to the journal that the variable `JOURNAL_STREAM` names by device
/// and inode. The variable alone says nothing: the output may have been sent elsewhere since.
fn is_journal(stream: Option<&str>, file: impl AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let named = (device.parse().ok(), inode.parse().ok());
    let open = nix::sys::stat::fstat(file);
    open.is_ok_and(|open| named == (Some(open.st_dev), Some(open.st_ino)))
}

/// Lets `tracing` write to standard error; `CFLITE_LOG` says what.
pub fn to_stderr(format: Format) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CFLITE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let common = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(format == Format::Text && io::stderr().is_terminal());
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let journal = is_journal(stream.as_deref(), io::stderr());
    let set = match (format, journal) {
        (Format::Text, false) => common.try_init(),
        // The journal has the time.
        (Format::Text, true) => { common.without_time() }
            .map_event_format(ForJournal)
            .try_init(),
        (Format::Json, false) => common.json().flatten_event(true).try_init(),
        (Format::Json, true) => { common.json().flatten_event(true) }
            .map_event_format(ForJournal)
            .try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "logging is already set up");
    }
}

/// Rotates the log file of a data dir while standard error is that file.
pub async fn rotate(
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
    token: CancellationToken,
) -> Result<(), io::Error> {
    let path = data_dir.join(LOG);
    let mut begun = clock.now();
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        if !is_open(&path, io::stderr()) {
            continue;
        }
        let size = std::fs::metadata(&path)?.len();
        if is_due(size, begun, clock.now()) {
            let also_stdout = is_open(&path, io::stdout());
            let file = private_file::put_aside(&path, KEPT)?;
            nix::unistd::dup2_stderr(file.as_fd())?;
            if also_stdout {
                nix::unistd::dup2_stdout(file.as_fd())?;
            }
            begun = clock.now();
            tracing::info!(kept = KEPT, "began a new log file");
        }
    }
}

/// Whether a file that was begun at `begun` is put aside.
fn is_due(size: u64, begun: Timestamp, now: Timestamp) -> bool {
    size >= LARGEST || (size > 0 && now.since(begun) >= OLDEST)
}

/// Whether an open file is the one at this path.
pub fn is_open(path: &Path, file: impl AsFd) -> bool {
    let (Ok(named), Ok(open)) = (std::fs::metadata(path), nix::sys::stat::fstat(file)) else {
        return false;
    };
    named.dev() == open.st_dev && named.ino() == open.st_ino
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_old_files_are_put_aside() {
        let begun = Timestamp::from_micros(0);
        let table = [
            (0, OLDEST, false),
            (1, OLDEST / 2, false),
            (1, OLDEST, true),
            (LARGEST - 1, Duration::ZERO, false),
            (LARGEST, Duration::ZERO, true),
        ];
        for (size, age, expected) in table {
            assert_eq!(
                is_due(size, begun, begun.plus(age)),
                expected,
                "{size} {age:?}"
            );
        }
    }

    #[test]
    fn the_journal_is_known_by_its_stream() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let file = std::fs::File::create(dir.path().join("stream")).expect("created");
        let known = file.metadata().expect("metadata");
        let name = format!("{}:{}", known.dev(), known.ino());
        assert!(is_journal(Some(&name), &file));
        assert!(!is_journal(Some(&name), io::stderr()), "sent elsewhere");
        for other in [None, Some(""), Some(":"), Some("1:2:3")] {
            assert!(!is_journal(other, &file), "{other:?}");
        }
    }

    #[test]
    fn another_output_is_left_alone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join(LOG);
        assert!(!is_open(&path, io::stderr()), "no file");
        let file = std::fs::File::create(&path).expect("created");
        assert!(!is_open(&path, io::stderr()), "another file");
        assert!(is_open(&path, &file));
        private_file::put_aside(&path, KEPT).expect("a new file");
        assert!(!is_open(&path, &file), "the one that was put aside");
    }
}
