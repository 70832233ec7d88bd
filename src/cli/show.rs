//! Output: text, tables, JSON, progress; colour only on terminals.

#![expect(clippy::print_stderr, reason = "the only module that prints")]

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Session;
use crate::base::{Bytes, Timestamp};

/// A line on standard output. Exits when its reader is gone (`cflite logs | head`).
pub(super) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Text on standard output, without a line break.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = printed {
        drop(out);
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            eprintln!("error: cannot print: {error}");
        }
        std::process::exit(1);
    }
}

/// A line on standard error.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// The error that ended the command.
pub(super) fn error(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("\u{1b}[31;1merror:\u{1b}[0m {text}");
    } else {
        eprintln!("error: {text}");
    }
}

/// A size such as `1.5G`.
pub(super) fn bytes(size: u64) -> String {
    Bytes(i64::try_from(size).unwrap_or(i64::MAX)).to_short()
}

/// `15:04:05` where this machine is.
pub(super) fn time_of_day(time: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let time = jiff::Timestamp::from_microsecond(time.as_micros());
    time.map_or_else(
        |_| String::new(),
        |time| time.to_zoned(zone).strftime("%H:%M:%S").to_string(),
    )
}

/// A JSON document.
pub(super) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// A table with a header, columns as wide as needed.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let row = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c:<w$}"))
            .collect();
        line(padded.join("   ").trim_end());
    };
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(&header)
        .chain(rows)
        .for_each(|cells| row(cells));
}

/// Asks for confirmation; without a terminal the answer is no.
pub(super) fn confirm(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        eprintln!("{question} Refusing without --yes: stdin is not a terminal.");
        return false;
    }
    eprint!("{question} [yN] ");
    let _flushed = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// A named step: a spinner on a terminal, plain lines otherwise, the elapsed time at the end.
pub(super) struct Step {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Begins a step.
    pub(super) fn begin(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            eprintln!("... {name}");
        }
        Self {
            name: name.to_owned(),
            started: Instant::now(),
            bar,
        }
    }

    /// Shows progress.
    pub(super) fn progress(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {text}", self.name)),
            None => eprintln!("    {text}"),
        }
    }

    /// Ends a step as successful.
    pub(super) fn done(self, result: &str) {
        self.end("ok", result);
    }

    /// Ends a step as failed.
    pub(super) fn failed(self, result: &str) {
        self.end("failed", result);
    }

    fn end(self, mark: &str, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let tail = if result.is_empty() {
            String::new()
        } else {
            format!(": {result}")
        };
        eprintln!("{mark:>6} {}{tail} ({seconds:.1} s)", self.name);
    }
}

/// Does a step that gives a document; `result` is what is said about it.
pub(super) fn each(
    name: &str,
    work: impl FnOnce(&Step) -> anyhow::Result<Value>,
    result: impl FnOnce(&Value) -> String,
) -> Result<Value, String> {
    let step = Step::begin(name);
    match work(&step) {
        Ok(done) => {
            step.done(&result(&done));
            Ok(done)
        }
        Err(error) => {
            let text = format!("{error:#}");
            step.failed(&text);
            Err(text)
        }
    }
}

/// The end of a command that did something for each name: `key` is what the name is in the JSON of
/// one that failed.
pub(super) fn fetched(
    key: &str,
    names: &[String],
    results: Vec<Result<Value, String>>,
    as_json: bool,
) -> ExitCode {
    let failed = results.iter().any(Result::is_err);
    if as_json {
        let documents = names.iter().zip(results).map(|(name, result)| {
            result.unwrap_or_else(|error| json!({ key: name, "error": error }))
        });
        json(&Value::Array(documents.collect()));
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// `cflite config`.
pub(super) fn config(session: Session) -> anyhow::Result<ExitCode> {
    let settings = session.options.resolve()?.settings();
    if session.json {
        let shown = settings.into_iter();
        let shown = shown.map(|one| (one.name.to_owned(), one.value));
        json(&Value::Object(shown.collect()));
    } else {
        let rows: Vec<Vec<String>> = settings
            .iter()
            .map(|one| {
                vec![
                    one.name.to_owned(),
                    one.text(),
                    one.origin.word().to_owned(),
                ]
            })
            .collect();
        table(&["option", "value", "from"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}
