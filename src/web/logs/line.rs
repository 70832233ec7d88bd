//! A log line as HTML and as text.
//!
//! A line is one `div`: the script that shows thousands of them looks into none. Its time is a link
//! to what surrounds it.

use std::sync::Arc;

use serde_json::Value;

use super::ansi;
use crate::logs::{Envelope, Level, LogStream, Message};
use crate::web::when;

/// What of a longer line is behind a fold.
const FOLDED: usize = 4_000;
/// What of a longer line is in files only.
const CUT: usize = 16_000;
/// Longer JSON is shown as text.
const LONGEST_JSON: usize = 16_000;
/// How much of the fields of JSON stands beside its message.
const FIELDS: usize = 160;

/// Keys of the message of a line of JSON, of its level and of its time.
const MESSAGE: [&str; 6] = ["message", "msg", "event", "log", "text", "error"];
const LEVEL: [&str; 4] = ["level", "severity", "lvl", "loglevel"];
const TIME: [&str; 5] = ["time", "timestamp", "@timestamp", "ts", "t"];

/// How lines are shown.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Style {
    /// With the name of the app or service.
    pub(in crate::web) names: bool,
    /// The part of a query that names the space and the apps, with a `&` at its end; empty when
    /// the page is of one app or of everything.
    pub(in crate::web) place: Arc<str>,
}

/// The bytes of a line, and its stream.
pub(in crate::web) fn payload(line: &Envelope) -> (&[u8], LogStream) {
    match &line.message {
        Message::Log { payload, stream } => (payload, *stream),
        Message::Counter { .. }
        | Message::Gauge(_)
        | Message::Timer { .. }
        | Message::Event { .. } => (&[], LogStream::Out),
    }
}

/// Where a line comes from: `APP/PROC/WEB/0`.
pub(in crate::web) fn source(line: &Envelope) -> String {
    let source_type = line.tags.get("source_type").map_or("", String::as_str);
    format!("{source_type}/{}", line.instance_id)
}

/// The name of the app or service.
fn name(line: &Envelope) -> &str {
    let tag = |name: &str| line.tags.get(name).map(String::as_str);
    tag("app_name")
        .or_else(|| tag("service_instance_name"))
        .unwrap_or(&line.source_id)
}

/// Appends a line.
pub(in crate::web) fn html(out: &mut String, line: &Envelope, style: &Style) {
    let (payload, stream) = payload(line);
    let text = String::from_utf8_lossy(payload);
    let at = line.timestamp;
    let (class, word) = match Level::of(line) {
        Level::Error => (" le", "error"),
        Level::Warn => (" lw", "warn"),
        Level::Debug => (" ld", ""),
        Level::Info => ("", ""),
    };
    let source_type = line.tags.get("source_type").map_or("", String::as_str);
    let kind = if source_type.starts_with("APP") {
        ""
    } else {
        " lp"
    };
    push(
        out,
        format_args!(
            "<div class=\"l{class}{kind}\" id=\"t{at}\"><a href=\"?{}at={at}#t{at}\" title=\"{}\">{}</a> ",
            place(style),
            when::iso(at),
            when::clock(at)
        ),
    );
    if style.names {
        out.push_str("<i>");
        ansi::escape(out, name(line));
        out.push_str("</i> ");
    }
    out.push_str("<b>");
    ansi::escape(out, &source(line));
    out.push_str("</b> ");
    if stream == LogStream::Err || !word.is_empty() {
        let word = if word.is_empty() { "err" } else { word };
        push(out, format_args!("<em>{word}</em> "));
    }
    body(out, shown(&text));
    let left = text.len() - shown(&text).len();
    if left > 0 {
        push(
            out,
            format_args!(
                " <a href=\"logs.txt?{}since={at}&amp;until={}\" download>{left} more bytes are in the file</a>",
                place(style),
                at.saturating_add(1)
            ),
        );
    }
    out.push_str("</div>\n");
}

/// The part of a query that names the space and the apps, for an attribute.
fn place(style: &Style) -> String {
    let mut place = String::new();
    ansi::escape(&mut place, &style.place);
    place
}

/// The part of a line that is sent to a page.
fn shown(text: &str) -> &str {
    begin(text, CUT)
}

/// At most so many bytes of a text, whole letters.
fn begin(text: &str, most: usize) -> &str {
    let most = most.min(text.len());
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// A note among the lines, such as how many were left out. `link` is a query of this page.
pub(in crate::web) fn note(out: &mut String, text: &str, link: &str) {
    out.push_str("<div class=\"l ln\">");
    ansi::escape(out, text);
    if !link.is_empty() {
        out.push_str(" <a href=\"?");
        ansi::escape(out, link);
        out.push_str("\">show them</a>");
    }
    out.push_str("</div>\n");
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.push_str(&arguments.to_string());
}

fn body(out: &mut String, text: &str) {
    if let Some(object) = object(text) {
        fields(out, &object);
        return;
    }
    let Some((head, rest)) = folded(text) else {
        out.push_str("<span>");
        ansi::html(out, text);
        out.push_str("</span>");
        return;
    };
    out.push_str("<span>");
    ansi::html(out, head);
    push(
        out,
        format_args!(
            "</span><details><summary>{} more bytes</summary>",
            rest.len()
        ),
    );
    ansi::html(out, rest);
    out.push_str("</details>");
}

/// The part before the fold and the part behind it.
fn folded(text: &str) -> Option<(&str, &str)> {
    (text.len() > FOLDED).then(|| text.split_at(begin(text, FOLDED).len()))
}

fn object(text: &str) -> Option<serde_json::Map<String, Value>> {
    let trimmed = text.trim();
    if !trimmed.starts_with('{') || !trimmed.ends_with('}') || trimmed.len() > LONGEST_JSON {
        return None;
    }
    match serde_json::from_str(trimmed).ok()? {
        Value::Object(object) if !object.is_empty() => Some(object),
        _ => None,
    }
}

/// A line of JSON: message and level first, other fields beside it, all of it when opened.
fn fields(out: &mut String, object: &serde_json::Map<String, Value>) {
    let first = |keys: &[&str]| keys.iter().find_map(|key| object.get_key_value(*key));
    let (message, level, time) = (first(&MESSAGE), first(&LEVEL), first(&TIME));
    out.push_str("<details><summary>");
    if let Some((_, level)) = level {
        out.push_str("<u>");
        ansi::escape(out, &short(level, 16));
        out.push_str("</u> ");
    }
    if let Some((_, message)) = message {
        out.push_str("<span>");
        ansi::html(out, &short(message, FOLDED));
        out.push_str("</span> ");
    }
    let named = [message, level, time].map(|pair| pair.map(|(key, _)| key));
    let others = object
        .iter()
        .filter(|(key, _)| !named.contains(&Some(*key)));
    let mut beside = String::new();
    for (key, value) in others {
        if beside.len() > FIELDS {
            beside.push('…');
            break;
        }
        push(&mut beside, format_args!("{key}={} ", short(value, FIELDS)));
    }
    out.push_str("<small>");
    ansi::escape(out, beside.trim_end());
    out.push_str("</small></summary><pre>");
    let pretty = serde_json::to_string_pretty(object).unwrap_or_default();
    // What is deeply nested becomes many times as long.
    let whole = pretty.len();
    let pretty = shown(&pretty);
    // Text in JSON has its control characters escaped; the line breaks are those of the layout.
    for line in pretty.split('\n') {
        ansi::escape(out, line);
        out.push_str("&#10;");
    }
    if pretty.len() < whole {
        out.push('…');
    }
    out.push_str("</pre></details>");
}

fn short(value: &Value, longest: usize) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A line as the cf CLI shows it.
pub(in crate::web) fn text(line: &Envelope, style: &Style) -> String {
    let (payload, stream) = payload(line);
    let stream = match stream {
        LogStream::Out => "OUT",
        LogStream::Err => "ERR",
    };
    let names = if style.names {
        format!("{} ", ansi::plain(name(line)))
    } else {
        String::new()
    };
    let text = ansi::plain(&String::from_utf8_lossy(payload));
    format!(
        "{} {names}[{}] {stream} {text}\n",
        when::iso(line.timestamp),
        source(line)
    )
}

/// A line as one object of JSON, with the payload as it was written.
pub(in crate::web) fn json(line: &Envelope) -> String {
    let (payload, stream) = payload(line);
    let object = serde_json::json!({
        "time": when::iso(line.timestamp),
        "timestamp": line.timestamp.to_string(),
        "source_id": &*line.source_id,
        "name": name(line),
        "source_type": line.tags.get("source_type"),
        "instance_id": &*line.instance_id,
        "stream": match stream { LogStream::Out => "OUT", LogStream::Err => "ERR" },
        "text": String::from_utf8_lossy(payload),
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Tags;

    fn line(text: &str, stream: LogStream, source_type: &str) -> Envelope {
        let tags = [("source_type", source_type), ("app_name", "sh<op")];
        let tags: Tags = tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Envelope {
            timestamp: 1_700_000_000_007_000_001,
            source_id: "guid".into(),
            instance_id: "2".into(),
            tags: Arc::new(tags),
            message: Message::Log {
                payload: text.to_owned().into(),
                stream,
            },
        }
    }

    fn shown_line(line: &Envelope, names: bool) -> String {
        let mut out = String::new();
        let style = Style {
            names,
            ..Style::default()
        };
        html(&mut out, line, &style);
        out
    }

    #[test]
    fn a_line_is_one_element_that_cannot_be_left() {
        let hostile = "</div><script>x</script>\r\rdata: x\u{1b}[2J";
        let line = line(hostile, LogStream::Err, "APP/PROC/WEB");
        assert_eq!(
            shown_line(&line, true),
            "<div class=\"l le\" id=\"t1700000000007000001\">\
             <a href=\"?at=1700000000007000001#t1700000000007000001\" title=\"2023-11-14T22:13:20.007Z\">22:13:20.007</a> \
             <i>sh&lt;op</i> <b>APP/PROC/WEB/2</b> <em>error</em> \
             <span>&lt;/div&gt;&lt;script&gt;x&lt;/script&gt;data: x</span></div>\n"
        );
        assert_eq!(
            text(&line, &Style::default()),
            "2023-11-14T22:13:20.007Z [APP/PROC/WEB/2] ERR </div><script>x</script>data: x\n"
        );
        let object: Value = serde_json::from_str(&json(&line)).expect("JSON");
        assert_eq!(object["text"], hostile);
        let mut out = String::new();
        note(&mut out, "<2 lines", "at=1&q=\"");
        assert_eq!(
            out,
            "<div class=\"l ln\">&lt;2 lines <a href=\"?at=1&amp;q=&quot;\">show them</a></div>\n"
        );
    }

    #[test]
    fn json_shows_its_message_first() {
        let text = r#"{"time":"x","level":"warn","user":"a<b","msg":"low \u001b[31mdisk","n":7}"#;
        let html = shown_line(&line(text, LogStream::Out, "APP/PROC/WEB"), false);
        assert!(html.contains("class=\"l lw\""), "{html}");
        assert!(
            html.contains(
                "<summary><u>warn</u> <span>low <span class=\"f1\">disk</span></span> \
                 <small>user=a&lt;b n=7</small></summary><pre>{&#10;"
            ),
            "{html}"
        );
        for no_object in ["{}", "[1]", "{not json}", "{\"a\":1} x"] {
            let html = shown_line(&line(no_object, LogStream::Out, "APP"), false);
            assert!(!html.contains("<details>"), "{html}");
        }
    }

    #[test]
    fn a_time_leads_to_what_surrounds_it_in_the_same_place() {
        let style = Style {
            names: true,
            place: "space=s&app=\"x&".into(),
        };
        let mut out = String::new();
        html(&mut out, &line("x", LogStream::Out, "APP"), &style);
        let link =
            "<a href=\"?space=s&amp;app=&quot;x&amp;at=1700000000007000001#t1700000000007000001\"";
        assert!(out.contains(link), "{out}");
    }

    #[test]
    fn the_end_of_a_very_long_line_is_in_the_file_only() {
        let text = format!("{}é{}", "<".repeat(CUT - 1), "y".repeat(10));
        let html = shown_line(&line(&text, LogStream::Out, "APP"), false);
        assert!(!html.contains("yyy"));
        let link = "<a href=\"logs.txt?since=1700000000007000001&amp;until=1700000000007000002\" download>12 more bytes are in the file</a></div>";
        assert!(html.contains(link), "{html}");
        // What grows when it is shown is bounded, too.
        let deep = format!(
            "{{\"a\":{}{}{}}}",
            "[".repeat(100),
            "0,".repeat(7000) + "0",
            "]".repeat(100)
        );
        let coloured = "\u{1b}]8;;http://a/".to_owned()
            + &"&".repeat(8000)
            + "\u{7}"
            + &"\u{1b}[1mx\u{1b}[mx".repeat(400);
        for text in [deep, coloured] {
            let html = shown_line(&line(&text, LogStream::Out, "APP"), false);
            assert!(html.len() < 20 * CUT, "{}", html.len());
        }
    }

    #[test]
    fn long_lines_are_folded_at_a_letter() {
        let text = format!("{}é{}", "x".repeat(FOLDED - 1), "y".repeat(10));
        let html = shown_line(&line(&text, LogStream::Out, "RTR"), false);
        assert!(html.contains("class=\"l lp\""), "{html}");
        assert!(
            html.contains("<summary>12 more bytes</summary>éyyyyyyyyyy</details>"),
            "{html}"
        );
    }
}
