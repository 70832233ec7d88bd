//! How grave a line is, as far as it says so itself.

use crate::logs::envelope::{Envelope, LogStream, Message};

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details for who looks for a fault.
    Debug,
    /// The usual; also what says nothing and came on stdout.
    Info,
    /// Something is odd, or a request was at fault.
    Warn,
    /// Something failed; also what says nothing and came on stderr.
    Error,
}

/// A level stands at the start of a line.
const LOOKED_AT: usize = 400;
/// Keys of a level in JSON and in `key=value` lines.
const KEYS: [&str; 4] = ["level", "severity", "lvl", "loglevel"];

impl Level {
    /// The level of a log line: what a line of the router says by its status, what the text says by
    /// a word (`ERROR`) or a field (`"level":"error"`), otherwise by its stream.
    pub fn of(envelope: &Envelope) -> Self {
        let Message::Log { payload, stream } = &envelope.message else {
            return Self::Info;
        };
        let text = &payload[..payload.len().min(LOOKED_AT)];
        let source_type = envelope.tags.get("source_type").map_or("", String::as_str);
        let said = match source_type {
            "RTR" => of_status(text),
            _ => of_text(text),
        };
        said.unwrap_or(match stream {
            LogStream::Out => Self::Info,
            LogStream::Err => Self::Error,
        })
    }

    /// The level with this name.
    pub fn named(name: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        if is(&[
            "error", "err", "fatal", "critical", "crit", "panic", "severe", "emerg", "alert",
        ]) {
            Some(Self::Error)
        } else if is(&["warn", "warning"]) {
            Some(Self::Warn)
        } else if is(&["info", "notice", "information"]) {
            Some(Self::Info)
        } else if is(&["debug", "trace", "verbose", "fine"]) {
            Some(Self::Debug)
        } else {
            None
        }
    }

    /// The numbers that bunyan and pino write.
    fn numbered(text: &str) -> Option<Self> {
        match text.parse::<u32>().ok()? {
            10..30 => Some(Self::Debug),
            30..40 => Some(Self::Info),
            40..50 => Some(Self::Warn),
            50..=60 => Some(Self::Error),
            _ => None,
        }
    }
}

/// By the status in an access line: `… HTTP/1.1" 503 …`.
fn of_status(line: &[u8]) -> Option<Level> {
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.split_once(" HTTP/")?;
    let (_, rest) = rest.split_once("\" ")?;
    match rest.split(' ').next()?.parse::<u16>() {
        // `"-"`: the client got no answer.
        Ok(500..) | Err(_) => Some(Level::Error),
        Ok(400..) => Some(Level::Warn),
        Ok(_) => Some(Level::Info),
    }
}

/// By the first word in capitals that is a level, or by the value of a key.
fn of_text(line: &[u8]) -> Option<Level> {
    let text = without_colours(&String::from_utf8_lossy(line));
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let mut words = words.filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if KEYS.iter().any(|key| key.eq_ignore_ascii_case(word)) {
            let value = words.next()?;
            return Level::named(value).or_else(|| Level::numbered(value));
        }
        let is_loud = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_loud && let Some(level) = Level::named(word) {
            return Some(level);
        }
    }
    None
}

/// Colours begin and end within words.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_digit = |letter: char| letter.is_ascii_digit() || letter == ';';
        plain.push(' ');
        plain.push_str(part.trim_start_matches(is_digit).trim_start_matches('m'));
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logs::live::testing::line;

    #[test]
    fn a_line_says_how_grave_it_is() {
        let of = |source_type: &str, text: &str, stream| {
            let mut envelope = (*line(1, text)).clone();
            let tag = ("source_type".to_owned(), source_type.to_owned());
            envelope.tags = Arc::new([tag].into());
            envelope.message = Message::Log {
                payload: text.to_owned().into(),
                stream,
            };
            Level::of(&envelope)
        };
        let (out, err) = (LogStream::Out, LogStream::Err);
        for (text, stream, expected) in [
            ("hello", out, Level::Info),
            ("hello", err, Level::Error),
            ("INFO hello", err, Level::Info),
            ("2026-01-01 [WARN] low", out, Level::Warn),
            ("an error", out, Level::Info),
            ("FATAL: gone", out, Level::Error),
            ("ERRORS are fine", out, Level::Info),
            (r#"{"level":"error","msg":"x"}"#, out, Level::Error),
            (r#"{"level":40,"msg":"x"}"#, out, Level::Warn),
            ("level=debug msg=x", err, Level::Debug),
            ("level", out, Level::Info),
            ("\u{1b}[1;31mERROR\u{1b}[0m x", out, Level::Error),
        ] {
            assert_eq!(of("APP/PROC/WEB", text, stream), expected, "{text}");
        }
        for (status, expected) in [
            ("200", Level::Info),
            ("404", Level::Warn),
            ("502", Level::Error),
            ("\"-\"", Level::Error),
        ] {
            let line = format!("a.b - [t] \"GET /ERROR HTTP/1.1\" {status} 0 1");
            assert_eq!(of("RTR", &line, out), expected, "{line}");
        }
    }
}
