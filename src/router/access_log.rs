//! The access log line, byte for byte as Cloud Foundry's router writes it, and its sink.
//!
//! One line per exchange, written when its last byte was sent or the client disconnected. Each
//! thread of the front door formats into its own buffer and lends it to the [`AccessLog`](super::AccessLog), so that
//! a line needs no allocation here.

use std::fmt::Write as _;
use std::rc::Rc;

use http::{HeaderValue, Method, StatusCode, Uri, Version};

use crate::base::Timestamp;
use crate::base::guid::AppGuid;

use super::endpoint::EndpointState;

/// In longer lines, client-controlled parts are truncated.
const MAX_LINE: usize = 65_400;
const MAX_FIELD: usize = 1_000;
const MAX_URI: usize = 20_000;

/// The data of a line.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) received: Timestamp,
    pub(crate) proxied: Option<Timestamp>,
    pub(crate) finished: Timestamp,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) status: Option<StatusCode>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) referer: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) remote: Rc<str>,
    pub(crate) forwarded_for: Option<HeaderValue>,
    pub(crate) forwarded_proto: Option<HeaderValue>,
    pub(crate) request_id: Option<HeaderValue>,
    pub(crate) router_error: Option<String>,
    /// Whether it gets no line.
    pub(crate) is_unlogged: bool,
}

/// Formats lines into one reused buffer.
#[derive(Debug, Default)]
pub(crate) struct LineWriter {
    line: String,
    second: Option<i64>,
    second_text: String,
}

impl LineWriter {
    /// The line, valid until the next one.
    pub(crate) fn format(
        &mut self,
        record: &Record,
        app_guid: Option<&AppGuid>,
        state: Option<&EndpointState>,
    ) -> &str {
        self.render(record, app_guid, state, usize::MAX, usize::MAX);
        if self.line.len() > MAX_LINE {
            self.render(record, app_guid, state, MAX_FIELD, MAX_URI);
        }
        &self.line
    }

    fn render(
        &mut self,
        record: &Record,
        app_guid: Option<&AppGuid>,
        state: Option<&EndpointState>,
        short: usize,
        long: usize,
    ) {
        self.line.clear();
        if let Some(host) = &record.host {
            self.line.push_str(host.to_str().unwrap_or_default());
        }
        self.line.push_str(" - [");
        self.push_time(record.received);
        self.line.push_str("] \"");
        let out = &mut self.line;
        escape(out, record.method.as_str().as_bytes());
        out.push(' ');
        let target = origin_form(&record.uri);
        escape_cut(out, target.as_bytes(), long, "REQUEST-URI");
        out.push(' ');
        out.push_str(version_text(record.version));
        out.push_str("\" ");
        match record.status {
            Some(status) => out.push_str(status.as_str()),
            None => out.push_str("\"-\""),
        }
        push_number(out, " ", record.request_bytes);
        push_number(out, " ", record.response_bytes);
        push_field(out, " ", record.referer.as_ref(), short, "REFERER");
        push_field(out, " ", record.user_agent.as_ref(), short, "USER-AGENT");
        push_text(out, " ", &record.remote);
        push_text(out, " ", state.map_or("", |state| &state.headers.address));
        let forwarded_for = record.forwarded_for.as_ref();
        push_field(
            out,
            " x_forwarded_for:",
            forwarded_for,
            short,
            "X-FORWARDED-FOR",
        );
        let proto = record.forwarded_proto.as_ref();
        push_field(
            out,
            " x_forwarded_proto:",
            proto,
            short,
            "X-FORWARDED-PROTO",
        );
        let request_id = record.request_id.as_ref();
        push_field(
            out,
            " vcap_request_id:",
            request_id,
            short,
            "VCAP-REQUEST-ID",
        );
        push_times(out, record);
        push_text(out, " app_id:", app_guid.map_or("", AppGuid::as_str));
        push_instance(out, state);
        let error = record.router_error.as_deref();
        push_text(out, " x_cf_routererror:", error.unwrap_or_default());
    }

    fn push_time(&mut self, at: Timestamp) {
        let second = at.as_seconds();
        if self.second != Some(second) {
            self.second = Some(second);
            self.second_text.clear();
            let text = at.to_rfc3339_nanos();
            let whole = text.split_once('.').map_or(&*text, |(whole, _)| whole);
            self.second_text.push_str(whole);
        }
        let micros = at.as_micros().rem_euclid(1_000_000);
        self.line.push_str(&self.second_text);
        self.line.push('.');
        push_padded(&mut self.line, micros.unsigned_abs());
        self.line.push_str("000Z");
    }
}

fn origin_form(uri: &Uri) -> &str {
    uri.path_and_query().map_or_else(
        || uri.authority().map_or("*", |a| a.as_str()),
        |p| p.as_str(),
    )
}

fn version_text(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn push_number(out: &mut String, before: &str, number: u64) {
    out.push_str(before);
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Six digits.
fn push_padded(out: &mut String, number: u64) {
    let mut divisor = 100_000;
    while divisor > 0 {
        let digit = u8::try_from(number / divisor % 10).unwrap_or_default();
        out.push(char::from(b'0' + digit));
        divisor /= 10;
    }
}

fn push_times(out: &mut String, record: &Record) {
    let total = record.finished.as_micros() - record.received.as_micros();
    push_seconds(out, " response_time:", total);
    let routing = match record.proxied {
        Some(proxied) => proxied.as_micros() - record.received.as_micros(),
        None => 0,
    };
    push_seconds(out, " gorouter_time:", routing);
}

fn push_seconds(out: &mut String, name: &str, micros: i64) {
    out.push_str(name);
    match u64::try_from(micros) {
        Ok(micros) => {
            push_number(out, "", micros / 1_000_000);
            out.push('.');
            push_padded(out, micros % 1_000_000);
        }
        Err(_) => out.push_str("\"-\""),
    }
}

fn push_instance(out: &mut String, state: Option<&EndpointState>) {
    match state {
        Some(state) => {
            let endpoint = &state.endpoint;
            push_number(out, " app_index:\"", u64::from(endpoint.index));
            out.push('"');
            push_text(out, " instance_id:", endpoint.instance_guid.as_str());
        }
        None => out.push_str(" app_index:\"-\" instance_id:\"-\""),
    }
}

fn push_field(out: &mut String, before: &str, value: Option<&HeaderValue>, cut: usize, name: &str) {
    out.push_str(before);
    match value {
        Some(value) if !value.is_empty() => {
            out.push('"');
            escape_cut(out, value.as_bytes(), cut, name);
            out.push('"');
        }
        _ => out.push_str("\"-\""),
    }
}

fn push_text(out: &mut String, before: &str, text: &str) {
    out.push_str(before);
    out.push('"');
    escape(out, if text.is_empty() { "-" } else { text }.as_bytes());
    out.push('"');
}

fn escape_cut(out: &mut String, bytes: &[u8], cut: usize, name: &str) {
    match bytes.get(..cut) {
        Some(head) if head.len() < bytes.len() => {
            escape(out, head);
            out.push_str("...");
            out.push_str(name);
            out.push_str("-TOO-LONG-TO-LOG--TRUNCATED");
        }
        _ => escape(out, bytes),
    }
}

/// Escapes like Go's string quoting, without the quotes.
fn escape(out: &mut String, bytes: &[u8]) {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'"' && *byte != b'\\';
    if bytes.iter().all(is_plain)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        out.push_str(text);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|letter| escape_char(out, letter));
        for byte in chunk.invalid() {
            let _written = write!(out, "\\x{byte:02x}");
        }
    }
}

fn escape_char(out: &mut String, letter: char) {
    let short = match letter {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => {
            let code = u32::from(letter);
            let _written = match letter {
                _ if !letter.is_control() => out.write_char(letter),
                _ if code < 0x80 => write!(out, "\\x{code:02x}"),
                _ => write!(out, "\\u{code:04x}"),
            };
            return;
        }
    };
    out.push_str(short);
}

#[cfg(test)]
mod tests {
    use super::super::testing::endpoint;
    use super::*;

    fn record() -> Record {
        Record {
            received: Timestamp::from_micros(1_700_000_000_123_456),
            proxied: Some(Timestamp::from_micros(1_700_000_000_123_567)),
            finished: Timestamp::from_micros(1_700_000_001_135_801),
            host: Some(HeaderValue::from_static("App.example:8080")),
            method: Method::POST,
            uri: Uri::from_static("http://app.example/a/b?c=%20d"),
            version: Version::HTTP_11,
            status: Some(StatusCode::CREATED),
            request_bytes: 12,
            response_bytes: 3456,
            referer: None,
            user_agent: Some(HeaderValue::from_bytes(b"q\"uo\\te\xff\tz").unwrap()),
            remote: "10.0.0.1:5000".into(),
            forwarded_for: Some(HeaderValue::from_static("1.2.3.4, 10.0.0.1")),
            forwarded_proto: Some(HeaderValue::from_static("https")),
            request_id: Some(HeaderValue::from_static(
                "b9a4c2e0-0000-4000-8000-000000000001",
            )),
            router_error: None,
            is_unlogged: false,
        }
    }

    #[test]
    fn a_line_is_what_cloud_foundry_writes() {
        let mut writer = LineWriter::default();
        let app = AppGuid::from("app-guid");
        let state = EndpointState::new(endpoint(8080));
        let line = writer.format(&record(), Some(&app), Some(&state));
        assert_eq!(
            line,
            "App.example:8080 - [2023-11-14T22:13:20.123456000Z] \"POST /a/b?c=%20d HTTP/1.1\" \
             201 12 3456 \"-\" \"q\\\"uo\\\\te\\xff\\tz\" \"10.0.0.1:5000\" \"127.0.0.1:8080\" \
             x_forwarded_for:\"1.2.3.4, 10.0.0.1\" x_forwarded_proto:\"https\" \
             vcap_request_id:\"b9a4c2e0-0000-4000-8000-000000000001\" response_time:1.012345 \
             gorouter_time:0.000111 app_id:\"app-guid\" app_index:\"0\" \
             instance_id:\"instance-8080\" x_cf_routererror:\"-\""
        );
    }

    #[test]
    fn unknown_values_are_dashes() {
        let mut writer = LineWriter::default();
        let mut record = record();
        record.host = None;
        record.user_agent = None;
        record.forwarded_for = None;
        record.forwarded_proto = None;
        record.request_id = None;
        record.status = None;
        record.proxied = None;
        record.version = Version::HTTP_2;
        record.finished = Timestamp::from_micros(0);
        record.router_error = Some("unknown_route".to_owned());
        let line = writer.format(&record, None, None);
        assert_eq!(
            line,
            " - [2023-11-14T22:13:20.123456000Z] \"POST /a/b?c=%20d HTTP/2.0\" \"-\" 12 3456 \
             \"-\" \"-\" \"10.0.0.1:5000\" \"-\" x_forwarded_for:\"-\" x_forwarded_proto:\"-\" \
             vcap_request_id:\"-\" response_time:\"-\" gorouter_time:0.000000 app_id:\"-\" \
             app_index:\"-\" instance_id:\"-\" x_cf_routererror:\"unknown_route\""
        );
    }

    #[test]
    fn long_headers_are_truncated() {
        let mut writer = LineWriter::default();
        let mut record = record();
        record.user_agent = Some(HeaderValue::from_str(&"u".repeat(70_000)).unwrap());
        let line = writer.format(&record, None, None);
        assert!(line.len() < 2_000, "{}", line.len());
        assert!(line.contains("u...USER-AGENT-TOO-LONG-TO-LOG--TRUNCATED\""));
        let short = self::record();
        assert!(!writer.format(&short, None, None).contains("TRUNCATED"));
    }
}
