//! Which lines a search finds.

use regex::bytes::Regex;

use super::level::Level;
use crate::logs::envelope::{Envelope, LogStream, Message};

/// Conditions on a line; all must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The text matches.
    pub grep: Option<Regex>,
    /// The text does not match.
    pub not: Option<Regex>,
    /// The line is of one of these source types or of a type below one: `APP` finds
    /// `APP/PROC/WEB`. Empty = any.
    pub source_types: Vec<String>,
    /// The line is of an instance with one of these numbers. Empty = any.
    pub instances: Vec<String>,
    /// The line is of this stream.
    pub stream: Option<LogStream>,
    /// The line is as grave as this or graver.
    pub level: Option<Level>,
}

impl Filter {
    pub(super) fn admits(&self, envelope: &Envelope) -> bool {
        let Message::Log { payload, stream } = &envelope.message else {
            return false;
        };
        if self.stream.is_some_and(|wanted| wanted != *stream) || !self.admits_instance(envelope) {
            return false;
        }
        let found = self.grep.as_ref().is_none_or(|grep| grep.is_match(payload));
        let refused = self.not.as_ref().is_some_and(|not| not.is_match(payload));
        let grave = |level| Level::of(envelope) >= level;
        found && !refused && self.admits_type(envelope) && self.level.is_none_or(grave)
    }

    fn admits_instance(&self, envelope: &Envelope) -> bool {
        let own = &*envelope.instance_id;
        self.instances.is_empty() || self.instances.iter().any(|wanted| wanted == own)
    }

    fn admits_type(&self, envelope: &Envelope) -> bool {
        let found = envelope.tags.get("source_type").map_or("", String::as_str);
        let is_below = |wanted: &String| {
            let begin = found.get(..wanted.len());
            let rest = found.get(wanted.len()..).unwrap_or_default();
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(wanted))
                && (rest.is_empty() || rest.starts_with('/'))
        };
        self.source_types.is_empty() || self.source_types.iter().any(is_below)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logs::live::testing::{gauge, line};

    #[test]
    fn text_and_source_decide() {
        let regex = |text: &str| Some(Regex::new(text).expect("a pattern"));
        let of = |source_type: &str, text: &str| {
            let mut envelope = (*line(1, text)).clone();
            let tag = ("source_type".to_owned(), source_type.to_owned());
            envelope.tags = Arc::new([tag].into());
            envelope
        };
        let filter = Filter {
            grep: regex("err|warn"),
            not: regex("(?i)ignored"),
            source_types: vec!["app".to_owned(), "RTR".to_owned()],
            ..Filter::default()
        };
        for (source_type, text, expected) in [
            ("APP/PROC/WEB", "an error", true),
            ("RTR", "warn", true),
            ("APP/PROC/WEB", "fine", false),
            ("APP/PROC/WEB", "error Ignored", false),
            ("APPS", "error", false),
            ("CELL", "error", false),
            ("", "error", false),
        ] {
            let admitted = filter.admits(&of(source_type, text));
            assert_eq!(admitted, expected, "{source_type}: {text}");
        }
        assert!(Filter::default().admits(&of("", "anything")));
        assert!(!Filter::default().admits(&gauge(&["cpu"])));
    }

    #[test]
    fn instance_stream_and_level_decide() {
        let mut failed = (*line(1, "ERROR: no disk")).clone();
        failed.instance_id = "2".into();
        let of = |instance: &str, stream, level| Filter {
            instances: vec!["1".to_owned(), instance.to_owned()],
            stream: Some(stream),
            level: Some(level),
            ..Filter::default()
        };
        for (filter, expected) in [
            (of("2", LogStream::Out, Level::Warn), true),
            (of("2", LogStream::Out, Level::Error), true),
            (of("3", LogStream::Out, Level::Debug), false),
            (of("2", LogStream::Err, Level::Debug), false),
        ] {
            assert_eq!(filter.admits(&failed), expected, "{filter:?}");
        }
        let calm = line(1, "all is well");
        let filter = Filter {
            level: Some(Level::Warn),
            ..Filter::default()
        };
        assert!(!filter.admits(&calm));
    }
}
