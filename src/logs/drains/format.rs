//! Envelopes as messages of RFC 5424, as Cloud Foundry's drains write them.
//!
//! ```text
//! <14>1 2026-01-02T03:04:05.123456+00:00 org.space.app GUID [APP/PROC/WEB/0] - [tags@47450 …] text
//! ```

use std::fmt::Write as _;

use crate::logs::envelope::{Envelope, LogStream, Message};

/// The enterprise number of the Cloud Foundry Foundation.
const ENTERPRISE: &str = "47450";
const PRIORITY_OUT: u8 = 14;
const PRIORITY_ERR: u8 = 11;
const LONGEST_LABEL: usize = 63;
const LONGEST_HOST: usize = 255;
const LONGEST_APP: usize = 48;
const LONGEST_PROCESS: usize = 128;
const LONGEST_NAME: usize = 32;

/// How a drain writes.
#[derive(Debug, Clone)]
pub(super) struct Format {
    /// The host when an envelope does not name its app, space and organization.
    pub(super) hostname: String,
    /// Whether tags are written.
    pub(super) metadata: bool,
}

impl Format {
    /// The messages of an envelope, one for each metric of a gauge.
    pub(super) fn messages(&self, envelope: &Envelope) -> Vec<Vec<u8>> {
        match &envelope.message {
            Message::Log { payload, stream } => {
                let priority = match stream {
                    LogStream::Out => PRIORITY_OUT,
                    LogStream::Err => PRIORITY_ERR,
                };
                let mut message = self.head(envelope, priority, &process_of_line(envelope));
                self.structured(&mut message, None, envelope);
                let mut message = message.into_bytes();
                message.push(b' ');
                message.extend(payload.iter().filter(|byte| **byte != 0));
                if message.last() != Some(&b'\n') {
                    message.push(b'\n');
                }
                vec![message]
            }
            Message::Gauge(metrics) => {
                let messages = metrics.iter().map(|(name, gauge)| {
                    let value = gauge.value.to_string();
                    let of = [("name", &**name), ("value", &value), ("unit", &gauge.unit)];
                    self.metric(envelope, "gauge", &of)
                });
                messages.collect()
            }
            Message::Counter { name, delta, total } => {
                let (delta, total) = (delta.to_string(), total.to_string());
                let of = [("name", &**name), ("total", &total), ("delta", &delta)];
                vec![self.metric(envelope, "counter", &of)]
            }
            Message::Timer { name, start, stop } => {
                let (start, stop) = (start.to_string(), stop.to_string());
                let of = [("name", &**name), ("start", &start), ("stop", &stop)];
                vec![self.metric(envelope, "timer", &of)]
            }
            Message::Event { title, body } => {
                vec![self.metric(envelope, "event", &[("title", title), ("body", body)])]
            }
        }
    }

    fn metric(&self, envelope: &Envelope, kind: &str, of: &[(&str, &str)]) -> Vec<u8> {
        let process = process_of_metric(&envelope.instance_id);
        let mut message = self.head(envelope, PRIORITY_OUT, &process);
        self.structured(&mut message, Some((kind, of)), envelope);
        message.push_str(" \n");
        message.into_bytes()
    }

    fn head(&self, envelope: &Envelope, priority: u8, process: &str) -> String {
        let mut head = format!("<{priority}>1 ");
        push_time(&mut head, envelope.timestamp);
        let host = self.host(envelope);
        let app = printable(&envelope.source_id, LONGEST_APP);
        let _written = write!(head, " {host} {app} {process} - ");
        head
    }

    fn host(&self, envelope: &Envelope) -> String {
        let names = ["organization_name", "space_name", "app_name"];
        let [Some(organization), Some(space), Some(app)] =
            names.map(|name| envelope.tags.get(name))
        else {
            return printable(&self.hostname, LONGEST_HOST);
        };
        hostname([organization, space, app])
    }

    fn structured(
        &self,
        out: &mut String,
        metric: Option<(&str, &[(&str, &str)])>,
        envelope: &Envelope,
    ) {
        let before = out.len();
        if let Some((kind, parameters)) = metric {
            push_element(out, kind, parameters.iter().copied());
        }
        if self.metadata && !envelope.tags.is_empty() {
            let tags = envelope.tags.iter().map(|(k, v)| (&**k, &**v));
            push_element(out, "tags", tags);
        }
        if out.len() == before {
            out.push('-');
        }
    }
}

/// `org.space.app` as a host name.
pub fn hostname(names: [&str; 3]) -> String {
    let labels: Vec<String> = names.into_iter().map(label).collect();
    let mut host = labels.join(".");
    host.truncate(LONGEST_HOST);
    // Without any letter the field would be empty or only dots.
    if host.bytes().all(|byte| byte == b'.') {
        "-".to_owned()
    } else {
        host
    }
}

fn label(name: &str) -> String {
    let letters = name.chars().filter_map(|letter| match letter {
        _ if letter.is_whitespace() => Some('-'),
        '-' => Some('-'),
        _ => letter.is_ascii_alphanumeric().then_some(letter),
    });
    let cut: String = letters.take(LONGEST_LABEL).collect();
    cut.trim_end_matches('-').to_owned()
}

fn process_of_line(envelope: &Envelope) -> String {
    let source = envelope.tags.get("source_type").map_or("", String::as_str);
    let index = &*envelope.instance_id;
    match (source, index) {
        ("", _) => process_of_metric(index),
        (source, "") => bracketed(&source.to_uppercase()),
        (source, index) => bracketed(&format!("{}/{index}", source.to_uppercase())),
    }
}

fn process_of_metric(index: &str) -> String {
    if index.is_empty() {
        "-".to_owned()
    } else {
        bracketed(index)
    }
}

fn bracketed(text: &str) -> String {
    let text = printable(&text.replace(' ', "-"), LONGEST_PROCESS - 2);
    format!("[{text}]")
}

/// The printable ASCII characters of a text; never empty.
fn printable(text: &str, longest: usize) -> String {
    let letters = text.chars().filter(char::is_ascii_graphic);
    let text: String = letters.take(longest).collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// UTC with up to six decimals.
fn push_time(out: &mut String, nanos: i64) {
    let micros = nanos.div_euclid(1000);
    let Ok(time) = jiff::Timestamp::from_microsecond(micros) else {
        out.push('-');
        return;
    };
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    let _written = write!(out, "{}", time.strftime("%Y-%m-%dT%H:%M:%S"));
    let fraction = micros.rem_euclid(1_000_000);
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        let _written = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    out.push_str("+00:00");
}

fn push_element<'a>(
    out: &mut String,
    name: &str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) {
    let _written = write!(out, "[{name}@{ENTERPRISE}");
    for (name, value) in parameters {
        out.push(' ');
        push_name(out, name);
        out.push_str("=\"");
        for letter in value.chars() {
            if matches!(letter, '"' | '\\' | ']') {
                out.push('\\');
            }
            out.push(letter);
        }
        out.push('"');
    }
    out.push(']');
}

/// Names have fewer characters than tags may have.
fn push_name(out: &mut String, name: &str) {
    let letters = name.chars().take(LONGEST_NAME).map(|letter| match letter {
        '=' | ']' | '"' => '_',
        _ if letter.is_ascii_graphic() => letter,
        _ => '_',
    });
    let before = out.len();
    out.extend(letters);
    if out.len() == before {
        out.push('_');
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
